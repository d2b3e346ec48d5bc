"""The pulse of the master tick: beaten by it, felt by whoever wants to know whether it lives."""

import logging
from datetime import UTC, datetime, timedelta

from django.conf import settings

from polling.models import Heartbeat, Tick

logger = logging.getLogger(__name__)

# Two slots late, and half a step for the tick itself to end.
OVERDUE_STEPS = 2.5
NEVER = datetime.fromtimestamp(0, UTC)  # in a row that keeps only this: it was said that no tick ever ended well


def overdue_after() -> timedelta:
    """The age of the last beat from which on the tick is overdue."""
    return settings.POLL_TICK * OVERDUE_STEPS


def beat(*, now: datetime, sleeping_until: datetime | None = None) -> None:
    """A tick has ended well. The first one after an alert says that ticks are back."""
    told = {"at": now, "sleeping_until": sleeping_until}
    if Heartbeat.objects.filter(pk=1, alerted_at__isnull=True).update(**told):
        return
    known, made = Heartbeat.objects.get_or_create(pk=1, defaults=told)
    if not made:
        Heartbeat.objects.filter(pk=1).update(alerted_at=None, **told)
        pause = "the first that ended well" if known.at == NEVER else f"after {now - known.at} without one"
        logger.warning("the master tick is back, %s", pause)


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
