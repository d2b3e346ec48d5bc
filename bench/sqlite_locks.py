"""Whether SQLite ever says "database is locked" while four workers, the tick and writers like the web's all write."""

import multiprocessing
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from bench.cluster import cluster
from bench.database_writers import LOCKED, write_decisions
from bench.figures import Bar, Figure
from bench.near_races import bring_near, in_groups
from bench.provider import provider
from bench.run_options import RunOptions
from polling import clock
from polling.models import PollLog, PollState, Tick

WRITERS = 3


def run(options: RunOptions) -> Iterator[Figure]:
    """Forty races in their last five minutes, a tick a second, and three processes that note and pause races."""
    lasting, now = min(options.lasting(60), 240), clock.now()
    starts = in_groups(now + timedelta(seconds=295), groups=5, each=8, apart=timedelta(seconds=3))
    with provider() as source:
        races = bring_near(source, starts, now=now)
        with cluster(options):
            results = _write_meanwhile([race.pk for race in races.values()], lasting)
    logged = (options.var / "cluster.txt").read_text().count(LOCKED)
    ticks = Tick.objects.filter(error__contains=LOCKED).count()
    polls = PollLog.objects.filter(state=PollState.OK.value).count()
    waits = [wait for counts in results for wait in counts["waits"]]
    details = {
        "seconds": lasting,
        "written": len(waits),
        "longest_wait_ms": round(max(waits, default=0) * 1000),
        "writers_locked_out": sum(counts["locked"] for counts in results),
        "logged_by_the_cluster": logged,
        "ticks": Tick.objects.count(),
        "polls": polls,
    }
    locked = sum(counts["locked"] for counts in results) + logged + ticks
    alone = "" if polls else "no poll was answered: the writers wrote alone"
    yield Figure("locked", locked, "errors", Bar("=", 0), len(waits), why=alone, details=details)


def _write_meanwhile(race_ids: list[int], seconds: float) -> list[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    writers = [
        context.Process(target=write_decisions, args=(number, WRITERS, race_ids, seconds, queue))
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    results = [queue.get(timeout=seconds + 60) for _ in writers]
    for writer in writers:
        writer.join()
    return results
