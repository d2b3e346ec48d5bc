"""What the payloads of the TAB affiliates API (TAB NZ, Ladbrokes, Neds) say of races, as snapshots.

Every payload is `{"header": {"generated_time"}, "params": {…echo…}, "data": {…}}`. One API has three dialects
of a race: `/racing/meetings` (`id`, `start_time`), `/racing/list` (`id`, `number`, `advertised_start`) and
`/racing/events/{id}` (`event_id`, epoch seconds). Empty lists are left out. Unknown fields are ignored.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from polling.errors import SAMPLE_BYTES, Malformed, Unavailable
from polling.providers import tab_detail
from polling.providers.base import Schedule
from polling.providers.reading import Row, day, first_told, flag, instant, instant_or_none, positive, text, to_object
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
    """What a provider's status says in our words."""

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
class Reply:
    """An opened envelope: who said it, when by our clock and by theirs, and what; `error` is one that it reports."""

    provider: str
    observed_at: datetime
    source_time: datetime | None
    data: Row
    error: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a page of `/racing/meetings` lists, by id. `unsure` are meetings whose races it does not list.

    `rows` is how many meetings came, and `is_whole` is false where one of them cannot be known by an id.
    """

    meetings: frozenset[str]
    races: frozenset[str]
    unsure: frozenset[str]
    rows: int
    is_whole: bool


# --- whole payloads: each raises Malformed where its outermost shape is wrong ---------------------------


def parse_event(payload: Any, *, provider: str, observed_at: datetime) -> RaceSnapshot:
    """All there is of one race, from `/racing/events/{id}`."""
    reply = _open(payload, provider, observed_at)
    _raise_reported(reply, payload, unless=bool(reply.data.get("race")))
    try:
        return _detail(reply, reply.data, meeting=None)
    except ValueError as exc:
        raise _malformed(str(exc), payload) from exc


def parse_meetings(payload: Any, *, provider: str, observed_at: datetime) -> Schedule:
    """Status and start of every race, from `/racing/meetings` or `/racing/meetings/{id}`."""
    reply = _open(payload, provider, observed_at)
    rows = _with_meetings(reply, _top_list(reply, "meetings", payload))
    return _read_all(reply, rows, _race)


def parse_meetings_events(payload: Any, *, provider: str, observed_at: datetime) -> Schedule:
    """All there is of every race, from `/racing/meetings-events/all`."""
    reply = _open(payload, provider, observed_at)
    rows = _with_meetings(reply, _top_list(reply, "meetings_races", payload))
    return _read_all(reply, rows, _detail)


def parse_list(payload: Any, *, provider: str, observed_at: datetime) -> Schedule:
    """Starts, never a status, of every race of one page of `/racing/list`."""
    reply = _open(payload, provider, observed_at)
    rows = ((row, _meeting_of_race(reply, to_object(row))) for row in _top_list(reply, "races", payload))
    return _read_all(reply, rows, _race)


def listing(payload: Any) -> Listing:
    """Which meetings and races a page of `/racing/meetings` lists, whether or not they can be read."""
    rows = to_object(to_object(payload).get("data")).get("meetings")
    meetings, races, unsure = set[str](), set[str](), set[str]()
    for row in map(to_object, rows if isinstance(rows, list) else ()):
        meetings.add(meeting_id := _meeting_id(row.get("meeting")))
        listed = row.get("races")
        if not isinstance(listed, list) or not all(isinstance(race, dict) for race in listed):
            unsure.add(meeting_id)
        races |= {_race_id(to_object(race)) for race in (listed if isinstance(listed, list) else ())} - {""}
    return Listing(
        meetings=frozenset(meetings),
        races=frozenset(races),
        unsure=frozenset(unsure),
        rows=len(rows) if isinstance(rows, list) else 0,
        is_whole=isinstance(rows, list) and "" not in meetings,
    )


def echo(payload: Any, name: str) -> Any:
    """What the provider took a parameter to be; it ignores those that it does not know without a word."""
    return to_object(to_object(payload).get("params")).get(name)


def _open(payload: Any, provider: str, observed_at: datetime) -> Reply:
    envelope = to_object(payload)
    header, data = to_object(envelope.get("header")), envelope.get("data")
    error = _reported(header.get("error"), envelope.get("error"), envelope.get("errors"), to_object(data).get("error"))
    reply = Reply(provider, observed_at, instant_or_none(header.get("generated_time")), to_object(data), error)
    if not isinstance(data, dict):
        _raise_reported(reply, payload)
        raise _malformed("the answer has no data", payload)
    return reply


def _reported(*places: Any) -> str:
    """The error that an answer reports where one may stand, in words; empty where there is none."""
    error = next((error for error in places if error not in (None, False, 0, "", [], {})), "")
    return text(error if isinstance(error, str) else json.dumps(error, default=str), LONGEST_ERROR)


def _raise_reported(reply: Reply, payload: Any, *, unless: bool = False) -> None:
    """Raises Unavailable for an error that stands in place of what was asked for; not where that is there too."""
    if reply.error and not unless:
        message = f"the provider reports an error inside its answer: {reply.error}"
        raise Unavailable(message, http_status=HTTPStatus.OK.value, sample=_sample(payload))


def _top_list(reply: Reply, name: str, payload: Any) -> list[Any]:
    try:
        rows = _list(reply.data, name) or []
    except ValueError as exc:
        raise _malformed(str(exc), payload) from exc
    _raise_reported(reply, payload, unless=bool(rows))
    return rows


def _list(row: Row, name: str) -> list[Any] | None:
    """The list of that name; None where it was left out or is null. Raises ValueError for anything else."""
    value = row.get(name)
    if value is None or isinstance(value, list):
        return value
    raise ValueError(f"{name} is not a list")


def _malformed(message: str, payload: Any) -> Malformed:
    return Malformed(message, http_status=HTTPStatus.OK.value, sample=_sample(payload))  # no other answer is parsed


def _sample(payload: Any) -> str:
    return json.dumps(payload, default=str)[:SAMPLE_BYTES]


# --- many races -----------------------------------------------------------------------------------------

Rows = Iterable[tuple[Any, MeetingSnapshot | None]]
Read = Callable[[Reply, Row, MeetingSnapshot | None], RaceSnapshot]


def _read_all(reply: Reply, rows: Rows, read: Read) -> Schedule:
    """Every race that can be read, two rows with one id as one; specials and unreadable rows are counted."""
    races: dict[str, RaceSnapshot] = {}
    specials, doubles, failures = 0, 0, []
    for row, meeting in rows:
        try:
            if _is_special(_required_object(row)):
                specials += 1
            else:
                told = read(reply, row, meeting)
                known = races.get(told.provider_race_id)
                races[told.provider_race_id] = join_snapshots(known, told) if known else told
                doubles += known is not None
        except ValueError as exc:
            failures.append(str(exc))
    if failures:
        logger.warning("%s: %d rows could not be read, the first: %s", reply.provider, len(failures), failures[0])
    counts = {
        "rows": len(failures),
        "rows that are no races": specials,
        "races reported twice": doubles,
        "errors": int(bool(reply.error)),
    }
    return Schedule(tuple(races.values()), skipped=specials + len(failures), left_out=sum_left_out(counts))


def _required_object(row: Any) -> Row:
    if not isinstance(row, dict):
        raise ValueError(f"not an object: {repr(row)[:80]}")
    return row


def _with_meetings(reply: Reply, meetings: Iterable[Any]) -> Iterator[tuple[Any, MeetingSnapshot | None]]:
    """Each race row with its meeting. What cannot hold races is passed on as a row, to be counted as one."""
    for row in meetings:
        meeting = to_object(row)
        told = _meeting(reply, meeting, meeting.get("meeting"), meeting.get("name"))
        races = meeting.get("races") if meeting else row
        for race in races if isinstance(races, list) else filter(None, [races]):
            yield race, told


def _is_special(row: Row) -> bool:
    """Jockey challenges, futures and the like come as race 0 or without a number."""
    race = to_object(row.get("race", row))
    return not _race_id(race) or _race_number(race) is None


# --- one race -------------------------------------------------------------------------------------------


def _race_id(row: Row) -> str:
    told = text(first_told(row, "event_id", "id"), LONGEST_ID + 1)
    return told if len(told) <= LONGEST_ID else ""


def _meeting_id(value: Any) -> str:
    return text(value, LONGEST_ID)


def _race_number(row: Row) -> int | None:
    return positive(first_told(row, "race_number", "number"))


def _race(reply: Reply, row: Row, meeting: MeetingSnapshot | None) -> RaceSnapshot:
    """What a row of any dialect tells of a race. Raises ValueError without an id, or for an unreadable start."""
    if not (race_id := _race_id(row)):
        raise ValueError("a race has no id")
    status = text(row.get("status"), LONGEST_STATUS) or None
    meant = STATUSES.get(status.casefold(), UNKNOWN) if status else UNKNOWN
    start = instant(first_told(row, "advertised_start", "start_time", "advertised_start_string"))
    return RaceSnapshot(
        provider=reply.provider,
        provider_race_id=race_id,
        scope=Scope.STATUS,
        observed_at=reply.observed_at,
        source_time=reply.source_time,
        meeting=meeting,
        number=_race_number(row),
        name=text(first_told(row, "description", "name")) or None,
        distance_m=positive(row.get("distance")),
        advertised_start=start,
        actual_start=_actual_start(row, start, meant),
        status=meant.status,
        provider_status=status,
        outcome=meant.outcome,
        result_state=meant.result_state,
        # Left out where there is none, as empty results are; so that a protest that is over ends.
        protest=flag(row.get("protest")) is True,
    )


def _actual_start(row: Row, start: datetime | None, meant: Meaning) -> datetime | None:
    """Until a race has started the provider repeats the advertised start, which tells nothing."""
    told = instant_or_none(first_told(row, "actual_start", "actual_start_string"))
    never_ran = meant.outcome in (Outcome.ABANDONED, Outcome.POSTPONED)
    has_started = meant.status not in (None, RaceStatus.SCHEDULED) and not never_ran
    return told if has_started or told != start else None


def _meeting(reply: Reply, row: Row, meeting_id: Any, name: Any) -> MeetingSnapshot | None:
    """The meeting with the track's facts of a row; None without an id. What was not told is blank."""
    if not (told_id := _meeting_id(meeting_id)):
        return None
    country, state = text(row.get("country"), LONGEST_PLACE), text(row.get("state"), LONGEST_PLACE)
    track_zone = zone(country, state)
    return MeetingSnapshot(
        provider=reply.provider,
        provider_meeting_id=told_id,
        name=text(name),
        country=country,
        state=state,
        code=CODES.get(text(first_told(row, "category", "type")).upper(), ""),
        provider_day=day(row.get("date")),
        timezone="" if track_zone == UNKNOWN_ZONE else track_zone,  # a row without its state says nothing of the zone
    )


def _meeting_of_race(reply: Reply, row: Row) -> MeetingSnapshot | None:
    """The meeting as far as a race's own row tells it.

    Without its racing day: `race_date_nz` is the race's, and a card that runs past midnight has two of them.
    """
    return _meeting(reply, row, row.get("meeting_id"), row.get("meeting_name"))


def _detail(reply: Reply, detail: Row, meeting: MeetingSnapshot | None) -> RaceSnapshot:
    """A race with runners, results and dividends. Raises ValueError for a shape that cannot be read."""
    if not isinstance(race := detail.get("race"), dict):
        raise ValueError("race is not an object")
    told = _race(reply, race, meeting or _meeting_of_race(reply, race))
    left: Counter[str] = Counter()
    runners, results, dividends = (_list(detail, name) for name in ("runners", "results", "dividends"))
    told = replace(
        told,
        scope=Scope.FULL,
        runners=None if runners is None else tab_detail.runners(runners, left),
        results=_missing(told, detail, "results") if results is None else tab_detail.results(results, left),
        dividends=_missing(told, detail, "dividends") if dividends is None else tab_detail.dividends(dividends, left),
    )
    return replace(
        told, left_out=sum_left_out(left, {"characters": _unreadable(told), "errors": int(bool(reply.error))})
    )


def _missing(race: RaceSnapshot, detail: Row, name: str) -> tuple[()] | None:
    """What is empty is left out: before its result a race has none, after it a gap means nothing, nor does a null."""
    return () if race.result_state is ResultState.NONE and name not in detail else None


def _unreadable(race: RaceSnapshot) -> int:
    """Characters of the race and its field that were lost where the answer's bytes were decoded."""
    texts = [
        race.name or "",
        *(text for runner in race.runners or () for text in (runner.name, runner.jockey, runner.trainer)),
    ]
    return sum(words.count("\ufffd") for words in texts)
