"""A thousand races with ten runners each whose odds all moved, pushed to Appwrite."""

import time
from collections.abc import Iterator
from datetime import timedelta

from bench.appwrite import REAL_SERVER, Server, appwrite, is_real
from bench.figures import Bar, Figure, median
from bench.ingest_batch import snapshots, with_moved_odds
from bench.run_options import RunOptions
from polling import clock
from polling.appwrite.api.parallel import concurrency
from polling.appwrite.push import run as push
from races import ingest
from races.snapshots import RaceSnapshot

PATIENCE = timedelta(minutes=2)


def run(options: RunOptions) -> Iterator[Figure]:
    """Pushes to the real server that the command names; otherwise to the stand-in at its speed, then at a real one's.

    The stand-in's one process takes half of the time.
    """
    count, rounds = options.sized(1000, 50), options.sized(5, 2)
    races = snapshots("many", count)
    ingest.apply(races, now=clock.now())
    with appwrite(options) as server:
        yield _push_to_real(server, races) if is_real() else _push_to_fast_stand_in(server, races, rounds)
        if not is_real():
            yield _push_to_slow_stand_in(server, races, rounds)


def _push_to_real(server: Server, races: list[RaceSnapshot]) -> Figure:
    server.empty()
    first = _measure_push(len(races))
    took = [_push_changes(races, number) for number in (1, 2)]
    details = {
        **_size_details(races),
        "created_s": round(first, 2),
        "rows_a_second": round(len(races) / median(took), 1),
    }
    return Figure("push_thousand_real", median(took), "s", n=len(took), details=details)


def _push_to_fast_stand_in(server: Server, races: list[RaceSnapshot], rounds: int) -> Figure:
    server.be_fast()
    first = _measure_push(len(races))
    took = [_push_changes(races, number) for number in range(1, rounds + 1)]
    details = {**_size_details(races), "created_s": round(first, 2), "each_s": [round(seconds, 2) for seconds in took]}
    return Figure("push_thousand", median(took), "s", Bar("<=", 5), rounds, details=details)


def _push_to_slow_stand_in(server: Server, races: list[RaceSnapshot], before: int) -> Figure:
    server.be_as_slow_as_real()
    took = [_push_changes(races, before + number) for number in (1, 2)]
    details = {**_size_details(races), "appwrite": REAL_SERVER, "rows_a_second": round(len(races) / median(took), 1)}
    return Figure("push_thousand_delayed", median(took), "s", n=len(took), details=details)


def _size_details(races: list[RaceSnapshot]) -> dict[str, object]:
    return {"races": len(races), "runners": 10, "at_once": concurrency().limit}


def _push_changes(races: list[RaceSnapshot], number: int) -> float:
    now = clock.now()
    ingest.apply(with_moved_odds(races, number, now=now), now=now)
    return _measure_push(len(races))


def _measure_push(count: int) -> float:
    began = time.perf_counter()
    done = push.run(now=clock.now(), budget=PATIENCE)
    took = time.perf_counter() - began
    assert done.error is None, done.error
    assert done.races.created + done.races.changed == count, done.races
    return took
