"""The database of a house that has run for months, built in a minute by SQL."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from races.models import Meeting, Race

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
        _run("PRAGMA cache_size = -400000")
    _meetings_and_races(sizes.races, now=now)
    _run(
        f"""INSERT INTO races_runner (race_id, number, name, jockey, trainer, fixed_win)
        SELECT r.id, n.i, 'Star ' || r.id || ' of ' || n.i, 'A Jockey', 'A Trainer', 4.20
        FROM races_race r, ({_series(RUNNERS)}) n ORDER BY r.id, n.i"""
    )
    _logs(sizes)
    _prices(sizes)
    _small_tables(sizes, now=now)
    if connection.vendor == "postgresql":
        _run("ANALYZE")
    else:
        _run("PRAGMA cache_size = -2000")
        _run("PRAGMA wal_checkpoint(TRUNCATE)")


def _meetings_and_races(count: int, *, now: datetime) -> None:
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
            _race(number, start, keys[min(number // RACES_A_MEETING, meetings - 1)])
            for number, start in enumerate(starts)
        ),
        batch_size=1_000,
    )


def _race(number: int, start: datetime, meeting: int) -> Race:
    return Race(
        provider=PROVIDER, provider_race_id=f"{number:08x}-0000-4000-8000-{number:012x}", meeting_id=meeting,
        number=number % RACES_A_MEETING + 1, name=f"Handicap {number % 90} Stakes", advertised_start=start,
        original_advertised_start=start, provider_start=start, status="finalized", finalized_by="provider",
        finalized_at=start, outcome="resulted", last_poll_time=start, last_changed_at=start,
    )  # fmt: skip


def _logs(sizes: Sizes) -> None:
    """The poll of each minute before the start; nineteen of twenty answered."""
    many = sizes.logs // LOGS_A_RACE
    slot = _earlier("r.advertised_start", "n.i * 60")
    row = f"(r.id * {LOGS_A_RACE} + n.i)"
    state = (
        f"CASE WHEN {row} % 1000 < 950 THEN 'ok' WHEN {row} % 1000 < 970 THEN 'failed' "
        f"WHEN {row} % 1000 < 985 THEN 'skipped' WHEN {row} % 1000 < 999 THEN 'missed' ELSE 'lost' END"
    )
    trigger = f"CASE {row} % 997 WHEN 0 THEN 'forced' WHEN 1 THEN 'remote' WHEN 2 THEN 'retry' ELSE 'slot' END"
    error = f"CASE WHEN {row} % 1000 BETWEEN 950 AND 968 THEN 'Unavailable' WHEN {row} % 1000 = 969 THEN 'Malformed' ELSE '' END"
    _run(
        f"""INSERT INTO polling_polllog (public_id, race_id, slot_at, trigger, state, reason, requested_by, claim, run,
        claimed_at, started_at, finished_at, http_status, error_class, message, sample, changed, starts_incident)
        SELECT {_uuid()}, r.id, {slot}, {trigger}, {state}, '', CASE {row} % 997 WHEN 0 THEN 'officer' ELSE '' END,
        'c' || ({row} / 50), 'r' || ({row} / 10), {slot}, {slot}, {slot}, 200, {error}, '', '',
        {_flag(f"{row} % 3 = 0")}, {_flag("1 = 0")}
        FROM (SELECT id, advertised_start FROM races_race ORDER BY id DESC LIMIT {many}) r,
        ({_series(LOGS_A_RACE)}) n ORDER BY r.id, n.i DESC"""
    )
    _run(
        "UPDATE polling_polllog SET retry_of_id = id - 1 WHERE trigger = 'retry' "
        "AND id - 1 IN (SELECT id FROM polling_polllog WHERE trigger = 'slot')"
    )


def _prices(sizes: Sizes) -> None:
    many = sizes.price_changes // CHANGES_A_RUNNER // RUNNERS
    _run(
        f"""INSERT INTO races_oddschange (runner_id, observed_at, fixed_win, fixed_place)
        SELECT u.id, {_earlier("r.advertised_start", "n.i * 200")}, 4.20, 1.60
        FROM (SELECT id, advertised_start FROM races_race ORDER BY id DESC LIMIT {many}) r
        JOIN races_runner u ON u.race_id = r.id, ({_series(CHANGES_A_RUNNER)}) n ORDER BY r.id, n.i DESC"""
    )


def _small_tables(sizes: Sizes, *, now: datetime) -> None:
    user, _ = User.objects.get_or_create(username="officer", defaults={"is_staff": True, "is_superuser": True})
    kind = ContentType.objects.get_for_model(Race)
    at = _earlier("%s", "n.i * 60")
    _run(
        f"""INSERT INTO django_admin_log (action_time, user_id, content_type_id, object_id, object_repr, action_flag,
        change_message) SELECT {at}, {user.pk}, {kind.pk}, '' || n.i, 'Mount Halloran 5', 2, 'Poll forced: note ' || n.i
        FROM ({_series(sizes.decisions)}) n""",
        _text(now),
    )
    _run(
        f"""INSERT INTO django_q_task (id, name, func, args, kwargs, result, "group", cluster, started, stopped,
        success, attempt_count) SELECT 'task-' || n.i, 'task ' || n.i, 'polling.tasks.sync', NULL, NULL, NULL, NULL,
        NULL, {at}, {at}, {_flag("1 = 0")}, 1 FROM ({_series(sizes.failed_tasks)}) n""",
        _text(now), _text(now),
    )  # fmt: skip
    _run(
        f"""INSERT INTO polling_tick (slot_at, started_at, due, claimed, dispatched, error)
        SELECT {_earlier("%s", "n.i * 15")}, {_earlier("%s", "n.i * 15")}, 7, 6, 5, '' FROM ({_series(sizes.ticks)}) n""",
        _text(now), _text(now),
    )  # fmt: skip
    _run(
        """INSERT INTO polling_syncstate (target, "table", local_pk, remote_id, base, base_updated_at, base_sequence,
        pushed_version, synced_at, attempts, error) SELECT '@', 'races', id, 'row-' || id,
        '{"number": 1, "name": "Handicap", "status": "finalized"}', '', '', 1, advertised_start, 0, '' FROM races_race"""
    )
    _run(
        f"""INSERT INTO polling_syncconflict (state_id, "row", field, base, local, remote, chosen, policy, found_at,
        resolved_by, resolution) SELECT s.id, 'row', 'staff_note', '"a"', '"b"', '"c"', 'local', 'ours', s.synced_at,
        '', '' FROM polling_syncstate s ORDER BY s.id DESC LIMIT {sizes.conflicts}"""
    )
    _run(
        f"""INSERT INTO polling_incident (provider, kind, began_at, ended_at, reason)
        SELECT '{PROVIDER}', 'limited', {at}, {at}, '429' FROM ({_series(sizes.conflicts)}) n""",
        _text(now), _text(now),
    )  # fmt: skip


# --- what the two databases say differently ---------------------------------------------------------------------------


def _run(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement if values else statement.replace("%", "%%"), values)


def _series(count: int) -> str:
    """A table with the column i, from 1 to `count`."""
    if connection.vendor == "postgresql":
        return f"SELECT generate_series(1, {count}) AS i"
    return f"WITH RECURSIVE s(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM s WHERE i < {count}) SELECT i FROM s"


def _earlier(instant: str, seconds: str) -> str:
    """An instant so many seconds before another."""
    if connection.vendor == "postgresql":
        return f"({instant}::timestamptz - make_interval(secs => {seconds}))"
    percent = "%%" if instant == "%s" else "%"
    form = "%Y-%m-%d %H:%M:%S".replace("%", percent)
    return f"strftime('{form}', {instant}, '-' || ({seconds}) || ' seconds')"


def _uuid() -> str:
    return "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"


def _flag(condition: str) -> str:
    return f"({condition})"


def _text(now: datetime) -> str:
    return f"{now:%Y-%m-%d %H:%M:%S}"
