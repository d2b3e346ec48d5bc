"""How many requests the sync makes to Appwrite: for races that changed, and while nothing does."""

from collections.abc import Iterator
from datetime import timedelta

from bench.appwrite import appwrite
from bench.figures import Bar, Figure
from bench.ingest_batch import snapshots, with_moved_odds
from bench.run_options import RunOptions
from polling import clock, tasks
from polling.appwrite.push import run as push
from races import ingest

SIZES = (1, 5, 20, 100)
# A team that built the same brief on Appwrite functions was measured at this.
PEER_CALLS_A_RACE = 110


def run(options: RunOptions) -> Iterator[Figure]:
    """Counts the requests of whole passes of the sync, pull and push, by the server's own log."""
    races = snapshots("calls", max(SIZES))
    ingest.apply(races, now=clock.now())
    with appwrite(options) as server:
        server.be_fast()
        push.run(now=clock.now(), budget=timedelta(minutes=1))
        server.calls(tasks.sync)  # the version, and the rows just made
        calls = {}
        for number, size in enumerate(SIZES, 1):
            ingest.apply(with_moved_odds(races[:size], number, now=clock.now()), now=clock.now())
            calls[size] = len(server.calls(tasks.sync))
        passes = [server.calls(tasks.sync) for _ in range(3)]
    worst = max(made - size for size, made in calls.items())
    details = {"calls_by_changed_races": calls, "a_peer_on_functions_makes_for_one_race": PEER_CALLS_A_RACE}
    yield Figure("calls_beyond_one_a_race", worst, "calls", Bar("<=", 2), len(calls), details=details)
    writes = [method for made in passes for method in made if method != "GET"]
    yield Figure("reads_at_rest", max(map(len, passes)) - len(writes), "calls a pass", Bar("<=", 1), len(passes))
    yield Figure("writes_at_rest", len(writes), "calls", Bar("=", 0), len(passes))
