"""How late ticks begin while 250 races are open and every worker waits for a provider that does not answer."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings

from bench.catalog import MACHINES
from bench.cluster import cluster, every
from bench.figures import Bar, Figure, percentile, percentiles
from bench.provider import provider
from bench.stage import Stage
from polling import clock
from polling.models import PollLog, PollState, Tick
from polling.planning import cadence, replan
from races.models import Race
from tests.factories import make_meeting, make_race

BARS = {"embedded": {0.5: Bar("<=", 60), 0.99: Bar("<=", 300)}, MACHINES: {0.99: Bar("<=", 100)}}
NEVER_MS = 60_000
WARMING = timedelta(seconds=10)  # until every worker has met the provider


def run(stage: Stage) -> Iterator[Figure]:
    """All races lie in their last five minutes, and fall due evenly spread over the slots of a 15 s window."""
    lasting = min(stage.lasting(220), 270)
    _make_races(stage.sized(250, 40), clock.now() + timedelta(minutes=5))
    with provider(delay_ms=NEVER_MS), cluster(stage):
        since = clock.now() + WARMING
        busy = [_busy_workers() for passed in every(1, lasting=lasting + WARMING.total_seconds())]
        until = clock.now()
    ticks = list(Tick.objects.filter(slot_at__gte=since, slot_at__lt=until - cadence().tick))
    late = [tick.lateness.total_seconds() * 1000 for tick in ticks]
    took = [(tick.finished_at - tick.started_at).total_seconds() * 1000 for tick in ticks if tick.finished_at]
    workers = int(str(settings.Q_CLUSTER["workers"]))
    measured = busy[int(WARMING.total_seconds()) :]
    details = {
        "tick_step_s": cadence().tick.total_seconds(),
        "open_races": Race.objects.open().count(),
        "due_at_a_tick": round(sum(tick.due for tick in ticks) / max(1, len(ticks)), 1),
        "all_workers_blocked_share": round(sum(count >= workers for count in measured) / max(1, len(measured)), 2),
        "ticks_missed": round((until - since) / cadence().tick) - 1 - len(ticks),
        "ticks_failed": sum(bool(tick.error) for tick in ticks),
        "tick_took_ms_p99": round(percentile(took, 0.99)) if took else None,
    }
    yield from percentiles("lateness", late, "ms", BARS[stage.stack], **details)


def _make_races(count: int, start: datetime) -> None:
    meeting = make_meeting()
    races = [make_race(start=start + timedelta(seconds=number % 15), meeting=meeting) for number in range(count)]
    replan([race.pk for race in races], now=clock.now())


def _busy_workers() -> int:
    """How many pollers are waiting for their answers."""
    running = PollLog.objects.filter(state=PollState.RUNNING.value, lease_until__gt=clock.now())
    return running.order_by().values("run").distinct().count()
