"""A thousand races with ten runners each whose odds all moved, pushed to Appwrite."""

import time
from collections.abc import Iterator
from datetime import timedelta

from bench.appwrite import REAL_SERVER, Server, appwrite, is_real
from bench.figures import Bar, Figure, median
from bench.ingest_batch import moved
from bench.ingest_batch import told as told_of
from bench.stage import Stage
from polling import clock
from polling.appwrite.api.parallel import concurrency
from polling.appwrite.push import run as push
from races import ingest
from races.snapshots import RaceSnapshot

PATIENCE = timedelta(minutes=2)


def run(stage: Stage) -> Iterator[Figure]:
    """To the real server that the command names; else to the stand-in as fast as it is, then to one as slow as real.

    The stand-in's one process takes half of the time.
    """
    count, rounds = stage.sized(1000, 50), stage.sized(5, 2)
    told = told_of("many", count)
    ingest.apply(told, now=clock.now())
    with appwrite(stage) as server:
        yield _real(server, told) if is_real() else _fast(server, told, rounds)
        if not is_real():
            yield _as_slow_as_real(server, told, rounds)


def _real(server: Server, told: list[RaceSnapshot]) -> Figure:
    server.empty()
    first = _pushed(len(told))
    took = [_changed(told, number) for number in (1, 2)]
    details = {**_sizes(told), "created_s": round(first, 2), "rows_a_second": round(len(told) / median(took), 1)}
    return Figure("push_thousand_real", median(took), "s", n=len(took), details=details)


def _fast(server: Server, told: list[RaceSnapshot], rounds: int) -> Figure:
    server.undelay()
    first = _pushed(len(told))
    took = [_changed(told, number) for number in range(1, rounds + 1)]
    details = {**_sizes(told), "created_s": round(first, 2), "each_s": [round(seconds, 2) for seconds in took]}
    return Figure("push_thousand", median(took), "s", Bar("<=", 5), rounds, details=details)


def _as_slow_as_real(server: Server, told: list[RaceSnapshot], before: int) -> Figure:
    server.delay()
    took = [_changed(told, before + number) for number in (1, 2)]
    details = {**_sizes(told), "appwrite": REAL_SERVER, "rows_a_second": round(len(told) / median(took), 1)}
    return Figure("push_thousand_delayed", median(took), "s", n=len(took), details=details)


def _sizes(told: list[RaceSnapshot]) -> dict[str, object]:
    return {"races": len(told), "runners": 10, "at_once": concurrency().limit}


def _changed(told: list[RaceSnapshot], number: int) -> float:
    now = clock.now()
    ingest.apply(moved(told, number, now=now), now=now)
    return _pushed(len(told))


def _pushed(count: int) -> float:
    began = time.perf_counter()
    done = push.run(now=clock.now(), budget=PATIENCE)
    took = time.perf_counter() - began
    assert done.error is None, done.error
    assert done.races.created + done.races.changed == count, done.races
    return took
