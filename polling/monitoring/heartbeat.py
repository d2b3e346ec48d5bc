"""The pulse of the master tick: beaten by it, felt by whoever wants to know whether it lives."""

import logging
from datetime import UTC, datetime, timedelta

from django.conf import settings

from polling.cadence import floor
from polling.models import Heartbeat, Tick

logger = logging.getLogger(__name__)

# Two slots late, and half a step for the tick itself to end.
OVERDUE_STEPS = 2.5
SKIPPED_STEPS = 1.5  # an age of the last beat from which on a slot had no tick
# A slot that was ticked late counts LATE, one on time takes 1 off; the alert begins at MOST and ends at 0. So four late
# slots in a row are an alert, and a single one is none.
LATE, MOST = 2, 8
NEVER = datetime.fromtimestamp(0, UTC)  # in a row that keeps only this: it was said that no tick ever ended well


def overdue_after() -> timedelta:
    """The age of the last beat from which on the tick is overdue."""
    return settings.POLL_TICK * OVERDUE_STEPS


def late_after() -> timedelta:
    """How long after its slot a tick must have ended; past it the tick counts as late."""
    return max(settings.POLL_TICK / 5, timedelta(seconds=2))


def late_score(score: int, *, late_slots: int) -> int:
    """The score after a tick, with as many slots that came late or had no tick; 0 where it came on time."""
    return min(score + LATE * late_slots, MOST) if late_slots else max(score - 1, 0)


def beat(*, now: datetime, sleeping_until: datetime | None = None, ended_at: datetime | None = None) -> None:
    """A tick has ended well, at `ended_at`; the slot it was for is the last one before `now`.

    The first one after an alert says that ticks are back. Ticks that come late time after time are an alert too. One
    query while all is well.
    """
    told = {"at": now, "sleeping_until": sleeping_until}
    late_by = (ended_at or now) - floor(now, settings.POLL_TICK)
    is_late = late_by > late_after()
    newest = now - settings.POLL_TICK * SKIPPED_STEPS
    well = Heartbeat.objects.filter(pk=1, alerted_at__isnull=True, late_score=0, at__gt=newest)
    if not is_late and well.update(**told):
        return
    known, made = Heartbeat.objects.get_or_create(pk=1, defaults=told)
    if made:
        return
    pause = now - known.at
    was_skipped = settings.POLL_TICK * SKIPPED_STEPS <= pause <= overdue_after()
    score = late_score(known.late_score, late_slots=int(is_late) + int(was_skipped))
    Heartbeat.objects.filter(pk=1).update(**told, alerted_at=None, late_score=score)
    if known.alerted_at:
        after = "the first that ended well" if known.at == NEVER else f"after {pause} without one"
        logger.warning("the master tick is back, %s", after)
    _report_lateness(score, late_by=late_by, now=now)


def _report_lateness(score: int, *, late_by: timedelta, now: datetime) -> None:
    """Reports when ticks begin to come late and when they are on time again; of all hosts one does."""
    row = Heartbeat.objects.filter(pk=1)
    if score >= MOST and row.filter(late_since__isnull=True).update(late_since=now):
        seconds = late_by.total_seconds()
        logger.error("the master tick comes late, slot after slot: this one ended %.1f s after its slot", seconds)
    if score == 0:
        since = row.filter(late_since__isnull=False).values_list("late_since", flat=True).first()
        if since and row.filter(late_since=since).update(late_since=None):
            logger.warning("the master tick comes on time again, after %s of late ones", now - since)


def last() -> Heartbeat | None:
    """The last beat; None where no tick ever ended well."""
    return Heartbeat.objects.filter(pk=1).exclude(at=NEVER).first()


def alert_if_overdue(*, now: datetime) -> bool:
    """Whether the tick is overdue; of all who notice it one says so, at ERROR."""
    beat = last()
    if beat is None:
        return _alert_without_a_beat(now=now)
    if now - beat.at <= overdue_after():
        return False
    if Heartbeat.objects.filter(pk=1, at=beat.at, alerted_at__isnull=True).update(alerted_at=now):
        logger.error("the master tick is overdue: the last one ended at %s UTC", beat)
    return True


def _alert_without_a_beat(*, now: datetime) -> bool:
    first = Tick.objects.order_by("slot_at").first()
    if first is None or now - first.started_at <= overdue_after():
        return False
    _, unsaid = Heartbeat.objects.get_or_create(pk=1, defaults={"at": NEVER, "alerted_at": now})
    if unsaid:
        since = f"{first.started_at:%Y-%m-%d %H:%M:%S}"
        logger.error("the master tick is overdue: none has ended well since the first, at %s UTC", since)
    return True
