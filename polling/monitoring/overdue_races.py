"""Flags races that do not end, an hour and six hours past their start, and those whose Final brings no result."""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from polling.planning import is_unknown
from races.bulk import write_fields
from races.models import Race
from races.status import TERMINAL, Escalation, RaceStatus

logger = logging.getLogger(__name__)

LATE_AFTER, OVERDUE_AFTER = timedelta(hours=1), timedelta(hours=6)  # the advertised start
NO_RESULT_AFTER = timedelta(minutes=30)
MOST_NAMED = 5
MESSAGES = {
    Escalation.LATE: (logger.warning, "%d races have started long ago and not ended (late): %s"),
    Escalation.OVERDUE: (logger.error, "%d races have started long ago and not ended (overdue): %s"),
    Escalation.NO_RESULT: (logger.error, "%d races have been Final for half an hour without a result: %s"),
}


def escalation(
    status: RaceStatus, advertised_start: datetime, *, unproven_final_at: datetime | None = None, now: datetime
) -> Escalation:
    """The escalation that staff see on a race. A race that does not end is never ended by racepoll itself."""
    since_start = now - advertised_start
    is_open = status not in TERMINAL
    if is_open and since_start >= OVERDUE_AFTER:
        return Escalation.OVERDUE
    if unproven_final_at is not None and now - unproven_final_at >= NO_RESULT_AFTER:
        return Escalation.NO_RESULT
    return Escalation.LATE if is_open and since_start >= LATE_AFTER else Escalation.NONE


def escalate(*, now: datetime) -> None:
    """Flags races as their time passes, and takes the flag from those that ended, have a result or moved.

    Each flag that is set is reported once, all races of one kind in one message.
    """
    late = Race.objects.open().filter(advertised_start__lte=now - LATE_AFTER)
    without_result = Race.objects.filter(unproven_final_at__lte=now - NO_RESULT_AFTER)
    flagged = Race.objects.exclude(escalation=Escalation.NONE.value)
    stale = [race.pk for race in late | without_result | flagged if race.escalation != _escalation_of(race, now=now)]
    with transaction.atomic():
        changed = list(Race.objects.filter(pk__in=stale).select_related("meeting").locked())
        for race in changed:
            race.escalation = _escalation_of(race, now=now).value
        write_fields(changed, ["escalation"])
    for flag, (say, text) in MESSAGES.items():
        if races := [race for race in changed if race.escalation == flag.value]:
            say(text, len(races), _names_of_races(races, now=now))


def _escalation_of(race: Race, *, now: datetime) -> Escalation:
    """The flag that a race should have now."""
    # Nobody has asked yet how it stands, as of the old races of a card that has just been imported.
    if race.last_attempt_at is None and race.next_poll_at and now - race.next_poll_at < LATE_AFTER:
        return Escalation.NONE
    return escalation(RaceStatus(race.status), race.advertised_start, unproven_final_at=race.unproven_final_at, now=now)


def _names_of_races(races: list[Race], *, now: datetime) -> str:
    """The first few by name, each marked where the provider knows it no more and lists another in its place."""
    named = []
    for race in races[:MOST_NAMED]:
        unknown = ", not known to the provider" if is_unknown(race.last_error, race.failures) else ""
        named.append(f"{race.name_at(now)} of {race.advertised_start:%d %b %H:%M} UTC{unknown}")
    names, more = ", ".join(named), len(races) - MOST_NAMED
    return f"{names} and {more} more" if more > 0 else names
