"""Tells staff of races that do not end: once an hour past their start, again, as an alert, six hours past it."""

import logging
from datetime import datetime

from django.db import transaction

from races.bulk import write_fields
from races.models import Race
from races.status import LATE_AFTER, Escalation, RaceStatus, escalation

logger = logging.getLogger(__name__)

SAY = {Escalation.LATE: logger.warning, Escalation.OVERDUE: logger.error}


def escalate(*, now: datetime) -> None:
    """Flags races as their hours pass, and takes the flag from those that ended or whose start moved."""
    late = Race.objects.open().filter(advertised_start__lte=now - LATE_AFTER)
    flagged = Race.objects.exclude(escalation=Escalation.NONE.value)
    stale = [race.pk for race in late | flagged if race.escalation != _stage(race, now=now)]
    with transaction.atomic():
        changed = list(Race.objects.filter(pk__in=stale).select_related("meeting").locked())
        for race in changed:
            race.escalation = _stage(race, now=now).value
        write_fields(changed, ["escalation"])
    for stage, say in SAY.items():
        if races := [race for race in changed if race.escalation == stage.value]:
            say("%d races have started long ago and not ended (%s): %s", len(races), stage.value, _names(races))


def _stage(race: Race, *, now: datetime) -> Escalation:
    if _awaits_its_first_poll(race, now=now):
        return Escalation.NONE
    return escalation(RaceStatus(race.status), race.advertised_start, now=now)


def _awaits_its_first_poll(race: Race, *, now: datetime) -> bool:
    """Whether nobody has asked how the race stands, as of the old ones of a card that has just been imported."""
    return race.last_attempt_at is None and race.next_poll_at is not None and now - race.next_poll_at < LATE_AFTER


def _names(races: list[Race], most: int = 5) -> str:
    names = ", ".join(f"{race} of {race.advertised_start:%d %b %H:%M} UTC" for race in races[:most])
    return names if len(races) <= most else f"{names} and {len(races) - most} more"
