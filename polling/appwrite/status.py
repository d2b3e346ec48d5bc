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
# What the page shows of a checkpoint as it is.
KEPT = ("error", "sweep_error", "sweep_began_at", "swept_at", "deletion_guard", "echoes", "overlap_hits", "repairs")


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
    failed: int
    missing: int
    dead: int
    unmatched_rows: int
    push_error: str
    left_alone_until: datetime | None
    pulled_at: datetime | None
    checkpoint_age_seconds: float | None
    read_to: str
    error: str
    sweep_error: str
    sweep_began_at: datetime | None
    swept_at: datetime | None
    deletion_guard: str
    echoes: int
    overlap_hits: int
    repairs: int


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
    """How the sync stands now, in a constant number of queries and without a call to Appwrite."""
    ours = {"target": settings.APPWRITE_TARGET}
    leases = {lease.work: lease for lease in SyncLease.objects.filter(held_until__gt=now)}
    checkpoints = {checkpoint.table: checkpoint for checkpoint in SyncCheckpoint.objects.filter(**ours)}
    unmatched = Counter(UnmatchedRow.objects.filter(**ours).values_list("table", flat=True))
    looked_to = push_logs.looked_to()
    tables, problems = [], []
    for table, counts in ((sync_state.TABLE, _race_counts(now=now)), (push_logs.TABLE, _log_counts(looked_to))):
        checkpoint, lease = checkpoints.get(table, SyncCheckpoint()), leases.get(push_of(table))
        # A lease with a holder is a push under way; one without says to leave the server alone for a while.
        is_pushed_now, dirty = bool(lease and lease.holder), counts.pop("dirty")
        pulled_at = looked_to if table == push_logs.TABLE else checkpoint.pulled_at
        status = TableStatus(
            table=table,
            dirty=0 if is_pushed_now else dirty,
            in_flight=dirty if is_pushed_now else 0,
            **counts,
            unmatched_rows=unmatched[table],
            left_alone_until=lease.held_until if lease and not lease.holder else None,
            pulled_at=pulled_at,
            checkpoint_age_seconds=(now - pulled_at).total_seconds() if pulled_at else None,
            read_to=checkpoint.updated_at,
            **{name: getattr(checkpoint, name) for name in KEPT},
        )
        tables.append(status)
        problems += problems_of(table, checkpoint, dead=status.dead, failed=status.failed, push_error=status.push_error)
    server = SyncServer.objects.filter(**ours).values(*SERVER).first() or {}
    return SyncStatus(
        configured=bool(settings.APPWRITE_ENDPOINT),
        target=settings.APPWRITE_TARGET,
        tables=tables,
        server=server,
        open_conflicts=open_conflicts().count(),
        problems=problems + problems_of_server(server),
    )


def problems_of(
    table: str, checkpoint: SyncCheckpoint | None, *, dead: int = 0, failed: int = 0, push_error: str = ""
) -> list[str]:
    """What of a table is dead, held or failing, in words; `dead` and `failed` are numbers of rows."""
    checkpoint = checkpoint or SyncCheckpoint()
    found = {
        f"{table}: {dead} given up until a person acts": dead,
        f"{table}: deletions wait for a person: {checkpoint.deletion_guard}": checkpoint.deletion_guard,
        f"{table}: {failed} wait after: {push_error}": failed,
        f"{table}: {checkpoint.error}": checkpoint.error,
        f"{table}, the sweep: {checkpoint.sweep_error}": checkpoint.sweep_error,
    }
    return [words for words, applies in found.items() if applies]


def problems_of_server(server: Mapping[str, Any]) -> list[str]:
    """What keeps us from writing, and a webhook that a person must enable, in words."""
    off = server.get("webhook_enabled") is False and server["webhook_problem"]
    return [words for words in (server.get("problem"), off) if words]


def open_conflicts() -> QuerySet[SyncConflict]:
    """Unresolved conflicts of the configured Appwrite, and those of rows of which nothing else is known."""
    ours = Q(state__target=settings.APPWRITE_TARGET) | Q(state=None)
    return SyncConflict.objects.filter(ours, resolved_at=None)


def _race_counts(*, now: datetime) -> dict[str, Any]:
    """The rows of races by what the push makes of them, those whose race is gone included; counted from the states."""
    # Each race is looked up twice at most: with tens of thousands of them this is what the page waits for.
    counts = sync_state.states().aggregate(
        in_sync=Count("pk", filter=Q(dead_since=None) & ~sync_state.DELETION_PENDING & sync_state.is_pushed()),
        waiting=Count("pk", filter=sync_state.is_waiting(now=now)),
        failed=Count("pk", filter=sync_state.has_failed(now=now)),
        missing=Count("pk", filter=sync_state.is_missing()),
        dead=Count("pk", filter=Q(dead_since__isnull=False)),
        orphans=Count("pk", filter=~sync_state.has_race()),
    )
    rows = Race.objects.count() + counts.pop("orphans")
    dirty = rows - sum(counts[name] for name in ("in_sync", "waiting", "missing", "dead"))
    error = sync_state.failing().exclude(error="").order_by("-attempts").values_list("error", flat=True).first()
    return {**counts, "rows": rows, "dirty": dirty, "push_error": error or ""}


def _log_counts(looked_to: datetime | None) -> dict[str, Any]:
    """The poll logs that are for Appwrite; none waits or is given up, as a log that is refused is skipped."""
    sent, unsent = PollLog.objects.filter(pushed_at__isnull=False).count(), push_logs.unsent(looked_to).count()
    none = {"waiting": 0, "failed": 0, "missing": 0, "dead": 0, "push_error": ""}
    return {"rows": sent + unsent, "in_sync": sent, "dirty": unsent, **none}
