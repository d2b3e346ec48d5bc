"""How late ticks begin while 250 races are open and every worker waits for a provider that hardly answers."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings

from bench.catalog import MACHINES
from bench.cluster import cluster, every
from bench.figures import Bar, Figure, percentile, percentiles
from bench.near_races import bring_near
from bench.provider import provider
from bench.run_options import RunOptions
from polling import clock
from polling.cadence import floor, next_tick
from polling.models import PollLog, PollState, Tick
from polling.planning import default_cadence
from races.models import Race

BARS = {"embedded": {0.5: Bar("<=", 60), 0.99: Bar("<=", 300)}, MACHINES: {0.99: Bar("<=", 100)}}
SLOW_MS = 7_000  # a second below the deadline: without an answer the breaker would set the workers free
BLOCKED_SHARE = 0.9  # of the time; below it the workers did not wait, and the figure shows nothing
AMPLE = {"POLL_REQUESTS_A_MINUTE": "6000", "POLL_REQUESTS_AT_ONCE": "1000"}  # as would a quota that runs out
WARMING = timedelta(seconds=10)  # until every worker has requested something


def run(options: RunOptions) -> Iterator[Figure]:
    """All races lie in their last five minutes, and fall due evenly spread over the slots of a 15 s window."""
    lasting, now = min(options.lasting(220), 250), clock.now()
    starts = [now + timedelta(minutes=5, seconds=15 + number % 15) for number in range(options.sized(250, 80))]
    with provider(card="busy") as source:
        bring_near(source, starts, now=now)
        source.fault("slow", delay_ms=SLOW_MS)
        yield from _measure_ticks(options, lasting)


def _measure_ticks(options: RunOptions, lasting: float) -> Iterator[Figure]:
    with cluster(options, **AMPLE):
        since = next_tick(clock.now() + WARMING, default_cadence().tick)
        busy = [_count_busy_workers() for passed in every(1, lasting=lasting + WARMING.total_seconds())]
        until = floor(clock.now(), default_cadence().tick)
    ticks = list(Tick.objects.filter(slot_at__gte=since, slot_at__lt=until))
    late = [tick.lateness.total_seconds() * 1000 for tick in ticks]
    took = [(tick.finished_at - tick.started_at).total_seconds() * 1000 for tick in ticks if tick.finished_at]
    workers = int(str(settings.Q_CLUSTER["workers"]))
    measured = busy[int(WARMING.total_seconds()) :]
    blocked = sum(count >= workers for count in measured) / max(1, len(measured))
    expected, failed = (until - since) // default_cadence().tick, sum(bool(tick.error) for tick in ticks)
    details = {
        "tick_step_s": default_cadence().tick.total_seconds(),
        "open_races": Race.objects.open().count(),
        "due_at_a_tick": round(sum(tick.due for tick in ticks) / max(1, len(ticks)), 1),
        "all_workers_blocked_share": round(blocked, 2),
        "ticks_failed": failed,
        "tick_took_ms_p99": round(percentile(took, 0.99)) if took else None,
    }
    why, missed = doubt(blocked), expected - len(ticks) + failed
    yield Figure("ticks_missed", missed, "ticks", Bar("=", 0), expected, why=why, details=details)
    yield from percentiles("lateness", late, "ms", BARS[options.stack], why=why, **details)


def doubt(blocked: float) -> str:
    """Why lateness cannot be judged; empty where all workers waited nearly all the time, a share of it."""
    if blocked >= BLOCKED_SHARE:
        return ""
    return f"all workers waited {blocked:.0%} of the time, not {BLOCKED_SHARE:.0%}"


def _count_busy_workers() -> int:
    """How many pollers are waiting for their answers."""
    running = PollLog.objects.filter(state=PollState.RUNNING.value, lease_until__gt=clock.now())
    return running.order_by().values("run").distinct().count()
