"""A row met in Appwrite: by the merge it comes into Django, and becomes the base of the next merge."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from polling import dispatch, staff
from polling.appwrite import mapping
from polling.appwrite.mapping import Remote, Values
from polling.appwrite.merge import Plan, merge, outgoing
from polling.appwrite.states import NO_FAILURE, new_state, states
from polling.models import SyncConflict, SyncState, Trigger
from races import decisions
from races.decisions import APPWRITE
from races.models import Race

logger = logging.getLogger(__name__)

REASON = "set in Appwrite"


@dataclass(frozen=True, slots=True)
class Met:
    """A row as it stands in Appwrite; `sent` are the fields that a write of ours has just set in it."""

    race_id: int
    remote: Remote
    sent: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a row: whether Django took something, the conflicts logged, whether there is something to push."""

    taken: bool = False
    conflicts: int = 0
    left: bool = False


def local_values(race: Race) -> Values:
    """A race as its row's values; reads its meeting and runners."""
    return mapping.race_values(race, race.runners.all())


def settle(met: Met, *, now: datetime) -> Settled:
    """Takes into Django what the row's merge says, logs its conflicts and keeps the row as the new base.

    One transaction; idempotent. A row older than the base is an answer that came late, and ignored.
    """
    with transaction.atomic():
        state = _locked_state(met)
        race = _locked_race(met.race_id)
        if race is None or state.base_updated_at > met.remote.updated_at:
            return Settled()
        base = {**mapping.complete(state.base), **met.sent}
        plan = merge(base, local_values(race), met.remote.values)
        if plan.take:
            _take(race, plan.take, now=now)
            race = _locked_race(met.race_id) or race
        left = bool(outgoing(met.remote.values, local_values(race)))
        _keep(state, met.remote, version=race.version, left=left, now=now)
        _log(race, state, plan, now=now)
    return Settled(bool(plan.take), len(plan.clashes), left)


def _locked_state(met: Met) -> SyncState:
    known = states().select_for_update().filter(local_pk=met.race_id).first()
    return known or new_state(met.race_id, met.remote.row_id)


def _locked_race(race_id: int) -> Race | None:
    races = Race.objects.filter(pk=race_id).select_related("meeting").prefetch_related("runners")
    return races.locked().first()


def _keep(state: SyncState, remote: Remote, *, version: int, left: bool, now: datetime) -> None:
    """What is left to push makes the row a candidate again, though the race itself did not change."""
    state.remote_id, state.base = remote.row_id, remote.values
    state.base_updated_at, state.base_sequence = remote.updated_at, remote.sequence
    state.pushed_version = min(state.pushed_version, version - 1) if left else version
    if not left:
        state.synced_at = now
        for name, value in NO_FAILURE.items():
            setattr(state, name, value)
    state.save()


def _log(race: Race, state: SyncState, plan: Plan, *, now: datetime) -> None:
    for clash in plan.clashes:
        logger.info("%s: %s in Appwrite against ours: %s", race, clash.field, clash.policy)
    SyncConflict.objects.bulk_create(
        SyncConflict(
            state=state,
            field=clash.field,
            base=clash.base,
            local=clash.local,
            remote=clash.remote,
            chosen=clash.chosen.value,
            policy=clash.policy,
            found_at=now,
        )
        for clash in plan.clashes
    )


# --- what Django takes, each by the door that staff use ---------------------------------------------------------------


def _take(race: Race, taken: Mapping[str, Any], *, now: datetime) -> None:
    for name, value in taken.items():
        TAKERS[name](race, value, now)


def _end(race: Race, value: str, now: datetime) -> None:
    staff.finalize([race.pk], by=APPWRITE, reason=REASON, now=now)


def _annotate(race: Race, value: str | None, now: datetime) -> None:
    staff.annotate([race.pk], note=value or "", by=APPWRITE, now=now)


def _pause(race: Race, value: bool, now: datetime) -> None:
    decide = staff.pause if value else staff.resume
    decide([race.pk], by=APPWRITE, reason=REASON, now=now)


def _request_poll(race: Race, value: str, now: datetime) -> None:
    decisions.request_poll([race.pk], at=datetime.fromisoformat(value), by=APPWRITE, now=now)
    dispatch.force([race], trigger=Trigger.REMOTE, requested_by=APPWRITE.username, now=now)


TAKERS: dict[str, Callable[[Race, Any, datetime], None]] = {
    "status": _end,
    "staff_note": _annotate,
    "polling_paused": _pause,
    "poll_requested_at": _request_poll,
}
