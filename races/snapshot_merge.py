"""How a snapshot changes a meeting, a race and its runners: rules on objects in memory, no database."""

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
BOOKKEEPING = frozenset({"detail_wanted", "unproven_final_at"})  # for our own planning: no content of the race
PLAIN_FACTS = ("number", "name", "distance_m", "actual_start", "provider_status", "protest")


def content_hash(snapshot: RaceSnapshot) -> str:
    """A SHA-256 in hex over what only a full answer has: runners, results and dividends."""
    content = [
        [_as_dict(part) for part in parts or ()] for parts in (snapshot.runners, snapshot.results, snapshot.dividends)
    ]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def new_race(snapshot: RaceSnapshot, *, meeting: Meeting | None, now: datetime) -> Race:
    """Returns an unsaved race made from its first snapshot, which must have an advertised start."""
    race = Race(provider=snapshot.provider, provider_race_id=snapshot.provider_race_id)
    merge_snapshot(race, snapshot, meeting=meeting, now=now)
    accept_answer(race, snapshot, now=now)
    race.original_advertised_start = race.advertised_start
    race.version = 1
    return race


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge did: the names of the fields that changed, the transition, and the status and outcome before."""

    changed: set[str]
    transition: Transition
    status_before: str
    outcome_before: str

    @property
    def has_content(self) -> bool:
        """Whether anything changed besides our own bookkeeping."""
        return not self.changed <= BOOKKEEPING


def merge_snapshot(race: Race, snapshot: RaceSnapshot, *, meeting: Meeting | None, now: datetime) -> MergeResult:
    """Sets on the race what the snapshot reports, and raises its version if any content changed. Saves nothing.

    `meeting` is the stored meeting of the snapshot; None leaves the race in its meeting. What the snapshot does not
    report (None) stays as it is.
    """
    before = _field_values(race)
    is_outdated = race.pk is not None and snapshot.scope is Scope.STATUS and is_detail_outdated(race, snapshot)
    for name in PLAIN_FACTS:
        if (value := getattr(snapshot, name)) is not None:
            setattr(race, name, value)
    if meeting:
        race.meeting = meeting
    if snapshot.advertised_start:
        _move_start(race, snapshot.advertised_start)
    transition = _apply_status(race, snapshot, now=now)
    if race.is_waiting and before["status"] != RaceStatus.SCHEDULED:
        race.actual_start = snapshot.actual_start  # a race that is open again has not jumped
    # A race that staff or Appwrite ended is not polled any more, so its detail could never arrive.
    if is_outdated and race.finalized_by in ("", FinalizedBy.PROVIDER):
        race.detail_wanted = True
    changed = {name for name, value in _field_values(race).items() if before[name] != value}
    if not changed <= BOOKKEEPING:
        race.version += 1
        race.last_changed_at = now
        changed |= {"version", "last_changed_at"}
    return MergeResult(changed, transition, before["provider_status"], before["outcome"])


def _field_values(race: Race) -> dict[str, Any]:
    return {field.name: getattr(race, field.attname) for field in race._meta.concrete_fields}


def _move_start(race: Race, start: datetime) -> None:
    """The provider's start counts, or the start that staff set, until the provider's start changes."""
    if race.provider_start != start:
        race.start_override = None
    race.provider_start = start
    race.advertised_start = race.start_override or start


def _apply_status(race: Race, snapshot: RaceSnapshot, *, now: datetime) -> Transition:
    """Sets status, outcome and result as the table of transitions says, and returns the transition."""
    is_detail = snapshot.scope is Scope.FULL
    has_placing = _has_placing(race.results if snapshot.results is None else snapshot.results)
    stored = transitions.stored_as(RaceStatus(race.status), race.finalized_by, race.outcome)
    is_proven = transitions.is_proven(
        has_placing=has_placing, advertised_start=race.advertised_start, unproven_since=race.unproven_final_at, now=now
    )
    reported = transitions.reported_as(
        snapshot.status, snapshot.outcome, snapshot.result_state, is_detail=is_detail, is_proven=is_proven
    )
    same = transitions.is_same_outcome(race.outcome, snapshot.outcome)
    transition = transitions.find_transition(stored, reported, same_outcome=same)
    was_final = race.is_finalized
    is_called_off = transition is Transition.END and snapshot.outcome in CALLED_OFF
    takes_back = transition in (Transition.REOPEN, Transition.CORRECT) or is_called_off
    is_withdrawn = takes_back and bool(race.results or race.dividends)
    _set_status(race, snapshot, transition, now=now)
    if is_detail:
        _set_result(race, snapshot, transition, was_final=was_final, is_withdrawn=is_withdrawn)
    elif is_withdrawn:
        _replace_result(race, [], [], counts=True)
    if transition is Transition.AGREE and has_placing and not race.outcome:
        race.outcome = Outcome.RESULTED.value
    if stored is not Stored.DECIDED:
        _note_unproven_final(race, reported, now=now)
    _set_result_state(race, snapshot, reported)
    if not is_detail and transition in (Transition.WAIT, Transition.REOPEN):
        race.detail_wanted = True
    return transition


def _set_status(race: Race, snapshot: RaceSnapshot, transition: Transition, *, now: datetime) -> None:
    match transition:
        case Transition.MOVE | Transition.REOPEN if snapshot.status:
            race.status, race.outcome, race.finalized_by, race.finalized_at = snapshot.status.value, "", "", None
        case Transition.WAIT if not race.is_finalized and now >= race.advertised_start:
            race.status = RaceStatus.IN_PROGRESS.value
        case Transition.END | Transition.CORRECT:
            race.status, race.outcome = RaceStatus.FINALIZED.value, snapshot.outcome.value if snapshot.outcome else ""
            race.finalized_by, race.finalized_at = FinalizedBy.PROVIDER.value, now


def _note_unproven_final(race: Race, reported: Reported, *, now: datetime) -> None:
    """Sets `unproven_final_at`: since when the provider reports a Final without proof; None if it does not."""
    if reported in (Reported.NOTHING, Reported.LISTED_FINAL):
        return
    is_final = reported in (Reported.UNPROVEN_FINAL, Reported.PROVEN_FINAL)
    is_complete = race.is_finalized and race.outcome == Outcome.RESULTED and _has_placing(race.results)
    race.unproven_final_at = (race.unproven_final_at or now) if is_final and not is_complete else None
    race.detail_wanted |= race.unproven_final_at is not None


def _set_result_state(race: Race, snapshot: RaceSnapshot, reported: Reported) -> None:
    """Sets `result_state`: a result is interim or final only while there are placings to show."""
    is_final = reported in (Reported.LISTED_FINAL, Reported.UNPROVEN_FINAL, Reported.PROVEN_FINAL)
    if race.outcome in CALLED_OFF or not _has_placing(race.results):
        state = ResultState.NONE
    elif race.is_finalized:
        counts = is_final and race.outcome == Outcome.RESULTED
        state = ResultState.FINAL if counts else ResultState(race.result_state)
    elif is_final or reported is Reported.INTERIM:
        state = ResultState.INTERIM
    elif reported is Reported.OPEN or snapshot.result_state is ResultState.NONE:
        state = ResultState.NONE
    else:
        state = ResultState(race.result_state)
    race.result_state = state.value


def _set_result(
    race: Race, snapshot: RaceSnapshot, transition: Transition, *, was_final: bool, is_withdrawn: bool
) -> None:
    """Stores the result of a full answer and raises `result_version` if it differs from the stored one.

    After a Final, other dividends are another version too, and an answer without a result keeps the stored one. A
    withdrawn result is always another version: what the provider reports now replaces it, even an empty result. The
    result of a Final that is not accepted yet is not stored.
    """
    race.detail_wanted = False
    race.content_hash, race.left_out = content_hash(snapshot), dict(snapshot.left_out)
    results = race.results if snapshot.results is None else _as_json(snapshot.results)
    dividends = race.dividends if snapshot.dividends is None else _as_json(snapshot.dividends)
    if transition is Transition.WAIT:
        results, dividends = race.results, race.dividends
    elif is_withdrawn:
        results, dividends = _as_json(snapshot.results or ()), _as_json(snapshot.dividends or ())
    elif was_final and race.outcome not in CALLED_OFF:
        results, dividends = results or race.results, dividends or race.dividends
    if race.is_finalized and race.outcome in CALLED_OFF:
        # Nothing is paid. A race that staff called off has no result either, whatever the provider reports.
        dividends = []
        results = results if race.finalized_by == FinalizedBy.PROVIDER else []
    moved = results != race.results or (was_final and dividends != race.dividends)
    # The first placings after a withdrawal complete the version that it began.
    completes = not race.results and race.result_version > 0
    # Calling the race off was a version of its own, which said that there is no result.
    is_run_after_all = transition is Transition.CORRECT and race.outcome == Outcome.RESULTED and race.result_version > 0
    counts = is_withdrawn or is_run_after_all or (moved and not completes)
    _replace_result(race, results, dividends, counts=counts)


def _replace_result(race: Race, results: list[Any], dividends: list[Any], *, counts: bool) -> None:
    race.results, race.dividends = results, dividends
    race.result_version += counts


def _has_placing(results: Iterable[Any]) -> bool:
    """Whether any result has a position; takes result snapshots, or results as they are stored."""
    positions = (each["position"] if isinstance(each, dict) else each.position for each in results)
    return any(position is not None for position in positions)


def _as_json(parts: Iterable[Any]) -> list[dict[str, Any]]:
    """Dataclasses as JSON stores them: decimals as text, tuples as lists."""
    stored: list[dict[str, Any]] = json.loads(json.dumps([_as_dict(part) for part in parts], default=str))
    return stored


def _as_dict(part: Any) -> dict[str, Any]:
    """Like `dataclasses.asdict`, which copies deeply and takes far longer. The slots are the fields, in order."""
    return {name: getattr(part, name) for name in part.__slots__}


def set_meeting(meeting: Meeting, snapshot: MeetingSnapshot) -> bool:
    """Sets the reported facts, and returns whether any changed. What is blank in the snapshot keeps its value."""
    return _set_values(meeting, {name: value for name in MEETING_FACTS if (value := getattr(snapshot, name))})


def set_runner(runner: Runner, snapshot: RunnerSnapshot, *, now: datetime) -> bool:
    """Sets the facts but the odds, and returns whether any changed.

    A scratching may be undone, and a runner that was absent may come back into the field.
    """
    scratched_at = (snapshot.scratched_at or runner.scratched_at or now) if snapshot.scratched else None
    facts = {name: getattr(snapshot, name) for name in RUNNER_FACTS} | {"name": snapshot.name or runner.name}
    return _set_values(runner, {**facts, "scratched_at": scratched_at, "absent_since": None})


def set_absent(runner: Runner, *, since: datetime) -> bool:
    """Marks a runner that is missing from the field; returns False if it was marked already. Keeps its odds."""
    return runner.absent_since is None and _set_values(runner, {"absent_since": since})


def clear_odds(runner: Runner) -> bool:
    """Removes the runner's odds, and returns whether it had any."""
    return _set_values(runner, dict.fromkeys(ODDS))


def set_odds(runner: Runner, snapshot: RunnerSnapshot) -> bool:
    """Sets the odds, and returns whether any moved."""
    return _set_values(runner, {name: getattr(snapshot, name) for name in ODDS})


def _set_values(target: Meeting | Runner, values: dict[str, Any]) -> bool:
    changed = {name: value for name, value in values.items() if getattr(target, name) != value}
    for name, value in changed.items():
        setattr(target, name, value)
    return bool(changed)
