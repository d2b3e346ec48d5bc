"""Throttles the far windows of providers whose tokens run short, and releases them again."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from polling.models import IncidentKind, PollLog, PollState, ProviderState, SkipReason
from polling.quota import incidents
from polling.quota.throttle_rule import TICKS_APART, Shortage, next_stretch

MEASURED = timedelta(minutes=2)


def adjust(*, now: datetime) -> dict[str, int]:
    """Of how many far slots one is polled, by provider, where it is not every one; a change is an incident.

    One query while no provider is short of tokens. A throttle is no plan: it leaves slots out as they come, so that its
    end counts from the next slot on.
    """
    short = Q(short_at__gte=now - settings.POLL_TICK * TICKS_APART)
    stretches = {}
    for state in list(ProviderState.objects.filter(Q(stretch__gt=1) | short).order_by("pk")):
        shortage = Shortage(state.short_since, state.short_at)
        wanted = next_stretch(
            state.stretch, changed_at=state.stretched_at, shortage=shortage, now=now, tick=settings.POLL_TICK,
            fits=state.stretch > 1 and _fits(state.name, now=now),
        )  # fmt: skip
        if wanted != state.stretch:
            _change(state, wanted, now=now)
        stretches[state.name] = wanted
    return stretches


def _fits(provider: str, *, now: datetime) -> bool:
    """Whether the polls wanted lately, made or left out, keep within nine tenths of the quota."""
    lately = PollLog.objects.filter(race__provider=provider, slot_at__gte=now - MEASURED, slot_at__lt=now)
    left_out = Q(state=PollState.SKIPPED.value) & ~Q(reason__in=(SkipReason.THROTTLED.value, SkipReason.QUOTA.value))
    wanted = lately.exclude(left_out).exclude(state=PollState.MISSED.value).count()
    per_minute, _, _ = settings.POLL_REQUESTS
    return bool(wanted / (MEASURED / timedelta(minutes=1)) <= per_minute * 0.9)


def _change(state: ProviderState, factor: int, *, now: datetime) -> None:
    """Of all hosts whose ticks come to it one makes the change, and reports it."""
    same = ProviderState.objects.filter(pk=state.pk, stretch=state.stretch, stretched_at=state.stretched_at)
    if not same.update(stretch=factor, stretched_at=now):
        return
    incidents.end(state.name, [IncidentKind.STRETCHED], now=now)
    if factor > 1:
        reason = f"tokens run short: of the slots before T-5 one in {factor} is polled"
        incidents.begin(state.name, IncidentKind.STRETCHED, reason, now=now)
