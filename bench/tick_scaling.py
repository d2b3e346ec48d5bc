"""What a tick costs at 100,000 open races against 1,000, the same number due."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from bench.figures import Bar, Figure, median
from bench.run_options import RunOptions
from polling import tick
from polling.models import PollLog, PollState, Tick, Trigger
from polling.tick import NoTick
from races.models import Race
from races.status import RaceStatus

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
DUE = 50
LOGS_A_RACE = 2


def run(options: RunOptions) -> Iterator[Figure]:
    """Two databases of one process; ticks of both take turns, so that what else the machine does slows both."""
    few, many = options.sized((1_000, 100_000), (100, 1_000))
    rounds = options.sized(40, 5)
    small, large = _build_database(options, "few", few), _build_database(options, "many", many)
    seconds: dict[Path, list[float]] = {small: [], large: []}
    queries = {path: _count_queries(path) for path in (small, large)}
    for number in range(1, rounds + 1):
        for path in (small, large):
            seconds[path].append(_time_tick(path, number))
    middle = {path: median(values) for path, values in seconds.items()}
    details = {"few": few, "many": many, "due": DUE, "ms_at_few": round(middle[small] * 1000, 1)}
    details |= {"ms_at_many": round(middle[large] * 1000, 1), "queries": queries[small]}
    yield Figure("times_the_cost", middle[large] / middle[small], "times", Bar("<=", 1.5), rounds, details=details)
    more = queries[large] - queries[small]
    yield Figure("more_queries", more, "queries", Bar("=", 0), details=details)


def _build_database(options: RunOptions, name: str, races: int) -> Path:
    """A copy of the empty database with so many open races, each with a little history; most are hours off."""
    path = options.var / f"{name}.sqlite3"
    connection.close()
    shutil.copy(options.var / "racepoll.sqlite3", path)
    _use_database(path)
    Race.objects.bulk_create((_open_race(number) for number in range(races)), batch_size=2_000)
    pks = list(Race.objects.values_list("pk", flat=True))
    logs = (_ended_poll(pk, ago) for pk in pks for ago in range(1, LOGS_A_RACE + 1))
    PollLog.objects.bulk_create(logs, batch_size=2_000)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def _use_database(path: Path) -> None:
    connection.close()
    connection.settings_dict["NAME"] = str(path)


def _open_race(number: int) -> Race:
    start = NOW + timedelta(hours=2, seconds=15 * (number % 4_000))
    return Race(
        provider="sandbox", provider_race_id=f"race-{number}", number=1, name=f"Handicap {number}",
        advertised_start=start, original_advertised_start=start, provider_start=start,
        status=RaceStatus.SCHEDULED.value, next_poll_at=start - timedelta(hours=1),
    )  # fmt: skip


def _ended_poll(race: int, ago: int) -> PollLog:
    slot = NOW - timedelta(hours=ago)
    return PollLog(
        race_id=race, slot_at=slot, trigger=Trigger.SLOT.value, state=PollState.OK.value,
        claimed_at=slot, started_at=slot, finished_at=slot + timedelta(seconds=1), claim="x", run="x",
    )  # fmt: skip


def _make_due(path: Path, now: datetime) -> None:
    """The same races every time, in their last five minutes, with nothing left of the tick before."""
    _use_database(path)
    due = list(Race.objects.order_by("pk").values_list("pk", flat=True)[:DUE])
    PollLog.objects.filter(race__in=due).open().delete()
    OrmQ.objects.all().delete()
    start = now + timedelta(minutes=3)
    Race.objects.filter(pk__in=due).update(advertised_start=start, provider_start=start, next_poll_at=now)


def _time_tick(path: Path, number: int) -> float:
    """How long one tick took that claimed all that were due."""
    now = NOW + number * timedelta(seconds=15)
    _make_due(path, now)
    began = time.perf_counter()
    done = tick.run(now=now)
    took = time.perf_counter() - began
    _check_tick(done)
    return took


def _count_queries(path: Path) -> int:
    _make_due(path, NOW)
    with CaptureQueriesContext(connection) as seen:
        _check_tick(tick.run(now=NOW))
    return len(seen)


def _check_tick(done: Tick | NoTick) -> None:
    assert isinstance(done, Tick), done
    assert (done.claimed, done.error) == (DUE, ""), f"{done.claimed} claimed of {DUE}: {done.error}"
