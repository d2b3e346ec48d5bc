"""The fields of a race that Django takes from Appwrite, each by a decision of racing that a permission guards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from polling import dispatch
from polling.models import Trigger
from polling.planning import replan
from races import decisions
from races.decisions import APPWRITE, Actor
from races.models import Race

Changed = list[int]


@dataclass(frozen=True, slots=True)
class FieldDecision:
    """How one field is taken: `decide` gets values by the keys of their races, who decides, why and when.

    `permission` is what staff need who take the value in a conflict; empty where only a pull takes it.
    """

    permission: str
    decide: Callable[[Mapping[int, Any], Actor, str, datetime], Changed]


def take(values: Mapping[str, Mapping[int, Any]], *, by: Actor, reason: str, now: datetime) -> set[int]:
    """Writes Appwrite's values into Django as decisions of `by`, with their audit entries, and plans the races again.

    `values` holds for each field canonical values by the keys of their races. Idempotent; returns the keys of the races
    that changed. Call it in a transaction that has locked all of these races.
    """
    changed = set[int]()
    for field, decision in FIELD_DECISIONS.items():
        if field in values:
            changed.update(decision.decide(values[field], by, reason, now))
    replan(changed, now=now)
    return changed


def force_poll(race: Race, *, now: datetime) -> None:
    """Polls a race as Appwrite's wish, once the transaction is committed."""
    force = partial(dispatch.force, [race], trigger=Trigger.REMOTE, requested_by=APPWRITE.username, now=now)
    # After the commit, in a transaction of its own: a claim locks its races and then their poll logs, and must not wait
    # for those while the locks of the merge, on the row's SyncState and on the race, are held.
    transaction.on_commit(force, robust=True)


def _finalize_races(values: Mapping[int, Any], by: Actor, reason: str, now: datetime) -> Changed:
    return decisions.finalize(values, by=by, reason=reason, now=now)


def _move_starts(values: Mapping[int, Any], by: Actor, reason: str, now: datetime) -> Changed:
    starts = {race_id: datetime.fromisoformat(start) for race_id, start in values.items()}
    return decisions.override_starts(starts, by=by, now=now)


def _annotate_races(values: Mapping[int, Any], by: Actor, reason: str, now: datetime) -> Changed:
    return decisions.annotate_each({race_id: note or "" for race_id, note in values.items()}, by=by, now=now)


def _pause_polling(values: Mapping[int, Any], by: Actor, reason: str, now: datetime) -> Changed:
    paused = [race_id for race_id, is_paused in values.items() if is_paused]
    changed = decisions.pause(paused, by=by, reason=reason, now=now)
    return changed + decisions.resume(values.keys() - paused, by=by, reason=reason, now=now)


def _request_polls(values: Mapping[int, Any], by: Actor, reason: str, now: datetime) -> Changed:
    changed = []
    for race in Race.objects.filter(pk__in=list(values)):
        instant = datetime.fromisoformat(values[race.pk])
        changed += decisions.request_poll([race.pk], at=instant, by=by, now=now)
        force_poll(race, now=now)
    return changed


FIELD_DECISIONS = {
    "status": FieldDecision("races.finalize_race", _finalize_races),
    "advertised_start": FieldDecision("races.change_race", _move_starts),
    "staff_note": FieldDecision("races.change_race", _annotate_races),
    "polling_paused": FieldDecision("races.pause_race", _pause_polling),
    "poll_requested_at": FieldDecision("", _request_polls),
}
