"""A batch of 200 races with 10 runners each whose odds all moved: our ingest, and a row at a time beside it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bench.figures import Bar, Figure, median
from bench.run_options import RunOptions
from races import ingest
from races.models import Meeting, Race, Runner
from races.snapshots import MeetingSnapshot, RaceSnapshot, RunnerSnapshot, Scope
from races.status import RaceStatus, ResultState

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
CENT = Decimal("0.01")


def run(options: RunOptions) -> Iterator[Figure]:
    """Rounds of both take turns, on races of their own, so that what else the machine does slows both."""
    count, rounds = options.sized(200, 5), options.sized(5, 2)
    ours, theirs = snapshots("ours", count), snapshots("theirs", count)
    ingest.apply(ours, now=START)
    row_at_a_time(theirs, now=START)
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(1, rounds + 1):
        now = START + timedelta(seconds=15 * number)
        seconds["ours"].append(_measure_write(ingest.apply, with_moved_odds(ours, number, now=now), now=now))
        seconds["theirs"].append(_measure_write(row_at_a_time, with_moved_odds(theirs, number, now=now), now=now))
    _check_both_alike()
    now = START + timedelta(hours=1)
    with CaptureQueriesContext(connection) as seen:
        ingest.apply(with_moved_odds(ours, rounds + 1, now=now), now=now)
    middle = {name: median(values) for name, values in seconds.items()}
    details = {"ours_ms": round(middle["ours"] * 1000), "row_at_a_time_ms": round(middle["theirs"] * 1000)}
    details |= {"races": count, "runners": 10}
    ratio = middle["theirs"] / middle["ours"]
    yield Figure("times_faster", ratio, "times", Bar(">=", 10), rounds, details=details)
    # Where a statement holds few parameters the batch must be cut into many.
    few = "" if connection.vendor == "postgresql" else "PostgreSQL's bar; SQLite takes 999 parameters a statement"
    yield Figure("queries", len(seen), "queries", Bar("<=", 15), why=few, details=details)


def _measure_write(write: Callable[..., object], races: Sequence[RaceSnapshot], *, now: datetime) -> float:
    began = time.perf_counter()
    write(races, now=now)
    return time.perf_counter() - began


def row_at_a_time(races: Sequence[RaceSnapshot], *, now: datetime) -> None:
    """The obvious way to write them: update_or_create per race and runner, a transaction per race."""
    for snapshot in races:
        with transaction.atomic():
            race, _ = Race.objects.update_or_create(
                provider=snapshot.provider,
                provider_race_id=snapshot.provider_race_id,
                defaults=_race_fields(snapshot, now),
            )
            for runner in snapshot.runners or ():
                facts = asdict(runner)
                del facts["scratched"]
                Runner.objects.update_or_create(race=race, number=facts.pop("number"), defaults=facts)


def _race_fields(snapshot: RaceSnapshot, now: datetime) -> dict[str, object]:
    assert snapshot.meeting is not None
    meeting, _ = Meeting.objects.get_or_create(
        provider=snapshot.provider,
        provider_meeting_id=snapshot.meeting.provider_meeting_id,
        defaults={"name": snapshot.meeting.name},
    )
    return {
        "meeting": meeting,
        "number": snapshot.number,
        "name": snapshot.name,
        "advertised_start": snapshot.advertised_start,
        "original_advertised_start": snapshot.advertised_start,
        "provider_start": snapshot.advertised_start,
        "status": RaceStatus.SCHEDULED.value,
        "provider_status": snapshot.provider_status,
        "source_time": snapshot.source_time,
        "last_changed_at": now,
    }


def snapshots(prefix: str, count: int) -> list[RaceSnapshot]:
    return [_race_snapshot(prefix, number) for number in range(count)]


def _race_snapshot(prefix: str, number: int) -> RaceSnapshot:
    meeting = MeetingSnapshot(
        "sandbox", f"{prefix}-{number // 10}", f"Track {number // 10}", "NZ", "NZ", "thoroughbred"
    )
    odds = [Decimal(200 + 10 * runner) * CENT for runner in range(10)]
    runners = tuple(
        RunnerSnapshot(
            place + 1, f"Horse {place}", place + 1, "A Jockey", "A Trainer", fixed_win=win, fixed_place=win / 2,
            tote_win=win, tote_place=win / 2,
        )
        for place, win in enumerate(odds)
    )  # fmt: skip
    return RaceSnapshot(
        provider="sandbox", provider_race_id=f"{prefix}-{number}", scope=Scope.FULL, observed_at=START,
        source_time=START, meeting=meeting, number=number % 10 + 1, name=f"Handicap {number}", distance_m=1400,
        advertised_start=START + timedelta(hours=2), status=RaceStatus.SCHEDULED, provider_status="Open",
        result_state=ResultState.NONE, runners=runners, results=(), dividends=(),
    )  # fmt: skip


def with_moved_odds(races: Sequence[RaceSnapshot], by: int, *, now: datetime) -> list[RaceSnapshot]:
    """The same races an answer later, with all odds moved."""
    answers = []
    for race in races:
        runners = []
        for runner in race.runners or ():
            win = Decimal(200 + 10 * runner.number + by) * CENT
            runners.append(replace(runner, fixed_win=win, fixed_place=win - 1, tote_win=win + 1, tote_place=win))
        answers.append(replace(race, observed_at=now, source_time=now, runners=tuple(runners)))
    return answers


def _check_both_alike() -> None:
    """A writer that wrote less would be the faster: both must have left the same odds behind."""
    odds = {
        prefix: list(
            Runner.objects.filter(race__provider_race_id__startswith=f"{prefix}-")
            .order_by("race_id", "number")
            .values_list("number", "name", "fixed_win", "fixed_place", "tote_win", "tote_place")
        )
        for prefix in ("ours", "theirs")
    }
    assert odds["ours"], "nothing was written"
    assert odds["ours"] == odds["theirs"], "the two writers left different rows"
