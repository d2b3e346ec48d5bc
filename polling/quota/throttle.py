"""Throttles the far windows of a provider whose tokens run short, and releases them again.

A burst is no shortage: a first import, an outage or a 429 leave many races due at once, and a few ticks work them off.
Far windows are throttled after tokens were short at every tick for minutes, and released as soon as all polls would
fit into the quota again. The rule, `next_factor`, is pure.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from polling.models import IncidentKind, PollLog, PollState, ProviderState, SkipReason
from polling.quota import incidents

MOST = 4
TICKS_APART = 1.7  # shortages no further apart were found at ticks in a row
LASTING = timedelta(minutes=3)
BEFORE_MORE = timedelta(minutes=2)
BEFORE_LESS = timedelta(minutes=1)
LONGEST_CALM = timedelta(minutes=10)  # without a shortage, though more polls were wanted than fit: many share requests
MEASURED = timedelta(minutes=2)
FITTING_SHARE = 0.9  # of the quota


@dataclass(frozen=True, slots=True)
class Shortage:
    """From when to when tokens were found short, tick after tick; None where they never were."""

    since: datetime | None = None
    at: datetime | None = None

    def lasts(self, *, now: datetime, tick: timedelta) -> bool:
        """Whether it has lasted so long, up to now, that far windows are throttled for it."""
        if self.since is None or self.at is None:
            return False
        return now - self.at <= tick * TICKS_APART and now - self.since >= LASTING

    def calm(self, *, now: datetime) -> timedelta:
        """For how long tokens have not been short."""
        return now - self.at if self.at else LONGEST_CALM


def next_factor(
    factor: int, *, changed_at: datetime | None, shortage: Shortage, fits: bool, now: datetime, tick: timedelta
) -> int:
    """Of how many slots before T-5 one is polled from now on; 1 is every slot, `MOST` the most.

    While a shortage lasts half as many as before are polled. All of them are when it has ended and `fits`: all polls
    that are wanted, those left out included, keep within the quota.
    """
    since_change = now - changed_at if changed_at else LONGEST_CALM
    if shortage.lasts(now=now, tick=tick):
        return min(factor * 2, MOST) if since_change >= BEFORE_MORE else factor
    calm = min(shortage.calm(now=now), since_change)
    if calm >= BEFORE_LESS and fits:
        return 1
    return max(factor // 2, 1) if calm >= LONGEST_CALM else factor


def adjust(*, now: datetime) -> dict[str, int]:
    """Sets the factor of every provider whose tokens are or were short; returns those factors by provider.

    One query while no provider is short of tokens. A change is an incident. A throttle is no plan: it leaves slots out
    as they come, so that its end counts from the next slot on.
    """
    short = Q(short_at__gte=now - settings.POLL_TICK * TICKS_APART)
    factors = {}
    for state in list(ProviderState.objects.filter(Q(throttle_factor__gt=1) | short).order_by("pk")):
        wanted = next_factor(
            state.throttle_factor,
            changed_at=state.throttle_changed_at,
            shortage=Shortage(state.short_since, state.short_at),
            fits=state.throttle_factor > 1 and _fits_quota(state.name, now=now),
            now=now,
            tick=settings.POLL_TICK,
        )
        if wanted != state.throttle_factor:
            _change_factor(state, wanted, now=now)
        factors[state.name] = wanted
    return factors


def _fits_quota(provider: str, *, now: datetime) -> bool:
    """Whether the polls wanted lately, made or left out, keep within nine tenths of the quota."""
    lately = PollLog.objects.filter(race__provider=provider, slot_at__gte=now - MEASURED, slot_at__lt=now)
    left_out = Q(state=PollState.SKIPPED.value) & ~Q(reason__in=(SkipReason.THROTTLED.value, SkipReason.QUOTA.value))
    wanted = lately.exclude(left_out).exclude(state=PollState.MISSED.value).count()
    per_minute, _, _ = settings.POLL_REQUESTS
    return bool(wanted / (MEASURED / timedelta(minutes=1)) <= per_minute * FITTING_SHARE)


def _change_factor(state: ProviderState, factor: int, *, now: datetime) -> None:
    """Of all hosts whose ticks decide it one makes the change, and reports it."""
    unchanged = ProviderState.objects.filter(
        pk=state.pk, throttle_factor=state.throttle_factor, throttle_changed_at=state.throttle_changed_at
    )
    if not unchanged.update(throttle_factor=factor, throttle_changed_at=now):
        return
    incidents.end(state.name, [IncidentKind.THROTTLED], now=now)
    if factor > 1:
        reason = f"tokens run short: of the slots before T-5 one in {factor} is polled"
        incidents.begin(state.name, IncidentKind.THROTTLED, reason, now=now)
