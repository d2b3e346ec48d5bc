"""The facts by which polling and the sync are judged, read in few queries for every page of the admin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, DateTimeField, F, IntegerField, Max, Min, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast

from polling import schedules
from polling.appwrite import status, sync_state
from polling.appwrite.push import logs as push_logs
from polling.appwrite.status import TableStatus
from polling.models import (
    Heartbeat,
    Incident,
    PollingSwitch,
    PollLog,
    PollState,
    ProviderState,
    SkipReason,
    SyncCheckpoint,
    SyncServer,
    Tick,
    UnmatchedRow,
)
from polling.monitoring import heartbeat as heartbeats

LATELY = timedelta(minutes=2)  # polls that no worker began in time count for so long
NEVER, NO_NUMBER, NO_WORDS = Cast(Value(None), DateTimeField()), Value(0), Value("", TextField())
COUNT = Count("pk")


@dataclass(frozen=True, slots=True)
class Counted:
    """How many of something there are, and since when: the oldest of them."""

    number: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SyncFacts:
    """What there is to judge of the sync. `trouble` is in words what is dead, stopped or failing."""

    configured: bool = False
    pulled_at: datetime | None = None
    trouble: Sequence[str] = ()
    trouble_since: datetime | None = None
    unmatched: Counted = Counted()
    conflicts: Counted = Counted()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is judged. `scheduled_at` is when the first tick was to run, known where there has been none.

    `too_late` are the polls of late that no worker began in time, `begun_at` is when one was last begun.
    """

    overdue_after: timedelta
    providers: tuple[str, ...]
    heartbeat: Heartbeat | None = None
    tick: Tick | None = None
    scheduled_at: datetime | None = None
    too_late: Counted = Counted()
    begun_at: datetime | None = None
    states: Sequence[ProviderState] = ()
    incidents: Sequence[Incident] = ()
    switch: PollingSwitch | None = None
    sync: SyncFacts = field(default_factory=SyncFacts)


@dataclass(frozen=True, slots=True)
class _Row:
    at: datetime | None = None
    until: datetime | None = None
    number: int = 0
    words: str = ""
    by: str = ""

    @property
    def counted(self) -> Counted:
        return Counted(self.number, self.at)


def read(*, now: datetime) -> Facts:
    """The facts as they stand: three queries, five where an Appwrite is configured."""
    rows = _rows(now=now)
    beat, tick, switch = rows.get("beat"), rows.get("tick"), rows.get("switch")
    polls, late = rows.get("polls", _Row()), rows.get("late", _Row())
    return Facts(
        overdue_after=heartbeats.overdue_after(),
        providers=tuple(settings.RACE_PROVIDERS),
        heartbeat=_heartbeat(beat, late_since=late.at),
        tick=Tick(started_at=tick.at, error=tick.words) if tick and tick.at else None,
        scheduled_at=None if beat or tick else schedules.first_tick_at(),
        too_late=polls.counted,
        begun_at=polls.until,
        states=list(ProviderState.objects.filter(name__in=settings.RACE_PROVIDERS)),
        incidents=list(Incident.objects.filter(ended_at__isnull=True).order_by("began_at", "pk")),
        switch=_switch(switch) if switch else None,
        sync=_sync(rows),
    )


def _heartbeat(row: _Row | None, *, late_since: datetime | None) -> Heartbeat | None:
    return Heartbeat(at=row.at, sleeping_until=row.until, late_since=late_since) if row and row.at else None


def _switch(row: _Row) -> PollingSwitch:
    return PollingSwitch(paused=bool(row.number), reason=row.words, changed_at=row.at, changed_by=row.by)


# --- in one query -----------------------------------------------------------------------------------------------------


def _rows(*, now: datetime) -> dict[str, _Row]:
    """One row per kind of fact."""
    too_late = Q(state=PollState.LOST.value) | Q(state=PollState.SKIPPED.value, reason=SkipReason.STALE.value)
    lately = PollLog.objects.filter(slot_at__gt=now - LATELY, slot_at__lte=now)
    begun_at = Max("started_at", filter=~Q(state=PollState.LOST.value))
    newest = Tick.objects.order_by("-slot_at").values("slot_at")[:1]
    paused = Case(When(paused=True, then=1), default=0, output_field=IntegerField())
    switch = PollingSwitch.objects.filter(pk=1)
    beats = Heartbeat.objects.filter(pk=1).exclude(at=heartbeats.NEVER)
    found = [
        _one("beat", beats, at=F("at"), until=F("sleeping_until")),
        _one("late", beats.exclude(late_since=None), at=F("late_since")),
        _one("tick", Tick.objects.filter(slot_at__in=newest), at=F("started_at"), words=F("error")),
        _one("switch", switch, at=F("changed_at"), number=paused, words=F("reason"), by=F("changed_by")),
        _all("polls", lately, Min("slot_at", filter=too_late), Count("pk", filter=too_late), begun_at),
        _all("conflicts", status.open_conflicts(), Min("found_at")),
    ]
    if settings.APPWRITE_ENDPOINT:
        rows, dead = sync_state.states(), Q(dead_since__isnull=False)
        unmatched = UnmatchedRow.objects.filter(target=settings.APPWRITE_TARGET)
        found += [
            _all("unmatched", unmatched, Min("found_at")),
            _all("dead", rows, Min("dead_since"), Count("pk", filter=dead)),
            _all("failed", rows.filter(sync_state.has_failed(now=now)), NEVER),
        ]
    first, *others = found
    return {kind: _Row(*values) for kind, *values in first.union(*others, all=True)}


def _one(
    kind: str,
    rows: QuerySet[Any],
    *,
    at: F,
    until: Any = NEVER,
    number: Any = NO_NUMBER,
    words: Any = NO_WORDS,
    by: Any = NO_WORDS,
) -> QuerySet[Any, Any]:
    """A fact that a row of its own has."""
    found: QuerySet[Any, Any] = rows.order_by().values_list(Value(kind, TextField()), at, until, number, words, by)
    return found


def _all(kind: str, rows: QuerySet[Any], since: Any, number: Any = COUNT, until: Any = NEVER) -> QuerySet[Any, Any]:
    """A fact that is counted."""
    tagged = rows.order_by().values(kind=Value(kind, TextField()))
    counted = tagged.annotate(since=since, until=until, number=number, words=NO_WORDS, by=NO_WORDS)
    found: QuerySet[Any, Any] = counted.values_list("kind", "since", "until", "number", "words", "by")
    return found


# --- Appwrite ---------------------------------------------------------------------------------------------------------


def _sync(rows: Mapping[str, _Row]) -> SyncFacts:
    conflicts = rows.get("conflicts", _Row()).counted
    if not settings.APPWRITE_ENDPOINT:
        return SyncFacts(conflicts=conflicts)
    checkpoints = {point.table: point for point in SyncCheckpoint.objects.filter(target=settings.APPWRITE_TARGET)}
    server = SyncServer.objects.filter(target=settings.APPWRITE_TARGET).values(*status.SERVER).first() or {}
    dead, failed = rows.get("dead", _Row()), rows.get("failed", _Row())
    begins = [dead.at]
    for point in checkpoints.values():
        begins += [point.failing_since or point.pulled_at] if point.error else []
        begins += [point.sweep_failing_since] if point.sweep_error else []
    races = checkpoints.get(sync_state.TABLE)
    return SyncFacts(
        configured=True,
        pulled_at=races.pulled_at if races else None,
        trouble=[
            *_of_table(sync_state.TABLE, checkpoints, dead=dead.number, failed=failed.number),
            *_of_table(push_logs.TABLE, checkpoints),
            *status.of_server(server),
        ],
        trouble_since=min((at for at in begins if at), default=None),
        unmatched=rows.get("unmatched", _Row()).counted,
        conflicts=conflicts,
    )


def _of_table(name: str, checkpoints: Mapping[str, SyncCheckpoint], *, dead: int = 0, failed: int = 0) -> list[str]:
    """What is dead, stopped or failing, as the sync page says it."""
    point = checkpoints.get(name)
    # Only where rows have failed, so that all is one query fewer while all is well.
    error = sync_state.failing().exclude(error="").values_list("error", flat=True).first() if failed else ""
    table = TableStatus(
        table=name,
        rows=0,
        in_sync=0,
        dirty=0,
        in_flight=0,
        waiting=0,
        failed=failed,
        missing=0,
        dead=dead,
        unmatched_rows=0,
        left_alone_until=None,
        push_error=error or "",
        error=point.error if point else "",
        sweep_error=point.sweep_error if point else "",
        deletion_guard=point.deletion_guard if point else "",
    )
    return table.problems()
