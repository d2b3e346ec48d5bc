"""Disputes: races that staff or Appwrite ended and the provider reports otherwise, an incident for each.

Call everything here with the races locked; that keeps an incident from being opened twice.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from polling.models import Incident, IncidentKind
from races.models import Race

DISPUTED = IncidentKind.DISPUTED.value
LONGEST_REASON = 200


def begin(reasons: Mapping[Race, str], *, now: datetime) -> list[Race]:
    """Opens an incident for each race that has none open, with both sides' reports as its reason; returns those races.

    An open one takes the newest reason. Where staff have settled a dispute, the same reason opens no other.
    """
    cut = {race: reason[:LONGEST_REASON] for race, reason in reasons.items()}
    if not cut:
        return []
    known = Incident.objects.filter(kind=DISPUTED, race__in=[race.pk for race in cut])
    newest = {incident.race_id: incident for incident in known.order_by("began_at", "pk")}
    begun, reworded = [], []
    for race, reason in cut.items():
        incident = newest.get(race.pk)
        if incident and incident.ended_at is None:
            if incident.reason != reason:
                incident.reason = reason
                reworded.append(incident)
        elif not (incident and incident.settled_by and incident.reason == reason):
            begun.append(race)
    Incident.objects.bulk_update(reworded, ["reason"])
    Incident.objects.bulk_create(
        Incident(provider=race.provider, race=race, kind=DISPUTED, began_at=now, reason=cut[race]) for race in begun
    )
    return begun


def end(races: Iterable[Race], *, now: datetime) -> list[int]:
    """Closes the open incidents of these races, whose provider agrees now; returns the primary keys of their races."""
    return _close_open([race.pk for race in races], now=now)


def settle(race_ids: Iterable[int], *, by: str, now: datetime) -> list[int]:
    """Closes the open incidents of these races by a person's decision; returns the primary keys of their races.

    The decision stands until the provider reports something else.
    """
    return _close_open(list(race_ids), settled_by=by, now=now)


def _close_open(race_ids: list[int], *, settled_by: str = "", now: datetime) -> list[int]:
    still_open = Incident.objects.filter(kind=DISPUTED, race__in=race_ids, ended_at=None)
    closed = [race_id for race_id in still_open.values_list("race", flat=True) if race_id is not None]
    if closed:
        still_open.update(ended_at=now, settled_by=settled_by)
    return closed
