"""How long other writers wait while a long backlog of old rows is deleted."""

import multiprocessing
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from bench.database_writers import write_polls
from bench.figures import LEAST_FOR_A_PERCENTILE, Bar, Figure, percentile
from bench.many_rows import SMALL, Sizes, build
from bench.run_options import RunOptions
from polling import cleanup, clock
from polling.models import PollLog
from races.models import PriceChange, Race

KEPT, RACES_KEPT = timedelta(days=7), timedelta(days=30)  # so that most price changes and many races are old
MOST_MS = 200


def run(options: RunOptions) -> Iterator[Figure]:
    """Runs passes one after another, as after a long pause, while another process writes; first it writes alone."""
    sizes, lasting, now = options.sized(Sizes(), SMALL), options.lasting(60), clock.now()
    began = time.monotonic()
    build(sizes, now=now.replace(microsecond=0))
    built = time.monotonic() - began
    settings.RETENTION = settings.RETENTION | {"PRICES": KEPT, "RACES": RACES_KEPT}
    races = list(Race.objects.order_by("-pk").values_list("pk", flat=True)[:50])
    alone = _measure_writes(races, min(lasting, 15))
    before = _count_rows()
    deleted, passes, longest, waits = _measure_passes(races, lasting, now)
    after = _count_rows()
    details: dict[str, Any] = {
        "seconds": lasting, "built_s": round(built), "passes": passes, "longest_pass_s": round(longest, 1),
        "deleted": deleted, "left": after, "of": before, "written": len(waits),
        "beside_ms": _spread_of(waits), "alone_ms": _spread_of(alone),
    }  # fmt: skip
    few = "" if len(waits) >= LEAST_FOR_A_PERCENTILE else f"only {len(waits)} writes"
    yield Figure("longest_wait_ms", max(waits) * 1000, "ms", Bar("<=", MOST_MS), len(waits), why=few, details=details)
    rate = sum(deleted.values()) / max(lasting, 1)
    yield Figure("rows_a_second", rate, "rows", None, passes, details={"deleted": deleted})


def _count_rows() -> dict[str, int]:
    return {"logs": PollLog.objects.count(), "price_changes": PriceChange.objects.count()}


def _measure_passes(races: list[int], lasting: float, now: datetime) -> tuple[dict[str, int], int, float, list[float]]:
    """What was deleted, in how many passes, how long the longest took, and how long each write took."""
    deleted: dict[str, int] = {}
    passes, longest = 0, 0.0
    writer, queue = _start_writer(races, lasting)
    ends = time.monotonic() + lasting
    while time.monotonic() < ends:
        began = time.monotonic()
        for what, count in cleanup.run(now=now).items():
            deleted[what] = deleted.get(what, 0) + count
        passes, longest = passes + 1, max(longest, time.monotonic() - began)
    waits: list[float] = queue.get(timeout=60)
    writer.join()
    return deleted, passes, longest, waits


def _measure_writes(races: list[int], seconds: float) -> list[float]:
    writer, queue = _start_writer(races, seconds)
    waits: list[float] = queue.get(timeout=seconds + 60)
    writer.join()
    return waits


def _start_writer(races: list[int], seconds: float) -> tuple[Any, Any]:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    writer = context.Process(target=write_polls, args=(races, seconds, queue))
    writer.start()
    return writer, queue


def _spread_of(values: list[float]) -> dict[str, float]:
    shares = {"median": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(values, share) * 1000, 1) for name, share in shares.items()}
