"""A thousand races with ten runners each whose odds all moved, pushed to Appwrite."""

import time
from collections.abc import Iterator
from datetime import timedelta

from bench.appwrite import REAL_SERVER_MS, appwrite
from bench.figures import Bar, Figure, median
from bench.ingest_batch import moved
from bench.ingest_batch import told as told_of
from bench.stage import Stage
from polling import clock
from polling.appwrite import push
from races import ingest
from races.snapshots import RaceSnapshot

PATIENCE = timedelta(minutes=2)


def run(stage: Stage) -> Iterator[Figure]:
    """First to the stand-in as fast as it is, whose one process takes half of the time; then to one as slow as real."""
    count, rounds = stage.sized(1000, 50), stage.sized(5, 2)
    told = told_of("many", count)
    ingest.apply(told, now=clock.now())
    with appwrite(stage) as server:
        server.undelay()
        first = _pushed(count)
        numbers = iter(range(1, 100))
        fast = [_changed(told, next(numbers)) for _ in range(rounds)]
        server.delay(**REAL_SERVER_MS)
        slow = [_changed(told, next(numbers)) for _ in range(2)]
    details = {"races": count, "runners": 10, "created_s": round(first, 2), "each_s": [round(took, 2) for took in fast]}
    yield Figure("push_thousand", median(fast), "s", Bar("<=", 5), rounds, details=details)
    delays = {"races": count, "appwrite_ms": REAL_SERVER_MS}
    yield Figure("push_thousand_delayed", median(slow), "s", n=len(slow), details=delays)


def _changed(told: list[RaceSnapshot], number: int) -> float:
    now = clock.now()
    ingest.apply(moved(told, number, now=now), now=now)
    return _pushed(len(told))


def _pushed(count: int) -> float:
    began = time.perf_counter()
    done = push.run(now=clock.now(), budget=PATIENCE)
    took = time.perf_counter() - began
    assert done.trouble is None, done.trouble
    assert done.races.created + done.races.changed == count, done.races
    return took
