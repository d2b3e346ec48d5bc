"""Polls of one race in its last five minutes, with ticks that come up to a second late."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from bench.figures import Bar, Figure, median
from bench.literal_rule import LastFiveMinutes, last_five_minutes, polls
from bench.provider import Provider, provider
from bench.run_options import RunOptions
from bench.virtual_day import VirtualDay, slots
from polling.planning import default_cadence
from races.models import Race
from sandbox.provider.race import Race as SimulatedRace
from sandbox.provider.race import race_at
from sandbox.provider.race_grid import position_at

SEED = 7
FROM = datetime.fromisoformat("2026-11-23T03:00:00+00:00")


def run(options: RunOptions) -> Iterator[Figure]:
    """Ten races one after another, each alone: the fewest polls and the longest gap of them all."""
    ours, theirs = [], []
    with provider(seed=SEED, now=FROM) as source:
        for race in _steady_races(options.sized(10, 2)):
            real, rule = _follow_race(source, race)
            ours.append(real)
            theirs.append(rule)
    literal = {
        "literal_polls": sorted(seen.polls for seen in theirs),
        "literal_longest_gap_s": round(max(seen.longest_gap for seen in theirs), 2),
        "literal_median_gap_s": round(median([seen.longest_gap for seen in theirs]), 2),
    }
    fewest = min(seen.polls for seen in ours)
    most = max(seen.polls for seen in ours)
    yield Figure("polls", fewest, "polls", Bar("=", 20), len(ours), details={"most": most, **literal})
    gap = max(seen.longest_gap for seen in ours)
    yield Figure("longest_gap", gap, "s", Bar("<=", 16), len(ours), details=literal)


def _steady_races(count: int) -> list[SimulatedRace]:
    """Races whose start never moves, an hour apart so that no two are polled at once."""
    found: list[SimulatedRace] = []
    for hour in range(2, 200):
        position = position_at(FROM + timedelta(hours=hour))
        race = race_at(SEED, position)
        if not race.moves and race.abandoned_at is None and len(found) < count:
            found.append(race)
    return found


def _follow_race(source: Provider, chosen: SimulatedRace) -> tuple[LastFiveMinutes, LastFiveMinutes]:
    """The race from T-8 to its start, all others left out; what was asked by the provider's own log, and the rule."""
    start = chosen.first_start
    Race.objects.all().delete()
    day = VirtualDay(source, Random(chosen.id))
    day.import_card(start - timedelta(minutes=8, seconds=7))
    Race.objects.exclude(provider_race_id=chosen.id).update(next_poll_at=None)
    source.clear_requests()
    for slot in slots(start - timedelta(minutes=8), start + timedelta(seconds=15)):
        day.step(slot)
        Race.objects.exclude(provider_race_id=chosen.id).update(next_poll_at=None)
    asked = [entry["at"] for entry in source.requests() if entry["race_id"] == chosen.id]
    rule = polls(
        start, ticks=day.ticked, until=day.ticked[-1] + timedelta(1), cadence=default_cadence(), random=day.random
    )
    return last_five_minutes(asked, start), last_five_minutes(rule, start)
