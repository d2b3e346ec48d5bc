"""What a person makes of conflicts: Django's value stays, or Appwrite's is taken after all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from polling import sync_queue
from polling.appwrite.mapping import is_unreadable
from polling.appwrite.merge import OWNERS, Side, is_start
from polling.models import SyncConflict
from polling.planning import replan
from races import decisions
from races.decisions import Actor
from races.models import Race
from races.status import RaceStatus

OURS, THEIRS = "ours", "theirs"
REASON = "Appwrite's value taken"
May = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Resolved:
    """How many conflicts were settled as wished, and why others, by their keys, were not."""

    done: int
    refused: dict[int, str]


def take_theirs(conflict_ids: Iterable[int], *, by: Actor, may: May, now: datetime) -> Resolved:
    """Writes Appwrite's values into Django as decisions of `by`. Of two conflicts of one field the later one counts.

    `may` tells whether a permission is held. Idempotent; one transaction.
    """
    with transaction.atomic():
        conflicts = _of(conflict_ids)
        # All of them first: each decision locks only its own, and two in a row would break the order of the locks.
        races = list(Race.objects.filter(pk__in={conflict.race_id for conflict in conflicts}).locked())
        refused = _objections(conflicts, races, may=may)
        taken = [conflict for conflict in conflicts if conflict.pk not in refused]
        changed = _decide(taken, by=by, now=now)
        _resolve(taken, THEIRS, by=by, now=now)
        replan(changed, now=now)
        if changed:
            transaction.on_commit(sync_queue.request_push, robust=True)
    return Resolved(len(taken), refused)


def keep_ours(conflict_ids: Iterable[int], *, by: Actor, now: datetime) -> Resolved:
    """Marks conflicts as seen: Django's value stands, and is pushed already. Idempotent."""
    with transaction.atomic():
        conflicts = _of(conflict_ids)
        refused = objections_to_ours(conflicts)
        kept = [conflict for conflict in conflicts if conflict.pk not in refused]
        _resolve(kept, OURS, by=by, now=now)
    return Resolved(len(kept), refused)


def objections_to_theirs(conflicts: Sequence[SyncConflict], *, may: May) -> dict[int, str]:
    """Why Appwrite's value cannot be taken, in words, by the keys of the conflicts where it cannot."""
    races = Race.objects.filter(pk__in={conflict.race_id for conflict in conflicts})
    return _objections(conflicts, races, may=may)


def objections_to_ours(conflicts: Iterable[SyncConflict]) -> dict[int, str]:
    """As for theirs: what Appwrite has won is undone by a new decision about the race."""
    words = "Appwrite's value was taken; to undo it, decide anew on the page of the race"
    return {
        conflict.pk: words
        for conflict in conflicts
        if conflict.chosen == Side.REMOTE.value or conflict.resolution == THEIRS
    }


def _of(conflict_ids: Iterable[int]) -> list[SyncConflict]:
    found = SyncConflict.objects.filter(pk__in=list(conflict_ids)).select_related("state")
    return list(found.order_by("found_at", "pk"))


def _objections(conflicts: Sequence[SyncConflict], races: Iterable[Race], *, may: May) -> dict[int, str]:
    there = {race.pk for race in races}
    found = {
        conflict.pk: _objection(conflict, may=may) if conflict.race_id in there else "the race is gone"
        for conflict in conflicts
    }
    return {key: words for key, words in found.items() if words}


def _objection(conflict: SyncConflict, *, may: May) -> str:
    field, value = conflict.field, conflict.remote
    if field not in OWNERS:
        return "it is about the whole row, which has no value to take"
    if is_unreadable(value):
        return "it cannot be read"
    if field == "poll_requested_at":
        return "the request is an old one; force a poll of the race instead"
    if field not in TAKERS:
        return f"{field} is the provider's or Django's own: the next poll or push would undo it"
    if field == "status" and value != RaceStatus.FINALIZED.value:
        return "only an end comes in from Appwrite; reopen the race on its page instead"
    if field == "advertised_start" and not is_start(value):
        return "it is no start that a race could have"
    permission = TAKERS[field].permission
    return "" if may(permission) else f"you lack the permission {permission}"


def _decide(conflicts: Sequence[SyncConflict], *, by: Actor, now: datetime) -> set[int]:
    """The races that changed."""
    changed = set[int]()
    for field, taker in TAKERS.items():
        values = {race: told.remote for told in conflicts if told.field == field and (race := told.race_id)}
        if values:
            changed |= set(taker.take(values, by, now))
    return changed


def _resolve(conflicts: Iterable[SyncConflict], resolution: str, *, by: Actor, now: datetime) -> None:
    """Who settled it so first stays named."""
    others = SyncConflict.objects.filter(pk__in=[conflict.pk for conflict in conflicts]).exclude(resolution=resolution)
    others.update(resolution=resolution, resolved_by=by.username, resolved_at=now)


# --- what can be taken, and who may take it ---------------------------------------------------------------------------


def _end(values: Mapping[int, Any], by: Actor, now: datetime) -> list[int]:
    return decisions.finalize(values, by=by, reason=REASON, now=now)


def _annotate(values: Mapping[int, Any], by: Actor, now: datetime) -> list[int]:
    return decisions.annotate_each({key: note or "" for key, note in values.items()}, by=by, now=now)


def _pause(values: Mapping[int, Any], by: Actor, now: datetime) -> list[int]:
    paused = [key for key, is_paused in values.items() if is_paused]
    resumed = values.keys() - paused
    return [
        *decisions.pause(paused, by=by, reason=REASON, now=now),
        *decisions.resume(resumed, by=by, reason=REASON, now=now),
    ]


def _move(values: Mapping[int, Any], by: Actor, now: datetime) -> list[int]:
    starts = {key: datetime.fromisoformat(start) for key, start in values.items()}
    return decisions.override_starts(starts, by=by, now=now)


@dataclass(frozen=True, slots=True)
class Taker:
    """The permission that taking a field wants, and the decision that takes it: races and values to races changed."""

    permission: str
    take: Callable[[Mapping[int, Any], Actor, datetime], list[int]]


TAKERS = {
    "staff_note": Taker("races.change_race", _annotate),
    "polling_paused": Taker("races.pause_race", _pause),
    "advertised_start": Taker("races.change_race", _move),
    "status": Taker("races.finalize_race", _end),
}
