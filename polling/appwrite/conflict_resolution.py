"""How staff resolve conflicts: Django's value stays, or Appwrite's is taken after all."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from polling import sync_queue
from polling.appwrite import field_decisions
from polling.appwrite.field_decisions import FIELD_DECISIONS
from polling.appwrite.mapping import is_unreadable
from polling.appwrite.merge import OWNERS, Side, is_plausible_start
from polling.models import SyncConflict
from races.decisions import Actor
from races.models import Race
from races.status import RaceStatus

OURS, THEIRS = "ours", "theirs"
REASON = "Appwrite's value taken"
TAKABLE = [field for field, decision in FIELD_DECISIONS.items() if decision.permission]
May = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Resolved:
    """How many conflicts were resolved as wished, and why others, by their keys, were not."""

    done: int
    refused: dict[int, str]


def take_theirs(conflict_ids: Iterable[int], *, by: Actor, may: May, now: datetime) -> Resolved:
    """Writes Appwrite's values into Django as decisions of `by`. Of two conflicts of one field the later one counts.

    `may` says whether a permission is held. Idempotent; one transaction.
    """
    with transaction.atomic():
        conflicts = _conflicts_in_order(conflict_ids)
        # All of them first: each decision locks only its own, and two in a row would break the order of the locks.
        list(Race.objects.filter(pk__in={conflict.race_id for conflict in conflicts}).locked())
        refused = objections_to_theirs(conflicts, may=may)
        taken = [conflict for conflict in conflicts if conflict.pk not in refused]
        values = defaultdict[str, dict[int, Any]](dict)
        for conflict in taken:
            values[conflict.field][conflict.race_id or 0] = conflict.remote
        changed = field_decisions.take(values, by=by, reason=REASON, now=now)
        _mark_resolved(taken, THEIRS, by=by, now=now)
        if changed:
            transaction.on_commit(sync_queue.request_push, robust=True)
    return Resolved(len(taken), refused)


def keep_ours(conflict_ids: Iterable[int], *, by: Actor, now: datetime) -> Resolved:
    """Marks conflicts as seen: Django's value stands, and is pushed already. Idempotent."""
    with transaction.atomic():
        conflicts = _conflicts_in_order(conflict_ids)
        refused = objections_to_ours(conflicts)
        kept = [conflict for conflict in conflicts if conflict.pk not in refused]
        _mark_resolved(kept, OURS, by=by, now=now)
    return Resolved(len(kept), refused)


def objections_to_theirs(conflicts: Sequence[SyncConflict], *, may: May) -> dict[int, str]:
    """Why Appwrite's value cannot be taken, in words, by the keys of the conflicts where it cannot."""
    races = Race.objects.filter(pk__in={conflict.race_id for conflict in conflicts})
    there = set(races.values_list("pk", flat=True))
    found = {
        conflict.pk: _objection_to(conflict, may=may) if conflict.race_id in there else "the race is gone"
        for conflict in conflicts
    }
    return {key: words for key, words in found.items() if words}


def objections_to_ours(conflicts: Iterable[SyncConflict]) -> dict[int, str]:
    """Why Django's value cannot be kept, by the keys of conflicts: what Appwrite has won needs a new decision."""
    words = "Appwrite's value was taken; to undo it, decide again on the page of the race"
    return {
        conflict.pk: words
        for conflict in conflicts
        if conflict.chosen == Side.REMOTE.value or conflict.resolution == THEIRS
    }


def _conflicts_in_order(conflict_ids: Iterable[int]) -> list[SyncConflict]:
    found = SyncConflict.objects.filter(pk__in=list(conflict_ids)).select_related("state")
    return list(found.order_by("found_at", "pk"))


def _objection_to(conflict: SyncConflict, *, may: May) -> str:
    field, value = conflict.field, conflict.remote
    if field not in OWNERS:
        return "it is about the whole row, which has no value to take"
    if is_unreadable(value):
        return "it cannot be read"
    if field == "poll_requested_at":
        return "the request is an old one; force a poll of the race instead"
    if field not in TAKABLE:
        return f"{field} is the provider's or Django's own: the next poll or push would undo it"
    if field == "status" and value != RaceStatus.FINALIZED.value:
        return "only an end comes in from Appwrite; reopen the race on its page instead"
    if field == "advertised_start" and not is_plausible_start(value):
        return "it is no start that a race could have"
    permission = FIELD_DECISIONS[field].permission
    return "" if may(permission) else f"you lack the permission {permission}"


def _mark_resolved(conflicts: Iterable[SyncConflict], resolution: str, *, by: Actor, now: datetime) -> None:
    """Who resolved a conflict so first stays named."""
    others = SyncConflict.objects.filter(pk__in=[conflict.pk for conflict in conflicts]).exclude(resolution=resolution)
    others.update(resolution=resolution, resolved_by=by.username, resolved_at=now)
