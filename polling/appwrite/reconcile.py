"""A row met in Appwrite: by the merge it comes into Django, and becomes the base of the next merge."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from polling import dispatch
from polling.appwrite import conflicts, mapping
from polling.appwrite.mapping import Remote, Values
from polling.appwrite.merge import (
    MANUAL_OWNERS,
    OWNERS,
    Clash,
    Owner,
    Plan,
    Side,
    differing,
    is_start,
    landed,
    merge,
    outgoing,
)
from polling.appwrite.sync_state import NO_FAILURE, new_state, states
from polling.models import SyncState, Trigger
from polling.planning import replan
from races import decisions
from races.decisions import APPWRITE
from races.models import Race

logger = logging.getLogger(__name__)

REASON = "set in Appwrite"
FAR_AHEAD = "later than now: polled at once, and the instant put right"
ABOVE_OURS = "the row knows more than this database: kept until the race is polled"
PLANNED_BY = {"status", "advertised_start", "polling_paused"}
MOST_AHEAD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Met:
    """A row as it stands in Appwrite.

    `based_on` is the `$updatedAt` of the base as it stood before the row was written, or read: so a row that somebody
    has back-dated is told from one that comes late.
    """

    race_id: int
    remote: Remote
    based_on: str | None = None

    def comes_late(self, base_updated_at: str) -> bool:
        """Whether a later state of the row has been met meanwhile; it need not be later by its own clock."""
        if self.based_on is not None:
            return base_updated_at != self.based_on
        return base_updated_at > self.remote.updated_at


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a row: whether Django took something, the conflicts logged, whether there is something to push.

    `merged` says that it became the base; a row that came late, or whose race is gone, does not.
    """

    taken: bool = False
    conflicts: int = 0
    left: bool = False
    merged: bool = False


def local_values(race: Race) -> Values:
    """A race as its row's values; reads its meeting and runners."""
    return mapping.race_values(race, race.runners.all())


def settle(met: Met, *, now: datetime) -> Settled:
    """Takes into Django what the row's merge says, logs its conflicts and keeps the row as the new base.

    One transaction; idempotent. An answer that came late is ignored.
    """
    with transaction.atomic():
        state = _locked_state(met)
        race = _locked_race(met.race_id)
        if race is None or met.comes_late(state.base_updated_at):
            return Settled()
        met = replace(met, remote=met.remote.filled(mapping.complete(state.base)))
        forgotten = _is_forgotten(race, met.remote)
        if forgotten:
            logger.warning("%s: Appwrite has more than this database; the row is kept until the race is polled", race)
        plan = planned(state, race, met, now=now)
        if any(clash.field == "sync_version" for clash in plan.clashes):
            _force_poll(race, now=now)
        if plan.take:
            _take(race, plan.take, now=now)
            race = _locked_race(met.race_id) or race
        local = local_values(race)
        undoes = (plan.undoes or state.undo_pending) and bool(differing(met.remote.values, local))
        left = not forgotten and (undoes or bool(outgoing(met.remote.values, local)))
        state.undo_pending = left and undoes
        _keep(state, met.remote, version=race.version, left=left, now=now)
        for clash in plan.clashes:
            logger.info("%s: %s in Appwrite against ours: %s", race, clash.field, clash.policy)
        conflicts.log(state, plan.clashes, race=race, now=now)
    return Settled(bool(plan.take), len(plan.clashes), left, merged=True)


def planned(state: SyncState, race: Race, met: Met, *, now: datetime) -> Plan:
    """What the merge of a row says. Changes nothing.

    A poll that is requested for an instant far ahead is made; but the instant would make all later requests look old,
    so Django keeps its own, which goes back to the row.
    """
    plan = _merged(state, race, met)
    requested = plan.take.get("poll_requested_at")
    if requested is None or datetime.fromisoformat(requested) <= now + MOST_AHEAD:
        return plan
    base = mapping.complete(state.base)["poll_requested_at"]
    clash = Clash("poll_requested_at", base, mapping.instant(now), requested, Side.LOCAL, FAR_AHEAD)
    return replace(plan, take={**plan.take, "poll_requested_at": clash.local}, clashes=(*plan.clashes, clash))


def _merged(state: SyncState, race: Race, met: Met) -> Plan:
    remote = met.remote.filled(mapping.complete(state.base)).values
    by_hand = not race.provider_race_id and is_start(remote["advertised_start"])
    owners = MANUAL_OWNERS if by_hand else OWNERS
    base = _base(state, met.remote)
    if _is_forgotten(race, met.remote):
        # This database knows less than the row, so nothing of it may be undone; what staff set there comes in.
        theirs = {Owner.SHARED, Owner.STATUS} if _is_end_alone(base, remote) else {Owner.SHARED}
        known = state.base.get("sync_version")
        base |= {name: remote[name] for name, owner in owners.items() if owner not in theirs}
        plan = merge(base, local_values(race), remote, owners)
        if not state.base_updated_at or known == remote["sync_version"]:  # a row that is new here, or reported
            return plan
        clash = Clash("sync_version", known, race.version, remote["sync_version"], Side.REMOTE, ABOVE_OURS)
        return replace(plan, clashes=(*plan.clashes, clash))
    return merge(base, local_values(race), remote, owners)


def _base(state: SyncState, remote: Remote) -> Values:
    """What both sides last agreed on, with what a write of ours has set since; nothing of a row that is another."""
    if state.base_sequence and remote.sequence and state.base_sequence != remote.sequence:
        return mapping.complete({})
    base = mapping.complete(state.base)
    return base | landed(base, state.sent or (), remote.values)


def _is_end_alone(base: Values, remote: Values) -> bool:
    """Whether no result came with the status: an end that a person has set, and not Django."""
    return all(remote[name] == base[name] for name in ("outcome", "results"))


def _is_forgotten(race: Race, remote: Remote) -> bool:
    """Whether a database of ours wrote the row that knew more, and is lost: it stands until a poll, or a change."""
    return (remote.values["sync_version"] or 0) > race.version


def _locked_state(met: Met) -> SyncState:
    known = states().select_for_update().filter(local_pk=met.race_id).first()
    return known or new_state(met.race_id, met.remote.row_id)


def _locked_race(race_id: int) -> Race | None:
    races = Race.objects.filter(pk=race_id).select_related("meeting").prefetch_related("runners")
    return races.locked().first()


def _keep(state: SyncState, remote: Remote, *, version: int, left: bool, now: datetime) -> None:
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


# --- what Django takes, each with its audit entry ---------------------------------------------------------------------


def _take(race: Race, taken: Mapping[str, Any], *, now: datetime) -> None:
    for name, value in taken.items():
        TAKERS[name](race, value, now)
    if not PLANNED_BY.isdisjoint(taken):
        replan([race.pk], now=now)


def _end(race: Race, value: str, now: datetime) -> None:
    decisions.finalize([race.pk], by=APPWRITE, reason=REASON, now=now)


def _move_start(race: Race, value: str, now: datetime) -> None:
    decisions.override_starts({race.pk: datetime.fromisoformat(value)}, by=APPWRITE, now=now)


def _annotate(race: Race, value: str | None, now: datetime) -> None:
    decisions.annotate([race.pk], note=value or "", by=APPWRITE, now=now)


def _pause(race: Race, value: bool, now: datetime) -> None:
    decide = decisions.pause if value else decisions.resume
    decide([race.pk], by=APPWRITE, reason=REASON, now=now)


def _request_poll(race: Race, value: str, now: datetime) -> None:
    decisions.request_poll([race.pk], at=datetime.fromisoformat(value), by=APPWRITE, now=now)
    _force_poll(race, now=now)


def _force_poll(race: Race, *, now: datetime) -> None:
    force = partial(dispatch.force, [race], trigger=Trigger.REMOTE, requested_by=APPWRITE.username, now=now)
    # After the commit: a claim made under the race's lock would meet the tick, which locks the other way round.
    transaction.on_commit(force, robust=True)


TAKERS: dict[str, Callable[[Race, Any, datetime], None]] = {
    "status": _end,
    "advertised_start": _move_start,
    "staff_note": _annotate,
    "polling_paused": _pause,
    "poll_requested_at": _request_poll,
}
