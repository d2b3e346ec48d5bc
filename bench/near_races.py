"""Races that the provider is steered to start soon: as many in their last five minutes as a bench wants."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bench.provider import Provider
from polling import importing
from polling.planning import cadence_of
from races.models import Race


def bring_near(source: Provider, starts: Sequence[datetime], *, now: datetime) -> dict[str, Race]:
    """Races with these starts, by the provider's id; all others of the card are deleted."""
    importing.import_schedule("sandbox", now=now, deadline_seconds=60)
    latest = Race.objects.order_by("-advertised_start")
    chosen = list(latest.values_list("provider_race_id", flat=True)[: len(starts)])
    assert len(chosen) == len(starts), f"the card holds {len(chosen)} races, {len(starts)} are wanted"
    for race_id, start in zip(chosen, starts, strict=True):
        source.steer(race_id, advertised_start=start.isoformat(), status="Open")
    Race.objects.all().delete()
    importing.import_schedule("sandbox", now=now, deadline_seconds=60)
    Race.objects.exclude(provider_race_id__in=chosen).delete()
    source.clear_requests()
    return {race.provider_race_id: race for race in Race.objects.all()}


def in_groups(first: datetime, *, groups: int, each: int, apart: timedelta) -> list[datetime]:
    """Starts of groups of races: those of one group fall due at the same ticks."""
    return [first + group * apart for group in range(groups) for _ in range(each)]


def last_five_minutes_slots(race: Race, since: datetime, until: datetime) -> list[datetime]:
    """The slots of the race's last five minutes that lie between two instants."""
    cadence = cadence_of(race)
    start = cadence.anchor(race.advertised_start)
    return cadence.between(
        race.advertised_start, since=max(since, start - timedelta(minutes=5)), until=min(until, start)
    )
