"""A row found in Appwrite: by the merge it comes into Django, and becomes the base of the next merge."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction

from polling.appwrite import conflicts, field_decisions, mapping
from polling.appwrite.mapping import Remote, Values
from polling.appwrite.merge import (
    MANUAL_OWNERS,
    OWNERS,
    Clash,
    MergePlan,
    Owner,
    Side,
    differing,
    is_plausible_start,
    landed,
    merge,
    outgoing,
)
from polling.appwrite.sync_state import NO_FAILURE, new_state, states
from polling.models import SyncState
from races.decisions import APPWRITE
from races.models import Race

logger = logging.getLogger(__name__)

REASON = "set in Appwrite"
FAR_AHEAD = "later than now: polled at once, and the instant put right"
ABOVE_OURS = "the row knows more than this database: kept until the race is polled"
MOST_AHEAD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class InboundRow:
    """A row of a race as it stands in Appwrite.

    `based_on` is the `$updatedAt` of the base as it stood before the row was written, or read: so a row that somebody
    has back-dated is known from one that comes late.
    """

    race_id: int
    remote: Remote
    based_on: str | None = None

    def comes_late(self, base_updated_at: str) -> bool:
        """Whether a later state of the row has been read meanwhile; it need not be later by its own clock."""
        if self.based_on is not None:
            return base_updated_at != self.based_on
        return base_updated_at > self.remote.updated_at


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of a row: whether Django took something, the conflicts logged, whether there is something to push.

    `merged` says that it became the base; a row that came late, or whose race is gone, does not.
    """

    taken: bool = False
    conflicts: int = 0
    left: bool = False
    merged: bool = False


def local_values(race: Race) -> Values:
    """A race as the values of its row; reads its meeting and runners."""
    return mapping.race_values(race, race.runners.all())


def reconcile(row: InboundRow, *, now: datetime) -> Reconciled:
    """Takes into Django what the merge of a row says, logs its conflicts and keeps the row as the new base.

    One transaction, with state and race under locks; idempotent. A row that comes late is ignored.
    """
    with transaction.atomic():
        known = states().select_for_update().filter(local_pk=row.race_id).first()
        state = known or new_state(row.race_id, row.remote.row_id)
        race = _locked_race(row.race_id)
        if race is None or row.comes_late(state.base_updated_at):
            return Reconciled()
        remote = row.remote.filled(mapping.complete(state.base))
        is_above_ours = _is_above_ours(race, remote)
        if is_above_ours:
            logger.warning("%s: Appwrite has more than this database; the row is kept until the race is polled", race)
        plan = plan_merge(state, race, remote, now=now)
        if any(clash.field == "sync_version" for clash in plan.clashes):
            field_decisions.force_poll(race, now=now)
        if plan.take:
            values = {field: {race.pk: value} for field, value in plan.take.items()}
            field_decisions.take(values, by=APPWRITE, reason=REASON, now=now)
            race = _locked_race(row.race_id) or race
        local = local_values(race)
        undoes = (plan.undoes or state.undo_pending) and bool(differing(remote.values, local))
        left = not is_above_ours and (undoes or bool(outgoing(remote.values, local)))
        state.undo_pending = left and undoes
        _store_base(state, remote, version=race.version, left=left, now=now)
        for clash in plan.clashes:
            logger.info("%s: %s in Appwrite against ours: %s", race, clash.field, clash.policy)
        conflicts.log(state, plan.clashes, race=race, now=now)
    return Reconciled(bool(plan.take), len(plan.clashes), left, merged=True)


def plan_merge(state: SyncState, race: Race, remote: Remote, *, now: datetime) -> MergePlan:
    """What the merge of a race's row says. Changes nothing; `reconcile` carries it out.

    A poll that is requested for an instant far ahead is made; but the instant would make all later requests look old,
    so Django keeps its own, which goes back to the row.
    """
    base = mapping.complete(state.base)
    plan = _merge_by_owners(state, race, remote.filled(base))
    requested = plan.take.get("poll_requested_at")
    if requested is None or datetime.fromisoformat(requested) <= now + MOST_AHEAD:
        return plan
    put_right = mapping.instant(now)
    clash = Clash("poll_requested_at", base["poll_requested_at"], put_right, requested, Side.LOCAL, FAR_AHEAD)
    return replace(plan, take={**plan.take, "poll_requested_at": put_right}, clashes=(*plan.clashes, clash))


def _merge_by_owners(state: SyncState, race: Race, remote: Remote) -> MergePlan:
    values, base = remote.values, mapping.complete(state.base)
    base |= landed(base, state.sent or (), values)
    if state.base_sequence and remote.sequence and state.base_sequence != remote.sequence:
        base = mapping.complete({})  # the row was deleted and created again: nothing of its base holds
    by_hand = not race.provider_race_id and is_plausible_start(values["advertised_start"])
    owners = MANUAL_OWNERS if by_hand else OWNERS
    if not _is_above_ours(race, remote):
        return merge(base, local_values(race), values, owners)
    # This database knows less than the row, so nothing of it may be undone; what staff set there comes in: an end too,
    # unless a result came with it, which only a database of ours can have written.
    is_end_alone = all(values[name] == base[name] for name in ("outcome", "results"))
    theirs = {Owner.SHARED, Owner.STATUS} if is_end_alone else {Owner.SHARED}
    base |= {name: values[name] for name, owner in owners.items() if owner not in theirs}
    plan = merge(base, local_values(race), values, owners)
    known = state.base.get("sync_version")
    if not state.base_updated_at or known == values["sync_version"]:  # a row that is new here, or reported
        return plan
    clash = Clash("sync_version", known, race.version, values["sync_version"], Side.REMOTE, ABOVE_OURS)
    return replace(plan, clashes=(*plan.clashes, clash))


def _is_above_ours(race: Race, remote: Remote) -> bool:
    """Whether the row is ahead of this database, as after a restored backup: it stands until a poll, or a change."""
    return (remote.values["sync_version"] or 0) > race.version


def _locked_race(race_id: int) -> Race | None:
    races = Race.objects.filter(pk=race_id).select_related("meeting").prefetch_related("runners")
    return races.locked().first()


def _store_base(state: SyncState, remote: Remote, *, version: int, left: bool, now: datetime) -> None:
    """What is left to push makes the row a candidate again, though the race itself did not change.

    No write that is under way can land any more in a row that has moved on.
    """
    if state.base_updated_at != remote.updated_at:
        state.sent = None
    state.remote_id, state.base = remote.row_id, remote.values
    state.base_updated_at, state.base_sequence = remote.updated_at, remote.sequence or state.base_sequence
    state.remote_deleted_at = None
    state.pushed_version = min(state.pushed_version, version - 1) if left else version
    if not left:
        state.synced_at = now
        for name, value in NO_FAILURE.items():
            setattr(state, name, value)
    state.save()
