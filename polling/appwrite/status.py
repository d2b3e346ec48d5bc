"""How the sync with Appwrite stands, in numbers: what the sync page shows and `manage.py sync status` prints."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from polling.appwrite import sync_state
from polling.appwrite.lease import push_of
from polling.appwrite.push import logs as push_logs
from polling.models import PollLog, SyncCheckpoint, SyncConflict, SyncLease, SyncServer, UnmatchedRow
from races.models import Race

SERVER = (
    "version", "compares_and_sets", "probed_at", "problem",
    "webhook_enabled", "webhook_problem", "webhook_checked_at", "notified_at", "notifications",
)  # fmt: skip
PROGRESS = (
    "error", "sweep_error", "sweep_began_at", "swept_at", "deletion_guard", "echoes", "overlap_hits", "repairs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table: its rows, those of races that are gone included, each in one of six states; and how far it got.

    `in_sync`: nothing to push. `dirty`: goes with the next push. `in_flight`: dirty, and a push has the table now.
    `waiting`: failed, and its next try is set; `failed` are those and the ones whose next try is due. `missing`:
    deleted in Appwrite, the sweep makes it again. `dead`: waits for a person. Of poll logs only those
    count that are for Appwrite; they are one way, so `pulled_at` is how far they have been looked through. Those that a
    sweep found gone there are `dirty` until they have been sent again.
    """

    table: str
    rows: int
    in_sync: int
    dirty: int
    in_flight: int
    waiting: int
    missing: int
    dead: int
    unmatched_rows: int
    left_alone_until: datetime | None
    push_error: str
    failed: int = 0
    pulled_at: datetime | None = None
    checkpoint_age_seconds: float | None = None
    read_to: str = ""
    error: str = ""
    sweep_error: str = ""
    sweep_began_at: datetime | None = None
    swept_at: datetime | None = None
    deletion_guard: str = ""
    echoes: int = 0
    overlap_hits: int = 0
    repairs: int = 0

    def problems(self) -> list[str]:
        """What is dead, held or failing, in words."""
        found = {
            f"{self.table}: {self.dead} given up until a person acts": self.dead,
            f"{self.table}: deletions wait for a person: {self.deletion_guard}": self.deletion_guard,
            f"{self.table}: {self.failed} wait after: {self.push_error}": self.failed,
            f"{self.table}: {self.error}": self.error,
            f"{self.table}, the sweep: {self.sweep_error}": self.sweep_error,
        }
        return [words for words, applies in found.items() if applies]


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """All of it, for the configured Appwrite. `problems` is what needs attention, in words."""

    configured: bool
    target: str
    tables: list[TableStatus]
    server: dict[str, Any]
    open_conflicts: int
    problems: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values and instants."""
        return asdict(self)


def numbers(*, now: datetime) -> SyncStatus:
    """As it stands now, in a constant number of queries and without a call to Appwrite."""
    leases = {lease.work: lease for lease in SyncLease.objects.filter(held_until__gt=now)}
    checkpoints = {point.table: point for point in SyncCheckpoint.objects.filter(target=settings.APPWRITE_TARGET)}
    unmatched = Counter(UnmatchedRow.objects.filter(target=settings.APPWRITE_TARGET).values_list("table", flat=True))
    looked_to = push_logs.looked_to()
    counts = {sync_state.TABLE: _races(now=now), push_logs.TABLE: _logs(looked_to)}
    pulled_at = {sync_state.TABLE: races.pulled_at if (races := checkpoints.get(sync_state.TABLE)) else None}
    tables = [
        TableStatus(
            table=table,
            unmatched_rows=unmatched[table],
            **_in_flight(rows, leases.get(push_of(table))),
            **_progress(checkpoints.get(table), pulled_at.get(table, looked_to), now=now),
        )
        for table, rows in counts.items()
    ]
    server = SyncServer.objects.filter(target=settings.APPWRITE_TARGET).values(*SERVER).first() or {}
    return SyncStatus(
        configured=bool(settings.APPWRITE_ENDPOINT),
        target=settings.APPWRITE_TARGET,
        tables=tables,
        server=server,
        open_conflicts=open_conflicts().count(),
        problems=[*(words for table in tables for words in table.problems()), *of_server(server)],
    )


def of_server(server: Mapping[str, Any]) -> list[str]:
    """What keeps us from writing, and a webhook that a person must enable."""
    off = server.get("webhook_enabled") is False and server["webhook_problem"]
    return [words for words in (server.get("problem"), off) if words]


def open_conflicts() -> QuerySet[SyncConflict]:
    """Those of the configured Appwrite that nobody has settled, and those of rows of which nothing else is known."""
    ours = Q(state__target=settings.APPWRITE_TARGET) | Q(state=None)
    return SyncConflict.objects.filter(ours, resolved_at=None)


def _races(*, now: datetime) -> dict[str, Any]:
    """As the push asks it of every race, and of rows whose race is gone; counted from the states."""
    # Each race is looked up twice at most: with tens of thousands of them this is what the page waits for.
    told = sync_state.states().aggregate(
        in_sync=Count("pk", filter=Q(dead_since=None) & ~sync_state.DELETION_PENDING & sync_state.is_settled()),
        waiting=Count("pk", filter=sync_state.is_waiting(now=now)),
        failed=Count("pk", filter=sync_state.has_failed(now=now)),
        missing=Count("pk", filter=sync_state.is_missing()),
        dead=Count("pk", filter=Q(dead_since__isnull=False)),
        orphans=Count("pk", filter=~sync_state.has_race()),
    )
    rows, failed = Race.objects.count() + told.pop("orphans"), told.pop("failed")
    error = sync_state.failing().exclude(error="").order_by("-attempts").values_list("error", flat=True).first()
    return {**told, "rows": rows, "dirty": rows - sum(told.values()), "failed": failed, "push_error": error or ""}


def _logs(looked_to: datetime | None) -> dict[str, Any]:
    sent, unsent = PollLog.objects.filter(pushed_at__isnull=False).count(), push_logs.unsent(looked_to).count()
    none = {"waiting": 0, "missing": 0, "dead": 0, "push_error": ""}  # a log that is refused is let go
    return {"rows": sent + unsent, "in_sync": sent, "dirty": unsent, **none}


def _in_flight(told: dict[str, Any], lease: SyncLease | None) -> dict[str, Any]:
    """A lease with a holder is a push under way; one without is word to leave the server alone for a while."""
    under_way = bool(lease and lease.holder)
    flying = told["dirty"] if under_way else 0
    until = lease.held_until if lease and not under_way else None
    return {**told, "dirty": told["dirty"] - flying, "in_flight": flying, "left_alone_until": until}


def _progress(checkpoint: SyncCheckpoint | None, pulled_at: datetime | None, *, now: datetime) -> dict[str, Any]:
    """How far pull and sweep have got; of poll logs `pulled_at` is up to when they have been looked through."""
    progress: dict[str, Any] = {name: getattr(checkpoint, name) for name in PROGRESS} if checkpoint else {}
    age = (now - pulled_at).total_seconds() if pulled_at else None
    read_to = checkpoint.updated_at if checkpoint else ""
    return {**progress, "pulled_at": pulled_at, "checkpoint_age_seconds": age, "read_to": read_to}
