"""What the sync asks of Appwrite: for races that changed, and while nothing does."""

from collections.abc import Iterator
from datetime import timedelta

from bench.appwrite import Server, appwrite
from bench.figures import Bar, Figure
from bench.ingest_batch import moved
from bench.ingest_batch import told as told_of
from bench.stage import Stage
from polling import clock, tasks
from polling.appwrite.push import run as push
from races import ingest

SIZES = (1, 5, 20, 100)
# A team that built the same brief on Appwrite functions was measured at this.
PEER_CALLS_A_RACE = 110


def run(stage: Stage) -> Iterator[Figure]:
    """A whole pass of the sync, there and back, is counted by the server's own log."""
    told = told_of("calls", max(SIZES))
    ingest.apply(told, now=clock.now())
    with appwrite(stage) as server:
        server.undelay()
        push.run(now=clock.now(), budget=timedelta(minutes=1))
        server.calls(tasks.sync)  # the version, and the rows just made
        calls = {}
        for number, size in enumerate(SIZES, 1):
            ingest.apply(moved(told[:size], number, now=clock.now()), now=clock.now())
            calls[size] = len(server.calls(tasks.sync))
        yield _beyond(calls)
        yield from _at_rest(server)


def _beyond(calls: dict[int, int]) -> Figure:
    worst = max(made - size for size, made in calls.items())
    details = {"calls_by_changed_races": calls, "a_peer_on_functions_makes_for_one_race": PEER_CALLS_A_RACE}
    return Figure("calls_beyond_one_a_race", worst, "calls", Bar("<=", 2), len(calls), details=details)


def _at_rest(server: Server) -> Iterator[Figure]:
    passes = [server.calls(tasks.sync) for _ in range(3)]
    writes = [method for made in passes for method in made if method != "GET"]
    yield Figure("reads_at_rest", max(map(len, passes)) - len(writes), "calls a pass", Bar("<=", 1), len(passes))
    yield Figure("writes_at_rest", len(writes), "calls", Bar("=", 0), len(passes))
