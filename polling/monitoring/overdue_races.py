"""Flags races that do not end, an hour and six hours past their start, and those whose Final brings no result."""

import logging
from datetime import datetime

from django.db import transaction

from polling.planning import is_unknown
from races.bulk import write_fields
from races.models import Race
from races.status import LATE_AFTER, NO_RESULT_AFTER, Escalation, RaceStatus, escalation

logger = logging.getLogger(__name__)

SAY = {
    Escalation.LATE: (logger.warning, "%d races have started long ago and not ended (late): %s"),
    Escalation.OVERDUE: (logger.error, "%d races have started long ago and not ended (overdue): %s"),
    Escalation.NO_RESULT: (logger.error, "%d races have been Final for half an hour without a result: %s"),
}


def escalate(*, now: datetime) -> None:
    """Flags races as their time passes, and takes the flag from those that ended, have a result or moved."""
    late = Race.objects.open().filter(advertised_start__lte=now - LATE_AFTER)
    bare = Race.objects.filter(bare_final_at__lte=now - NO_RESULT_AFTER)
    flagged = Race.objects.exclude(escalation=Escalation.NONE.value)
    stale = [race.pk for race in late | bare | flagged if race.escalation != _stage(race, now=now)]
    with transaction.atomic():
        changed = list(Race.objects.filter(pk__in=stale).select_related("meeting").locked())
        for race in changed:
            race.escalation = _stage(race, now=now).value
        write_fields(changed, ["escalation"])
    for stage, (say, text) in SAY.items():
        if races := [race for race in changed if race.escalation == stage.value]:
            say(text, len(races), _names(races, now=now))


def _stage(race: Race, *, now: datetime) -> Escalation:
    if _awaits_its_first_poll(race, now=now):
        return Escalation.NONE
    return escalation(RaceStatus(race.status), race.advertised_start, bare_final_at=race.bare_final_at, now=now)


def _awaits_its_first_poll(race: Race, *, now: datetime) -> bool:
    """Whether nobody has asked how the race stands, as of the old ones of a card that has just been imported."""
    return race.last_attempt_at is None and race.next_poll_at is not None and now - race.next_poll_at < LATE_AFTER


def _names(races: list[Race], *, now: datetime, most: int = 5) -> str:
    names = ", ".join(_name(race, now=now) for race in races[:most])
    return names if len(races) <= most else f"{names} and {len(races) - most} more"


def _name(race: Race, *, now: datetime) -> str:
    """With what tells it from the race that is listed in its place."""
    gone = ", not known to the provider" if is_unknown(race.last_error, race.failures) else ""
    return f"{race.name_at(now)} of {race.advertised_start:%d %b %H:%M} UTC{gone}"
