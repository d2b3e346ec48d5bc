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
    """What there is to judge of the sync; `problems` is, in words, what is dead, held or failing."""

    configured: bool = False
    pulled_at: datetime | None = None
    problems: Sequence[str] = ()
    problems_since: datetime | None = None
    unmatched_rows: Counted = Counted()
    conflicts: Counted = Counted()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is judged.

    `first_tick_at` is when the first tick was to run, read only where there has been none. `polls_not_begun` are the
    polls of the last two minutes that no worker began in time, `poll_begun_at` is when one was last begun.
    """

    overdue_after: timedelta
    providers: tuple[str, ...]
    heartbeat: Heartbeat | None = None
    newest_tick: Tick | None = None
    first_tick_at: datetime | None = None
    polls_not_begun: Counted = Counted()
    poll_begun_at: datetime | None = None
    provider_states: Sequence[ProviderState] = ()
    incidents: Sequence[Incident] = ()
    switch: PollingSwitch | None = None
    sync: SyncFacts = field(default_factory=SyncFacts)


@dataclass(frozen=True, slots=True)
class _FactRow:
    """One row of the union query; what a fact does not have is empty."""

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
    rows = _read_fact_rows(now=now)
    newest, late, tick = (rows.get(kind, _FactRow()) for kind in ("heartbeat", "late ticks", "tick"))
    polls, switch = rows.get("polls", _FactRow()), rows.get("switch")
    paused = None
    if switch:
        paused = PollingSwitch(
            paused=bool(switch.number), reason=switch.words, changed_at=switch.at, changed_by=switch.by
        )
    return Facts(
        overdue_after=heartbeats.overdue_after(),
        providers=tuple(settings.RACE_PROVIDERS),
        heartbeat=Heartbeat(at=newest.at, sleeping_until=newest.until, late_since=late.at) if newest.at else None,
        newest_tick=Tick(started_at=tick.at, error=tick.words) if tick.at else None,
        first_tick_at=None if newest.at or tick.at else schedules.first_tick_at(),
        polls_not_begun=polls.counted,
        poll_begun_at=polls.until,
        provider_states=list(ProviderState.objects.filter(name__in=settings.RACE_PROVIDERS)),
        incidents=list(Incident.objects.filter(ended_at__isnull=True).order_by("began_at", "pk")),
        switch=paused,
        sync=_sync_facts(rows),
    )


# --- in one query -----------------------------------------------------------------------------------------------------


def _read_fact_rows(*, now: datetime) -> dict[str, _FactRow]:
    """One row per kind of fact."""
    too_late = Q(state=PollState.LOST.value) | Q(state=PollState.SKIPPED.value, reason=SkipReason.STALE.value)
    lately = PollLog.objects.filter(slot_at__gt=now - LATELY, slot_at__lte=now)
    begun_at = Max("started_at", filter=~Q(state=PollState.LOST.value))
    newest = Tick.objects.order_by("-slot_at").values("slot_at")[:1]
    paused = Case(When(paused=True, then=1), default=0, output_field=IntegerField())
    switch = PollingSwitch.objects.filter(pk=1)
    heartbeat = Heartbeat.objects.filter(pk=1).exclude(at=heartbeats.NEVER)
    found = [
        _single_fact("heartbeat", heartbeat, at=F("at"), until=F("sleeping_until")),
        _single_fact("late ticks", heartbeat.exclude(late_since=None), at=F("late_since")),
        _single_fact("tick", Tick.objects.filter(slot_at__in=newest), at=F("started_at"), words=F("error")),
        _single_fact("switch", switch, at=F("changed_at"), number=paused, words=F("reason"), by=F("changed_by")),
        _counted_fact("polls", lately, Min("slot_at", filter=too_late), Count("pk", filter=too_late), begun_at),
        _counted_fact("conflicts", status.open_conflicts(), Min("found_at")),
    ]
    if settings.APPWRITE_ENDPOINT:
        rows, dead = sync_state.states(), Q(dead_since__isnull=False)
        unmatched = UnmatchedRow.objects.filter(target=settings.APPWRITE_TARGET)
        found += [
            _counted_fact("unmatched", unmatched, Min("found_at")),
            _counted_fact("dead", rows, Min("dead_since"), Count("pk", filter=dead)),
            _counted_fact("failed", rows.filter(sync_state.has_failed(now=now)), NEVER),
        ]
    first, *others = found
    return {kind: _FactRow(*values) for kind, *values in first.union(*others, all=True)}


def _single_fact(
    kind: str,
    rows: QuerySet[Any],
    *,
    at: F,
    until: Any = NEVER,
    number: Any = NO_NUMBER,
    words: Any = NO_WORDS,
    by: Any = NO_WORDS,
) -> QuerySet[Any, Any]:
    """A fact that one row of the database has."""
    found: QuerySet[Any, Any] = rows.order_by().values_list(Value(kind, TextField()), at, until, number, words, by)
    return found


def _counted_fact(
    kind: str, rows: QuerySet[Any], since: Any, number: Any = COUNT, until: Any = NEVER
) -> QuerySet[Any, Any]:
    """A fact that is counted over rows of the database."""
    tagged = rows.order_by().values(kind=Value(kind, TextField()))
    counted = tagged.annotate(since=since, until=until, number=number, words=NO_WORDS, by=NO_WORDS)
    found: QuerySet[Any, Any] = counted.values_list("kind", "since", "until", "number", "words", "by")
    return found


# --- Appwrite ---------------------------------------------------------------------------------------------------------


def _sync_facts(rows: Mapping[str, _FactRow]) -> SyncFacts:
    conflicts = rows.get("conflicts", _FactRow()).counted
    if not settings.APPWRITE_ENDPOINT:
        return SyncFacts(conflicts=conflicts)
    checkpoints = {point.table: point for point in SyncCheckpoint.objects.filter(target=settings.APPWRITE_TARGET)}
    server = SyncServer.objects.filter(target=settings.APPWRITE_TARGET).values(*status.SERVER).first() or {}
    dead, failed = rows.get("dead", _FactRow()), rows.get("failed", _FactRow())
    begins = [dead.at]
    for point in checkpoints.values():
        begins += [point.failing_since or point.pulled_at] if point.error else []
        begins += [point.sweep_failing_since] if point.sweep_error else []
    races = checkpoints.get(sync_state.TABLE)
    return SyncFacts(
        configured=True,
        pulled_at=races.pulled_at if races else None,
        problems=[
            *_problems_of_table(sync_state.TABLE, checkpoints, dead=dead.number, failed=failed.number),
            *_problems_of_table(push_logs.TABLE, checkpoints),
            *status.problems_of_server(server),
        ],
        problems_since=min((at for at in begins if at), default=None),
        unmatched_rows=rows.get("unmatched", _FactRow()).counted,
        conflicts=conflicts,
    )


def _problems_of_table(
    name: str, checkpoints: Mapping[str, SyncCheckpoint], *, dead: int = 0, failed: int = 0
) -> list[str]:
    """What is dead, held or failing, in the words of the sync page."""
    # Only where rows have failed, so that all is one query fewer while all is well.
    error = sync_state.failing().exclude(error="").values_list("error", flat=True).first() if failed else ""
    return status.problems_of(name, checkpoints.get(name), dead=dead, failed=failed, push_error=error or "")
