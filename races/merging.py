"""How a snapshot changes a race and its runners: rules on objects in memory, no database."""

import hashlib
import json
from datetime import datetime
from typing import Any

from races.answer_age import accept
from races.models import Meeting, Race, Runner
from races.snapshots import MeetingSnapshot, RaceSnapshot, RunnerSnapshot, Scope
from races.status import FinalizedBy, Outcome, RaceStatus, ResultState, may_move

ODDS = ("fixed_win", "fixed_place", "tote_win", "tote_place")
RUNNER_FACTS = ("name", "barrier", "jockey", "trainer")
RUNNER_FIELDS = (*RUNNER_FACTS, "scratched_at", "absent_since")
MEETING_FACTS = ("name", "country", "state", "code", "provider_day", "timezone")
PLAIN_FACTS = ("number", "name", "distance_m", "actual_start", "provider_status", "protest")


def content_hash(told: RaceSnapshot) -> str:
    """A hash of what only a whole answer has: runners, results, dividends; hex."""
    content = [[_as_dict(part) for part in parts or ()] for parts in (told.runners, told.results, told.dividends)]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def new_race(told: RaceSnapshot, *, meeting: Meeting | None, now: datetime) -> Race:
    """The race of a first snapshot, which must have an advertised start."""
    race = Race(provider=told.provider, provider_race_id=told.provider_race_id)
    merge(race, told, meeting=meeting, now=now)
    accept(race, told, now=now)
    race.original_advertised_start = race.advertised_start
    race.version = 1
    return race


def merge(race: Race, told: RaceSnapshot, *, meeting: Meeting | None, now: datetime) -> set[str]:
    """Sets what the snapshot tells; returns the names of the fields that changed, empty where none did."""
    before = _stored(race)
    for name in PLAIN_FACTS:
        if (value := getattr(told, name)) is not None:
            setattr(race, name, value)
    if meeting:
        race.meeting = meeting
    if told.advertised_start:
        _move_start(race, told.advertised_start)
    was_final = race.is_finalized
    _move_status(race, told, now=now)
    if told.scope is Scope.FULL:
        _set_result(race, told, was_final=was_final)
    changed = {name for name, value in _stored(race).items() if before[name] != value}
    if changed:
        race.version += 1
        race.last_changed_at = now
        changed |= {"version", "last_changed_at"}
    return changed


def _stored(race: Race) -> dict[str, Any]:
    return {field.name: getattr(race, field.attname) for field in race._meta.concrete_fields}


def _move_start(race: Race, start: datetime) -> None:
    """What the provider says counts, or what staff said until the provider says something new."""
    if race.provider_start != start:
        race.start_override = None
    race.provider_start = start
    race.advertised_start = race.start_override or start


def _move_status(race: Race, told: RaceSnapshot, *, now: datetime) -> None:
    """An ended race stays ended; a final that only the status tells waits for the result it speaks of."""
    if race.is_finalized or told.status is None:
        return
    status = told.status
    if status is RaceStatus.FINALIZED and told.outcome is Outcome.RESULTED and told.scope is Scope.STATUS:
        status, race.detail_wanted = RaceStatus.IN_PROGRESS, True
    elif told.result_state is not None or status is RaceStatus.SCHEDULED:
        race.result_state = (told.result_state or ResultState.NONE).value
    if may_move(RaceStatus(race.status), status):
        race.status = status.value
    if status is RaceStatus.FINALIZED:
        race.outcome = told.outcome.value if told.outcome else ""
        race.finalized_by, race.finalized_at = FinalizedBy.PROVIDER.value, now


def _set_result(race: Race, told: RaceSnapshot, *, was_final: bool) -> None:
    """Another result is another version of it; once it was final, so are other dividends, and none is no other."""
    race.detail_wanted = False
    race.content_hash, race.left_out = content_hash(told), dict(told.left_out)
    results = race.results if told.results is None else _plain(told.results)
    dividends = race.dividends if told.dividends is None else _plain(told.dividends)
    if was_final:
        results, dividends = results or race.results, dividends or race.dividends
    if results != race.results or (was_final and dividends != race.dividends):
        race.result_version += 1
    race.results, race.dividends = results, dividends


def _plain(parts: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Dataclasses as JSON stores them: decimals as text, tuples as lists."""
    plain: list[dict[str, Any]] = json.loads(json.dumps([_as_dict(part) for part in parts], default=str))
    return plain


def _as_dict(part: Any) -> dict[str, Any]:
    """As dataclasses.asdict, which copies deeply and takes far longer. The slots are the fields, in order."""
    return {name: getattr(part, name) for name in part.__slots__}


def set_meeting(meeting: Meeting, told: MeetingSnapshot) -> bool:
    """Whether anything changed. What was not told (blank) keeps its value."""
    return _set(meeting, {name: value for name in MEETING_FACTS if (value := getattr(told, name))})


def set_runner(runner: Runner, told: RunnerSnapshot, *, now: datetime) -> bool:
    """Whether anything but the odds changed. A scratching may be undone, and a runner come back into the field."""
    scratched_at = (told.scratched_at or runner.scratched_at or now) if told.scratched else None
    facts = {name: getattr(told, name) for name in RUNNER_FACTS}
    return _set(runner, {**facts, "scratched_at": scratched_at, "absent_since": None})


def set_absent(runner: Runner, *, since: datetime) -> bool:
    """Whether the runner was in the field until now. The caller takes its odds off."""
    return runner.absent_since is None and _set(runner, {"absent_since": since})


def clear_odds(runner: Runner) -> bool:
    """Whether there were any odds to take off."""
    return _set(runner, dict.fromkeys(ODDS))


def set_odds(runner: Runner, told: RunnerSnapshot) -> bool:
    """Whether the odds moved."""
    return _set(runner, {name: getattr(told, name) for name in ODDS})


def _set(thing: Meeting | Runner, values: dict[str, Any]) -> bool:
    moved = {name: value for name, value in values.items() if getattr(thing, name) != value}
    for name, value in moved.items():
        setattr(thing, name, value)
    return bool(moved)
