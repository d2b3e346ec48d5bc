"""Races that staff or Appwrite ended and the provider reports otherwise: an incident each, with both words in it.

Call everything here with the races locked; that keeps an incident from being opened twice.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import QuerySet

from polling.models import Incident, IncidentKind
from races.models import Race

DISPUTED = IncidentKind.DISPUTED.value
LONGEST_REASON = 200


def begin(words: Mapping[Race, str], *, now: datetime) -> list[Race]:
    """Opens an incident for each race that has none open; returns those races.

    An open one takes the newest words. Where staff have settled a dispute, the same words open no other.
    """
    reasons = {race: text[:LONGEST_REASON] for race, text in words.items()}
    if not reasons:
        return []
    newest = {incident.race_id: incident for incident in _of(reasons).order_by("began_at", "pk")}
    begun = []
    for race, reason in reasons.items():
        known = newest.get(race.pk)
        if known and known.ended_at is None:
            if known.reason != reason:
                known.reason = reason
                known.save(update_fields=["reason"])
        elif not (known and known.settled_by and known.reason == reason):
            begun.append(race)
    Incident.objects.bulk_create(
        Incident(provider=race.provider, race=race, kind=DISPUTED, began_at=now, reason=reasons[race]) for race in begun
    )
    return begun


def end(races: Iterable[Race], *, now: datetime) -> list[int]:
    """Closes the open incidents of these races, whose provider agrees now; returns the keys of the races."""
    keys = {race.pk for race in races}
    still_open = (
        Incident.objects.filter(kind=DISPUTED, race__in=keys, ended_at=None) if keys else Incident.objects.none()
    )
    ended = list(still_open.values_list("race", flat=True))
    if ended:
        still_open.update(ended_at=now)
    return [key for key in ended if key is not None]


def settle(race_ids: Iterable[int], *, by: str, now: datetime) -> list[int]:
    """Closes them by a person's decision, which stands until the words change; returns the keys of the races."""
    return _close(list(race_ids), settled_by=by, now=now)


def _of(races: Iterable[Race]) -> QuerySet[Incident]:
    return Incident.objects.filter(kind=DISPUTED, race__in=[race.pk for race in races])


def _close(race_ids: list[int], *, settled_by: str = "", now: datetime) -> list[int]:
    still_open = Incident.objects.filter(kind=DISPUTED, race__in=race_ids, ended_at=None)
    closed = [key for key in still_open.values_list("race", flat=True) if key is not None]
    if closed:
        still_open.update(ended_at=now, settled_by=settled_by)
    return closed
