"""The database of an installation that has run for months, built in a minute by SQL."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django_q.models import Task

from polling.models import Incident, PollLog, SyncConflict, SyncState, Tick
from races.models import Meeting, PriceChange, Race, Runner

TRACKS = ("Mount Halloran", "Karewa Downs", "Te Rua", "Ashby Park", "Fern Flat", "Long Reach", "Saltwater Creek")
CODES = ("thoroughbred", "harness", "greyhound")
PROVIDER = "sandbox"
RACES_A_MEETING = 10
RUNNERS = 10
LOGS_A_RACE = 40
CHANGES_A_RUNNER = 12
DAYS = 90


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows. The logs and price changes are those of the newest races."""

    races: int = 67_500  # 750 a day for ninety days
    logs: int = 1_000_000
    price_changes: int = 3_000_000
    decisions: int = 100_000
    failed_tasks: int = 20_000
    ticks: int = 11_520
    conflicts: int = 5_000


SMALL = Sizes(200, 2_000, 4_000, 100, 100, 100, 50)


def build(sizes: Sizes, *, now: datetime) -> None:
    """Fills the empty tables: races that ended, evenly over ninety days up to now, and what belongs to them."""
    if connection.vendor == "sqlite":
        _run_sql("PRAGMA cache_size = -400000")
    _build_meetings_and_races(sizes.races, now=now)
    _insert_rows(
        Runner,
        {"race_id": "r.id", "number": "n.i", "name": "'Star ' || r.id || ' of ' || n.i", "fixed_win": "4.20"},
        f"races_race r, ({_series_sql(RUNNERS)}) n ORDER BY r.id, n.i",
    )
    _build_logs(sizes)
    _build_prices(sizes)
    _build_small_tables(sizes, now=now)
    if connection.vendor == "postgresql":
        # What is left of building them, vacuums and the writing of gigabytes, is no part of what is measured.
        _run_sql("VACUUM (ANALYZE)")
        _run_sql("CHECKPOINT")
    else:
        _run_sql("PRAGMA cache_size = -2000")
        _run_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _build_meetings_and_races(count: int, *, now: datetime) -> None:
    apart, meetings = timedelta(days=DAYS) / count, count // RACES_A_MEETING
    starts = [now - apart * (count - number) for number in range(count)]
    Meeting.objects.bulk_create(
        (
            Meeting(
                provider=PROVIDER, provider_meeting_id=f"meeting-{number}", name=TRACKS[number % len(TRACKS)],
                country=("NZ", "AUS", "HK")[number % 3], state="NZ", code=CODES[number % 3],
                racing_day=starts[number * RACES_A_MEETING].date(), timezone="Pacific/Auckland",
            )
            for number in range(meetings)
        ),
        batch_size=1_000,
    )  # fmt: skip
    keys = list(Meeting.objects.order_by("pk").values_list("pk", flat=True))
    Race.objects.bulk_create(
        (
            _ended_race(number, start, keys[min(number // RACES_A_MEETING, meetings - 1)])
            for number, start in enumerate(starts)
        ),
        batch_size=1_000,
    )


def _ended_race(number: int, start: datetime, meeting: int) -> Race:
    return Race(
        provider=PROVIDER, provider_race_id=f"{number:08x}-0000-4000-8000-{number:012x}", meeting_id=meeting,
        number=number % RACES_A_MEETING + 1, name=f"Handicap {number % 90} Stakes", advertised_start=start,
        original_advertised_start=start, provider_start=start, status="finalized", finalized_by="provider",
        finalized_at=start, outcome="resulted", last_poll_time=start, last_changed_at=start,
    )  # fmt: skip


def _build_logs(sizes: Sizes) -> None:
    """The poll of each minute before the start; nineteen of twenty answered."""
    many = sizes.logs // LOGS_A_RACE
    random_uuid = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    slot = _earlier_sql("r.advertised_start", "n.i * 60")
    row = f"(r.id * {LOGS_A_RACE} + n.i)"
    state = (
        f"CASE WHEN {row} % 1000 < 950 THEN 'ok' WHEN {row} % 1000 < 970 THEN 'failed' "
        f"WHEN {row} % 1000 < 985 THEN 'skipped' WHEN {row} % 1000 < 999 THEN 'missed' ELSE 'lost' END"
    )
    trigger = f"CASE {row} % 997 WHEN 0 THEN 'forced' WHEN 1 THEN 'remote' WHEN 2 THEN 'retry' ELSE 'slot' END"
    error = (
        f"CASE WHEN {row} % 1000 BETWEEN 950 AND 968 THEN 'Unavailable' "
        f"WHEN {row} % 1000 = 969 THEN 'Malformed' ELSE '' END"
    )
    _insert_rows(
        PollLog,
        {
            "public_id": random_uuid, "race_id": "r.id", "slot_at": slot, "trigger": trigger, "state": state,
            "requested_by": f"CASE {row} % 997 WHEN 0 THEN 'officer' ELSE '' END", "claim": f"'c' || ({row} / 50)",
            "run": f"'r' || ({row} / 10)", "claimed_at": slot, "started_at": slot, "finished_at": slot,
            "http_status": "200", "error_class": error, "changed": f"({row} % 3 = 0)",
        },
        f"(SELECT id, advertised_start FROM races_race ORDER BY id DESC LIMIT {many}) r, "
        f"({_series_sql(LOGS_A_RACE)}) n ORDER BY r.id, n.i DESC",
    )  # fmt: skip
    _run_sql(
        "UPDATE polling_polllog SET retry_of_id = id - 1 WHERE trigger = 'retry' "
        "AND id - 1 IN (SELECT id FROM polling_polllog WHERE trigger = 'slot')"
    )


def _build_prices(sizes: Sizes) -> None:
    many = sizes.price_changes // CHANGES_A_RUNNER // RUNNERS
    observed = _earlier_sql("r.advertised_start", "n.i * 200")
    _insert_rows(
        PriceChange,
        {"runner_id": "u.id", "observed_at": observed, "fixed_win": "4.20", "fixed_place": "1.60"},
        f"(SELECT id, advertised_start FROM races_race ORDER BY id DESC LIMIT {many}) r "
        f"JOIN races_runner u ON u.race_id = r.id, ({_series_sql(CHANGES_A_RUNNER)}) n ORDER BY r.id, n.i DESC",
    )


def _build_small_tables(sizes: Sizes, *, now: datetime) -> None:
    user, _ = User.objects.get_or_create(username="officer", defaults={"is_staff": True, "is_superuser": True})
    kind = ContentType.objects.get_for_model(Race)
    at, slot = (_earlier_sql(f"'{now:%Y-%m-%d %H:%M:%S}'", f"n.i * {seconds}") for seconds in (60, 15))
    decision = {"user_id": str(user.pk), "content_type_id": str(kind.pk), "object_id": "'' || n.i", "action_flag": "2"}
    words = {"object_repr": "'Mount Halloran 5'", "change_message": "'Poll forced: note ' || n.i"}
    _insert_rows(LogEntry, {"action_time": at, **decision, **words}, f"({_series_sql(sizes.decisions)}) n")
    task = {"id": "'task-' || n.i", "name": "'task ' || n.i", "func": "'polling.tasks.sync'", "success": "(1 = 0)"}
    _insert_rows(Task, {**task, "started": at, "stopped": at}, f"({_series_sql(sizes.failed_tasks)}) n")
    _insert_rows(Tick, {"slot_at": slot, "started_at": slot, "due": "7"}, f"({_series_sql(sizes.ticks)}) n")
    row = {"target": "'@'", "table": "'races'", "local_pk": "id", "remote_id": "'row-' || id", "pushed_version": "1"}
    base = {"base": """'{"number": 1, "name": "Handicap", "status": "finalized"}'""", "synced_at": "advertised_start"}
    _insert_rows(SyncState, {**row, **base}, "races_race")
    sides = {"base": """'"a"'""", "local": """'"b"'""", "remote": """'"c"'""", "chosen": "'local'"}
    conflict = {"state_id": "s.id", "field": "'staff_note'", "policy": "'ours'", "found_at": "s.synced_at", **sides}
    _insert_rows(SyncConflict, conflict, f"polling_syncstate s ORDER BY s.id DESC LIMIT {sizes.conflicts}")
    incident = {"provider": f"'{PROVIDER}'", "kind": "'limited'", "began_at": at, "ended_at": at, "reason": "'429'"}
    _insert_rows(Incident, incident, f"({_series_sql(sizes.conflicts)}) n")


# --- what the two databases write differently ------------------------------------------------------------------------


def _insert_rows(model: type[models.Model], values: dict[str, str], source: str) -> None:
    """Fills a table from others, an expression for each column; those not named get their default."""
    columns = dict(values)
    for field in model._meta.concrete_fields:
        if field.column and field.column not in columns and not (field.null or isinstance(field, models.AutoField)):
            columns[field.column] = _default_sql(field)
    names = ", ".join(f'"{column}"' for column in columns)
    _run_sql(f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {", ".join(columns.values())} FROM {source}')


def _default_sql(field: "models.Field[Any, Any]") -> str:
    default = field.get_default()
    if isinstance(default, bool):
        return f"(1 = {int(default)})"
    if isinstance(field, models.JSONField):
        return f"'{json.dumps(default)}'"
    return str(default) if isinstance(default, int) else f"'{default or ''}'"


def _run_sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _series_sql(count: int) -> str:
    """A table with the column i, from 1 to `count`."""
    if connection.vendor == "postgresql":
        return f"SELECT generate_series(1, {count}) AS i"
    return f"WITH RECURSIVE s(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM s WHERE i < {count}) SELECT i FROM s"


def _earlier_sql(instant: str, seconds: str) -> str:
    """An instant so many seconds before another."""
    if connection.vendor == "postgresql":
        zoned = f"{instant}::timestamp AT TIME ZONE 'UTC'" if instant.startswith("'") else instant
        return f"({zoned} - make_interval(secs => {seconds}))"
    return f"strftime('%Y-%m-%d %H:%M:%S', {instant}, '-' || ({seconds}) || ' seconds')"
