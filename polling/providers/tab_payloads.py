"""The payloads of the TAB affiliates API (TAB NZ, Ladbrokes, Neds) as snapshots of races.

Every payload is `{"header": {"generated_time"}, "params": {…echo…}, "data": {…}}`. One API has two dialects of a
race: `/racing/meetings` (`id`, `start_time` as text) and `/racing/events/{id}` (`event_id`, `advertised_start` in
seconds since 1970). Empty lists are left out. Unknown fields are ignored. Source: the API's own OpenAPI description.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from polling.errors import SAMPLE_BYTES, Malformed, Unavailable
from polling.providers import tab_detail
from polling.providers.base import Schedule
from polling.providers.json_values import (
    JsonObject,
    day,
    first_value,
    flag,
    instant,
    instant_or_none,
    positive,
    text,
    to_object,
)
from polling.providers.zones import UNKNOWN_ZONE, zone
from races.snapshots import MeetingSnapshot, RaceSnapshot, Scope, join_snapshots, sum_left_out
from races.status import Outcome, RaceStatus, ResultState

logger = logging.getLogger(__name__)

LONGEST_ID = 80
LONGEST_PLACE = 8
LONGEST_STATUS = 40
LONGEST_ERROR = 200

CODES = {"T": "thoroughbred", "H": "harness", "G": "greyhound"}


class Meaning(NamedTuple):
    """A provider's status in our terms; None where it says nothing of one."""

    status: RaceStatus | None = None
    outcome: Outcome | None = None
    result_state: ResultState | None = None


UNKNOWN = Meaning()
_ABANDONED, _VOID, _POSTPONED = (
    Meaning(RaceStatus.FINALIZED, outcome, ResultState.NONE)
    for outcome in (Outcome.ABANDONED, Outcome.VOID, Outcome.POSTPONED)
)
# The first six are documented; the others are what feeds of the same trade send for a race that is called off.
STATUSES = {
    "open": Meaning(RaceStatus.SCHEDULED, None, ResultState.NONE),
    "closed": Meaning(RaceStatus.IN_PROGRESS, None, ResultState.NONE),
    "live": Meaning(RaceStatus.IN_PROGRESS, None, ResultState.NONE),
    "interim": Meaning(RaceStatus.IN_PROGRESS, None, ResultState.INTERIM),
    "final": Meaning(RaceStatus.FINALIZED, Outcome.RESULTED, ResultState.FINAL),
    "abandoned": _ABANDONED,
    "cancelled": _ABANDONED,
    "canceled": _ABANDONED,
    "void": _VOID,
    "voided": _VOID,
    "no race": _VOID,
    "norace": _VOID,
    "postponed": _POSTPONED,
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """An opened payload: its provider, its time by our clock and by theirs, and its data.

    `error` is one that the payload reports, in words; empty where it reports none.
    """

    provider: str
    observed_at: datetime
    source_time: datetime | None
    data: JsonObject
    error: str = ""


@dataclass(frozen=True, slots=True)
class ListedIds:
    """The ids on a page of `/racing/meetings`. `unlisted` are meetings that do not list their races.

    `rows` is how many meetings came, and `is_whole` is false where one of them has no id.
    """

    meetings: frozenset[str]
    races: frozenset[str]
    unlisted: frozenset[str]
    rows: int
    is_whole: bool


# --- whole payloads -------------------------------------------------------------------------------------


def parse_event(payload: Any, *, provider: str, observed_at: datetime) -> RaceSnapshot:
    """One race with runners, results and dividends, from `/racing/events/{id}`.

    Raises Malformed for another shape, and Unavailable for an error that stands in place of the race.
    """
    envelope = _open_envelope(payload, provider, observed_at)
    _raise_reported_error(envelope, payload, unless=bool(envelope.data.get("race")))
    try:
        return _full_race(envelope)
    except ValueError as exc:
        raise _malformed_payload(str(exc), payload) from exc


def parse_meetings(payload: Any, *, provider: str, observed_at: datetime) -> Schedule:
    """The status and start of every race, from `/racing/meetings` or `/racing/meetings/{id}`.

    Two rows with one id become one race; rows that are no races or cannot be read are counted. Raises Malformed for
    another shape, and Unavailable for an error that stands in place of the meetings.
    """
    envelope = _open_envelope(payload, provider, observed_at)
    try:
        meetings = _list_or_none(envelope.data, "meetings") or []
    except ValueError as exc:
        raise _malformed_payload(str(exc), payload) from exc
    _raise_reported_error(envelope, payload, unless=bool(meetings))
    races: dict[str, RaceSnapshot] = {}
    specials, doubles, failures = 0, 0, []
    for row, meeting in _rows_with_meetings(envelope, meetings):
        try:
            if _is_special(row):
                specials += 1
                continue
            race = _race_snapshot(envelope, row, meeting)
        except ValueError as exc:
            failures.append(str(exc))
            continue
        known = races.get(race.provider_race_id)
        races[race.provider_race_id] = join_snapshots(known, race) if known else race
        doubles += known is not None
    if failures:
        logger.warning("%s: %d rows could not be read, the first: %s", provider, len(failures), failures[0])
    counts = {
        "rows": len(failures),
        "rows that are no races": specials,
        "races reported twice": doubles,
        "errors": int(bool(envelope.error)),
    }
    return Schedule(tuple(races.values()), skipped=specials + len(failures), left_out=sum_left_out(counts))


def listed_ids(payload: Any) -> ListedIds:
    """The meetings and races that a page of `/racing/meetings` lists, whether or not they can be read."""
    rows = to_object(to_object(payload).get("data")).get("meetings")
    meetings, races, unlisted = set[str](), set[str](), set[str]()
    for row in map(to_object, rows if isinstance(rows, list) else ()):
        meetings.add(meeting_id := text(row.get("meeting"), LONGEST_ID))
        listed = row.get("races")
        if not isinstance(listed, list) or not all(isinstance(race, dict) for race in listed):
            unlisted.add(meeting_id)
        races |= {_race_id(to_object(race)) for race in (listed if isinstance(listed, list) else ())} - {""}
    return ListedIds(
        meetings=frozenset(meetings),
        races=frozenset(races),
        unlisted=frozenset(unlisted),
        rows=len(rows) if isinstance(rows, list) else 0,
        is_whole=isinstance(rows, list) and "" not in meetings,
    )


def echoed_param(payload: Any, name: str) -> Any:
    """The value that the provider took for a parameter; those that it does not know it ignores without a word."""
    return to_object(to_object(payload).get("params")).get(name)


def _open_envelope(payload: Any, provider: str, observed_at: datetime) -> Envelope:
    whole = to_object(payload)
    header, data = to_object(whole.get("header")), whole.get("data")
    places = (header.get("error"), whole.get("error"), whole.get("errors"), to_object(data).get("error"))
    error = next((error for error in places if error not in (None, False, 0, "", [], {})), "")
    error_words = text(error if isinstance(error, str) else json.dumps(error, default=str), LONGEST_ERROR)
    source_time = instant_or_none(header.get("generated_time"))
    envelope = Envelope(provider, observed_at, source_time, to_object(data), error_words)
    if not isinstance(data, dict):
        _raise_reported_error(envelope, payload)
        raise _malformed_payload("the answer has no data", payload)
    return envelope


def _raise_reported_error(envelope: Envelope, payload: Any, *, unless: bool = False) -> None:
    """Raises Unavailable for an error that stands in place of what was asked for; not where that is there too."""
    if envelope.error and not unless:
        message = f"the provider reports an error inside its answer: {envelope.error}"
        raise Unavailable(message, http_status=HTTPStatus.OK.value, sample=_sample_of(payload))


def _list_or_none(row: JsonObject, name: str) -> list[Any] | None:
    """The list of that name; None where it was left out or is null. Raises ValueError for anything else."""
    value = row.get(name)
    if value is None or isinstance(value, list):
        return value
    raise ValueError(f"{name} is not a list")


def _malformed_payload(message: str, payload: Any) -> Malformed:
    # No other answer than a 200 is parsed.
    return Malformed(message, http_status=HTTPStatus.OK.value, sample=_sample_of(payload))


def _sample_of(payload: Any) -> str:
    return json.dumps(payload, default=str)[:SAMPLE_BYTES]


# --- rows of the list -----------------------------------------------------------------------------------


def _rows_with_meetings(envelope: Envelope, meetings: list[Any]) -> Iterator[tuple[Any, MeetingSnapshot | None]]:
    """Each race row with its meeting. What cannot hold races is passed on as a row, to be counted as one."""
    for row in meetings:
        meeting = to_object(row)
        snapshot = _meeting_snapshot(envelope, meeting, meeting.get("meeting"), meeting.get("name"))
        races = meeting.get("races") if meeting else row
        for race in races if isinstance(races, list) else filter(None, [races]):
            yield race, snapshot


def _is_special(row: Any) -> bool:
    """Whether a row is a jockey challenge, a future or the like: race 0, or without a number.

    Raises ValueError for what is no row.
    """
    if not isinstance(row, dict):
        raise ValueError(f"not an object: {repr(row)[:80]}")
    return not _race_id(row) or _race_number(row) is None


# --- one race -------------------------------------------------------------------------------------------


def _race_id(row: JsonObject) -> str:
    race_id = text(first_value(row, "event_id", "id"), LONGEST_ID + 1)
    return race_id if len(race_id) <= LONGEST_ID else ""


def _race_number(row: JsonObject) -> int | None:
    return positive(row.get("race_number"))


def _race_snapshot(envelope: Envelope, row: JsonObject, meeting: MeetingSnapshot | None) -> RaceSnapshot:
    """A race by its row of either dialect. Raises ValueError without an id, or for an unreadable start."""
    if not (race_id := _race_id(row)):
        raise ValueError("a race has no id")
    status = text(row.get("status"), LONGEST_STATUS) or None
    meaning = STATUSES.get(status.casefold(), UNKNOWN) if status else UNKNOWN
    start = instant(first_value(row, "advertised_start", "start_time", "advertised_start_string"))
    return RaceSnapshot(
        provider=envelope.provider,
        provider_race_id=race_id,
        scope=Scope.STATUS,
        observed_at=envelope.observed_at,
        source_time=envelope.source_time,
        meeting=meeting,
        number=_race_number(row),
        name=text(first_value(row, "description", "name")) or None,
        distance_m=positive(row.get("distance")),
        advertised_start=start,
        actual_start=_actual_start(row, start, meaning),
        status=meaning.status,
        provider_status=status,
        outcome=meaning.outcome,
        result_state=meaning.result_state,
        # Left out where there is none, as empty results are; so that a protest that is over ends.
        protest=flag(row.get("protest")) is True,
    )


def _actual_start(row: JsonObject, start: datetime | None, meaning: Meaning) -> datetime | None:
    """The actual start. Until a race has started the provider repeats the advertised one, which says nothing."""
    actual = instant_or_none(first_value(row, "actual_start", "actual_start_string"))
    never_ran = meaning.outcome in (Outcome.ABANDONED, Outcome.POSTPONED)
    has_started = meaning.status not in (None, RaceStatus.SCHEDULED) and not never_ran
    return actual if has_started or actual != start else None


def _meeting_snapshot(envelope: Envelope, row: JsonObject, meeting_id: Any, name: Any) -> MeetingSnapshot | None:
    """The meeting with the track's facts of a row; None without an id. What is missing is blank."""
    if not (provider_meeting_id := text(meeting_id, LONGEST_ID)):
        return None
    country, state = text(row.get("country"), LONGEST_PLACE), text(row.get("state"), LONGEST_PLACE)
    track_zone = zone(country, state)
    return MeetingSnapshot(
        provider=envelope.provider,
        provider_meeting_id=provider_meeting_id,
        name=text(name),
        country=country,
        state=state,
        code=CODES.get(text(first_value(row, "category", "type")).upper(), ""),
        provider_day=day(row.get("date")),
        timezone="" if track_zone == UNKNOWN_ZONE else track_zone,  # a row without its state says nothing of the zone
    )


def _full_race(envelope: Envelope) -> RaceSnapshot:
    """A race with runners, results and dividends. Raises ValueError for a shape that cannot be read."""
    detail = envelope.data
    if not isinstance(row := detail.get("race"), dict):
        raise ValueError("race is not an object")
    # Without its racing day: `race_date_nz` is the race's, and a card that runs past midnight has two of them.
    meeting = _meeting_snapshot(envelope, row, row.get("meeting_id"), row.get("meeting_name"))
    race = _race_snapshot(envelope, row, meeting)
    left_out: Counter[str] = Counter()
    runners, results, dividends = (_list_or_none(detail, name) for name in ("runners", "results", "dividends"))
    race = replace(
        race,
        scope=Scope.FULL,
        runners=None if runners is None else tab_detail.runners(runners, left_out),
        results=_missing_list(race, detail, "results") if results is None else tab_detail.results(results, left_out),
        dividends=(
            _missing_list(race, detail, "dividends") if dividends is None else tab_detail.dividends(dividends, left_out)
        ),
    )
    lost = {"characters": _count_lost_characters(race), "errors": int(bool(envelope.error))}
    return replace(race, left_out=sum_left_out(left_out, lost))


def _missing_list(race: RaceSnapshot, detail: JsonObject, name: str) -> tuple[()] | None:
    """What is empty is left out: before its result a race has none, after it a gap means nothing, nor does a null."""
    return () if race.result_state is ResultState.NONE and name not in detail else None


def _count_lost_characters(race: RaceSnapshot) -> int:
    """Characters of the race and its field that were lost where the answer's bytes were decoded."""
    texts = [
        race.name or "",
        *(text for runner in race.runners or () for text in (runner.name, runner.jockey, runner.trainer)),
    ]
    return sum(words.count("\ufffd") for words in texts)
