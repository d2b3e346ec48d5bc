"""From the slot of a race in its last five minutes until the request is at the provider."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from bench.catalog import MACHINES
from bench.cluster import cluster
from bench.figures import Bar, Figure, percentiles
from bench.near_races import bring_near, in_groups, last_five_minutes_slots
from bench.provider import provider
from bench.run_options import RunOptions
from polling import clock
from polling.planning import default_cadence

BARS = {"embedded": {0.99: Bar("<=", 500)}, MACHINES: {0.99: Bar("<=", 200)}}
WARMING = timedelta(seconds=16)  # every race has had a slot, every worker a connection


def run(options: RunOptions) -> Iterator[Figure]:
    """Five groups of eight races, the eight of a group due together, as on a real busy afternoon."""
    lasting, now = min(options.lasting(200), 240), clock.now()
    starts = in_groups(now + timedelta(seconds=295), groups=5, each=8, apart=timedelta(seconds=3))
    with provider(delay_ms=100) as source:
        races = bring_near(source, starts, now=now)
        with cluster(options):
            since = clock.now() + WARMING
            time.sleep(lasting + WARMING.total_seconds())
            until = clock.now() - timedelta(seconds=5)
        came_at: dict[str, list[datetime]] = {race_id: [] for race_id in races}
        for entry in source.requests():
            if entry["race_id"] in came_at:
                came_at[entry["race_id"]].append(entry["at"])
    late = {
        (race_id, slot): _milliseconds_until(came_at[race_id], slot)
        for race_id, race in races.items()
        for slot in last_five_minutes_slots(race, since, until)
    }
    came = [ms for ms in late.values() if ms is not None]
    details: dict[str, Any] = {
        "tick_step_s": default_cadence().tick.total_seconds(),
        "races": len(races),
        "due_together": 8,
    }
    details |= {"slots": len(late)}
    yield Figure("slots_without_a_request", len(late) - len(came), "slots", Bar("=", 0), len(late), details=details)
    yield from percentiles("slot_to_request", came, "ms", BARS[options.stack], **details)


def _milliseconds_until(came_at: list[datetime], slot: datetime) -> float | None:
    """Milliseconds; None where the next slot came first."""
    place = bisect_left(came_at, slot)
    if place == len(came_at) or came_at[place] >= slot + timedelta(seconds=15):
        return None
    return (came_at[place] - slot).total_seconds() * 1000
