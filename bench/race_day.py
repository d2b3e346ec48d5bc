"""A simulated day of 750 races in 27 hours: every slot that was planned, what was asked at it, and what was not."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from bench import literal_rule, race_slots
from bench.figures import Bar, Figure, median
from bench.provider import provider
from bench.race_slots import RaceSlots
from bench.run_options import RunOptions
from bench.virtual_day import VirtualDay, slots
from polling.cadence import floor
from polling.models import PollLog, PollState, Trigger
from polling.planning import default_cadence
from races.models import Race
from sandbox.provider.racing_day import begin_of, day_number

SEED, DAY = 7, datetime(2026, 11, 23, 3, tzinfo=UTC)
RACING, BEFORE, AFTER = timedelta(hours=27), timedelta(minutes=65), timedelta(minutes=60)
JITTER_SECONDS = 1.0


def run(options: RunOptions) -> Iterator[Figure]:
    """The real tick and pollers under a virtual clock, the provider over HTTP; then plan and polls are compared."""
    begins = begin_of(day_number(DAY))
    since = begins - BEFORE
    until = begins + options.sized(RACING + AFTER, timedelta(minutes=20))
    began = time.monotonic()
    with provider(seed=SEED, now=since, card="busy") as source:
        day = VirtualDay(source, Random(SEED), JITTER_SECONDS)
        starts = _run_day(day, since, until)
        took = time.monotonic() - began
        races = race_slots.slots_of_races(starts, until=until)
        requests = source.requests()
    yield from _slot_figures(races, requests, {"ticks": len(day.ticked), "took_s": round(took), **_most_at_once(races)})
    yield from _figures_beside_the_rule(races, day)


def _run_day(day: VirtualDay, since: datetime, until: datetime) -> race_slots.Starts:
    """Steps through the day; returns how each race's start stood, as our own database had it."""
    starts: race_slots.Starts = {}
    day.import_card(since - timedelta(seconds=5))
    race_slots.note_starts(starts, at=since - timedelta(seconds=4))
    for slot in slots(since, until):
        day.step(slot)
        # Whatever moved did so after this slot's claim and before the next slot.
        race_slots.note_starts(starts, at=slot + timedelta(seconds=8))
    return starts


def _slot_figures(races: list[RaceSlots], requests: list[dict[str, Any]], around: dict[str, Any]) -> Iterator[Figure]:
    planned = sum(len(race.planned) for race in races)
    triggers = Counter(PollLog.objects.values_list("trigger", "state"))
    made = triggers[Trigger.SLOT.value, PollState.OK.value]
    missed = [slot for race in races for slot in race.missed]
    asked = Counter(
        (entry["race_id"], floor(entry["at"], default_cadence().tick)) for entry in requests if entry["race_id"]
    )
    doubled = sum(count - 1 for count in asked.values() if count > 1)
    logs = {f"{trigger} {state}": count for (trigger, state), count in sorted(triggers.items())}
    details = {
        **around,
        "races": len(races),
        "finalized": Race.objects.exclude(finalized_at=None).count(),
        "logs": logs,
    }
    http = {"http_requests": len(requests), "of_one_race": sum(asked.values())}
    yield Figure("slots_missed", len(missed), "slots", Bar("=", 0), planned, details=details)
    yield Figure("requests_doubled", doubled, "requests", Bar("=", 0), sum(asked.values()), details=http)
    yield Figure("polls_made_over_planned", made - planned, "polls", Bar("=", 0), planned, details={"made": made})


def _most_at_once(races: list[RaceSlots]) -> dict[str, int]:
    """How many races were inside their last five minutes at once, by the plan."""
    at_once = Counter(
        slot for race in races for slot in race.planned if race.start - timedelta(minutes=5) <= slot < race.start
    )
    return {"most_inside_five_minutes": max(at_once.values(), default=0)}


def _figures_beside_the_rule(races: list[RaceSlots], day: VirtualDay) -> Iterator[Figure]:
    """The last five minutes of the races that ran as advertised: ours, and the brief's rule on the same ticks."""
    steady = [race for race in races if race.is_whole]
    if not steady:
        yield Figure("fewest_in_last_five_minutes", None, "polls", why="no race ran as advertised", n=0)
        return
    ours = [literal_rule.last_five_minutes(race.polled, race.start) for race in steady]
    rule = [literal_rule.last_five_minutes(_polls_by_the_rule(race, day), race.start) for race in steady]
    details = {
        "longest_gap_s": round(max(seen.longest_gap for seen in ours), 2),
        "literal_fewest": min(seen.polls for seen in rule),
        "literal_median": median([seen.polls for seen in rule]),
        "literal_most": max(seen.polls for seen in rule),
        "literal_longest_gap_s": round(max(seen.longest_gap for seen in rule), 2),
    }
    fewest = min(seen.polls for seen in ours)
    yield Figure("fewest_in_last_five_minutes", fewest, "polls", Bar("=", 20), len(steady), details=details)


def _polls_by_the_rule(race: RaceSlots, day: VirtualDay) -> list[datetime]:
    opens = race.start - timedelta(minutes=61)
    ticks = [now for now in day.ticked if opens <= now <= race.until]
    return literal_rule.polls(race.start, ticks=ticks, until=race.until, cadence=default_cadence(), random=day.random)
