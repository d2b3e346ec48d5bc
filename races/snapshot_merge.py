"""How a snapshot changes a race and its runners: rules on objects in memory, no database."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from races import transitions
from races.answer_age import accept_answer
from races.detail_check import is_detail_outdated
from races.models import Meeting, Race, Runner
from races.snapshots import MeetingSnapshot, RaceSnapshot, RunnerSnapshot, Scope
from races.status import CALLED_OFF, FinalizedBy, Outcome, RaceStatus, ResultState
from races.transitions import Reported, Stored, Transition

ODDS = ("fixed_win", "fixed_place", "tote_win", "tote_place")
RUNNER_FACTS = ("name", "barrier", "jockey", "trainer")
RUNNER_FIELDS = (*RUNNER_FACTS, "scratched_at", "absent_since")
MEETING_FACTS = ("name", "country", "state", "code", "provider_day", "timezone")
BOOKKEEPING = frozenset({"detail_wanted", "bare_final_at"})  # what we note for ourselves: no content of the race
PLAIN_FACTS = ("number", "name", "distance_m", "actual_start", "provider_status", "protest")


def content_hash(told: RaceSnapshot) -> str:
    """A hash of what only a whole answer has: runners, results, dividends; hex."""
    content = [[_as_dict(part) for part in parts or ()] for parts in (told.runners, told.results, told.dividends)]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def new_race(told: RaceSnapshot, *, meeting: Meeting | None, now: datetime) -> Race:
    """The race of a first snapshot, which must have an advertised start."""
    race = Race(provider=told.provider, provider_race_id=told.provider_race_id)
    merge_snapshot(race, told, meeting=meeting, now=now)
    accept_answer(race, told, now=now)
    race.original_advertised_start = race.advertised_start
    race.version = 1
    return race


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The fields that changed, empty where none did; what became of the race, and its words before."""

    changed: set[str]
    transition: Transition
    status_before: str
    outcome_before: str

    @property
    def has_content(self) -> bool:
        """Whether anything changed that others see."""
        return not self.changed <= BOOKKEEPING


def merge_snapshot(race: Race, told: RaceSnapshot, *, meeting: Meeting | None, now: datetime) -> MergeResult:
    """Sets what the snapshot tells."""
    before = _stored(race)
    is_news = race.pk is not None and told.scope is Scope.STATUS and is_detail_outdated(race, told)
    for name in PLAIN_FACTS:
        if (value := getattr(told, name)) is not None:
            setattr(race, name, value)
    if meeting:
        race.meeting = meeting
    if told.advertised_start:
        _move_start(race, told.advertised_start)
    transition = _take_word(race, told, now=now)
    if race.is_waiting and before["status"] != RaceStatus.SCHEDULED:
        race.actual_start = told.actual_start  # what is open again has not jumped
    # What staff or Appwrite ended is polled no more, so that no detail of it can come.
    if is_news and race.finalized_by in ("", FinalizedBy.PROVIDER):
        race.detail_wanted = True
    changed = {name for name, value in _stored(race).items() if before[name] != value}
    if not changed <= BOOKKEEPING:
        race.version += 1
        race.last_changed_at = now
        changed |= {"version", "last_changed_at"}
    return MergeResult(changed, transition, before["provider_status"], before["outcome"])


def _stored(race: Race) -> dict[str, Any]:
    return {field.name: getattr(race, field.attname) for field in race._meta.concrete_fields}


def _move_start(race: Race, start: datetime) -> None:
    """What the provider says counts, or what staff said until the provider says something new."""
    if race.provider_start != start:
        race.start_override = None
    race.provider_start = start
    race.advertised_start = race.start_override or start


def _take_word(race: Race, told: RaceSnapshot, *, now: datetime) -> Transition:
    """Sets status, outcome and result as the table of endings has it; returns what became of the race."""
    is_detail = told.scope is Scope.FULL
    has_placing = _has_placing(race.results if told.results is None else told.results)
    stored = transitions.stored_as(RaceStatus(race.status), race.finalized_by, race.outcome)
    is_proven = transitions.is_proven(
        has_placing=has_placing, advertised_start=race.advertised_start, bare_since=race.bare_final_at, now=now
    )
    reported = transitions.reported_as(
        told.status, told.outcome, told.result_state, is_detail=is_detail, is_proven=is_proven
    )
    same = transitions.is_same_outcome(race.outcome, told.outcome)
    transition = transitions.find_transition(stored, reported, same_outcome=same)
    was_final = race.is_finalized
    is_called_off = transition is Transition.END and told.outcome in CALLED_OFF
    takes_back = transition in (Transition.REOPEN, Transition.CORRECT) or is_called_off
    is_withdrawn = takes_back and bool(race.results or race.dividends)
    _set_status(race, told, transition, now=now)
    if is_detail:
        _set_result(race, told, transition, was_final=was_final, is_withdrawn=is_withdrawn)
    elif is_withdrawn:
        _replace_result(race, [], [], counts=True)
    if transition is Transition.AGREE and has_placing and not race.outcome:
        race.outcome = Outcome.RESULTED.value
    if stored is not Stored.DECIDED:
        _note_bare_final(race, reported, now=now)
    _set_result_state(race, told, reported)
    if not is_detail and transition in (Transition.WAIT, Transition.REOPEN):
        race.detail_wanted = True
    return transition


def _set_status(race: Race, told: RaceSnapshot, transition: Transition, *, now: datetime) -> None:
    match transition:
        case Transition.MOVE | Transition.REOPEN if told.status:
            race.status, race.outcome, race.finalized_by, race.finalized_at = told.status.value, "", "", None
        case Transition.WAIT if not race.is_finalized and now >= race.advertised_start:
            race.status = RaceStatus.IN_PROGRESS.value
        case Transition.END | Transition.CORRECT:
            race.status, race.outcome = RaceStatus.FINALIZED.value, told.outcome.value if told.outcome else ""
            race.finalized_by, race.finalized_at = FinalizedBy.PROVIDER.value, now


def _note_bare_final(race: Race, reported: Reported, *, now: datetime) -> None:
    """Since when the provider reports a Final without proof; None where it does not, or no more."""
    if reported in (Reported.NOTHING, Reported.LISTED_FINAL):
        return
    is_final = reported in (Reported.BARE_FINAL, Reported.PROVEN_FINAL)
    is_complete = race.is_finalized and race.outcome == Outcome.RESULTED and _has_placing(race.results)
    race.bare_final_at = (race.bare_final_at or now) if is_final and not is_complete else None
    race.detail_wanted |= race.bare_final_at is not None


def _set_result_state(race: Race, told: RaceSnapshot, reported: Reported) -> None:
    """A result is interim or final only where there are placings to show."""
    is_final = reported in (Reported.LISTED_FINAL, Reported.BARE_FINAL, Reported.PROVEN_FINAL)
    if race.outcome in CALLED_OFF or not _has_placing(race.results):
        state = ResultState.NONE
    elif race.is_finalized:
        counts = is_final and race.outcome == Outcome.RESULTED
        state = ResultState.FINAL if counts else ResultState(race.result_state)
    elif is_final or reported is Reported.INTERIM:
        state = ResultState.INTERIM
    elif reported is Reported.OPEN or told.result_state is ResultState.NONE:
        state = ResultState.NONE
    else:
        state = ResultState(race.result_state)
    race.result_state = state.value


def _set_result(race: Race, told: RaceSnapshot, transition: Transition, *, was_final: bool, is_withdrawn: bool) -> None:
    """Another result is another version of it; once it was final, so are other dividends, and none is no other.

    A result that was withdrawn is another version in any case: what the provider has now takes its place, be it none.
    That of a Final which is not accepted yet is left out.
    """
    race.detail_wanted = False
    race.content_hash, race.left_out = content_hash(told), dict(told.left_out)
    results = race.results if told.results is None else _plain(told.results)
    dividends = race.dividends if told.dividends is None else _plain(told.dividends)
    if transition is Transition.WAIT:
        results, dividends = race.results, race.dividends
    elif is_withdrawn:
        results, dividends = _plain(told.results or ()), _plain(told.dividends or ())
    elif was_final and race.outcome not in CALLED_OFF:
        results, dividends = results or race.results, dividends or race.dividends
    if race.is_finalized and race.outcome in CALLED_OFF:
        # Nothing is paid; what staff called off has no result either, whatever the provider has.
        dividends = []
        results = results if race.finalized_by == FinalizedBy.PROVIDER else []
    moved = results != race.results or (was_final and dividends != race.dividends)
    # The first placings after a withdrawal complete the version that it began.
    completes = not race.results and race.result_version > 0
    # A race that was called off had its own version, which says that there is no result.
    is_run_after_all = transition is Transition.CORRECT and race.outcome == Outcome.RESULTED and race.result_version > 0
    counts = is_withdrawn or is_run_after_all or (moved and not completes)
    _replace_result(race, results, dividends, counts=counts)


def _replace_result(race: Race, results: list[Any], dividends: list[Any], *, counts: bool) -> None:
    race.results, race.dividends = results, dividends
    race.result_version += counts


def _has_placing(results: Iterable[Any]) -> bool:
    """Whether anything has a position, among result snapshots or results as they are stored."""
    return any(_position(result) is not None for result in results)


def _position(result: Any) -> Any:
    return result["position"] if isinstance(result, dict) else result.position


def _plain(parts: Iterable[Any]) -> list[dict[str, Any]]:
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
    facts = {name: getattr(told, name) for name in RUNNER_FACTS} | {"name": told.name or runner.name}
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
