"""How long other writers wait while a long backlog of old rows is deleted."""

import multiprocessing
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from bench.figures import LEAST_FOR_A_PERCENTILE, Bar, Figure, percentile
from bench.many_rows import SMALL, Sizes, build
from bench.stage import Stage
from bench.writer import write_polls
from polling import cleanup, clock
from polling.models import PollLog
from races.models import PriceChange, Race

KEPT, RACES_KEPT = timedelta(days=7), timedelta(days=30)  # so that most price changes and many races are old
MOST_MS = 200


def run(stage: Stage) -> Iterator[Figure]:
    """Passes one after another, as after a long pause, beside a process that writes; first it writes alone."""
    sizes, lasting, now = stage.sized(Sizes(), SMALL), stage.lasting(60), clock.now()
    began = time.monotonic()
    build(sizes, now=now.replace(microsecond=0))
    built = time.monotonic() - began
    settings.RETENTION = settings.RETENTION | {"PRICES": KEPT, "RACES": RACES_KEPT}
    races = list(Race.objects.order_by("-pk").values_list("pk", flat=True)[:50])
    alone = _write_meanwhile(races, min(lasting, 15))
    before = _left()
    deleted, passes, longest, waits = _with_passes(races, lasting, now)
    after = _left()
    details: dict[str, Any] = {
        "seconds": lasting, "built_s": round(built), "passes": passes, "longest_pass_s": round(longest, 1),
        "deleted": deleted, "left": after, "of": before, "written": len(waits),
        "beside_ms": _spread(waits), "alone_ms": _spread(alone),
    }  # fmt: skip
    few = "" if len(waits) >= LEAST_FOR_A_PERCENTILE else f"only {len(waits)} writes"
    yield Figure("longest_wait_ms", max(waits) * 1000, "ms", Bar("<=", MOST_MS), len(waits), why=few, details=details)
    rate = sum(deleted.values()) / max(lasting, 1)
    yield Figure("rows_a_second", rate, "rows", None, passes, details={"deleted": deleted})


def _left() -> dict[str, int]:
    return {"logs": PollLog.objects.count(), "price_changes": PriceChange.objects.count()}


def _with_passes(races: list[int], lasting: float, now: datetime) -> tuple[dict[str, int], int, float, list[float]]:
    """What went, in how many passes, how long the longest took, and how long the writer took for each write."""
    deleted: dict[str, int] = {}
    passes, longest = 0, 0.0
    writer, queue = _started(races, lasting)
    ends = time.monotonic() + lasting
    while time.monotonic() < ends:
        began = time.monotonic()
        for what, count in cleanup.run(now=now).items():
            deleted[what] = deleted.get(what, 0) + count
        passes, longest = passes + 1, max(longest, time.monotonic() - began)
    waits: list[float] = queue.get(timeout=60)
    writer.join()
    return deleted, passes, longest, waits


def _write_meanwhile(races: list[int], seconds: float) -> list[float]:
    writer, queue = _started(races, seconds)
    waits: list[float] = queue.get(timeout=seconds + 60)
    writer.join()
    return waits


def _started(races: list[int], seconds: float) -> tuple[Any, Any]:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    writer = context.Process(target=write_polls, args=(races, seconds, queue))
    writer.start()
    return writer, queue


def _spread(values: list[float]) -> dict[str, float]:
    shares = {"median": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(values, share) * 1000, 1) for name, share in shares.items()}
