"""What a provider may be asked: tokens and breaker in one row per provider, shared by all processes and hosts.

A request is let through by one conditional UPDATE, whose row count decides. Nothing here is done while races are
locked: an import locks the provider's row first.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, When

from polling.errors import Blocked, Malformed, PollingError, RateLimited, Unavailable, words_of
from polling.models import BreakerState, IncidentKind, ProviderState, SkipReason
from polling.quota import incidents, refusals
from polling.quota.circuit_breaker import Breaker, failed
from polling.quota.refusals import Refusals
from polling.quota.throttle_rule import TICKS_APART
from polling.quota.token_bucket import Bucket, Need

logger = logging.getLogger(__name__)

WHEN_LIMITED, LONGEST_WHEN_LIMITED = timedelta(seconds=30), timedelta(minutes=10)
PROBE_TAKES = timedelta(seconds=15)  # after that, its poller is taken for dead and another may try
TRIES = 5
ENDED_BY_AN_ANSWER = (IncidentKind.FAILING, IncidentKind.BLOCKED, IncidentKind.LIMITED)


def bucket() -> Bucket:
    """The limits in force, of every provider."""
    per_minute, burst, reserve = settings.POLL_REQUESTS
    return Bucket(per_minute, burst, reserve)


@dataclass
class Purse:
    """What one poll may still ask of a provider; `refusal` and, in words, `why` say why it got less than it wanted.

    `is_short` where our own tokens did not suffice. Once the breaker lets a single request through (`is_probe`), there
    is no second one.
    """

    provider: str
    need: Need
    now: datetime
    refusal: SkipReason | None = None
    why: str = field(default="", init=False)
    is_probe: bool = field(default=False, init=False)
    is_short: bool = field(default=False, init=False)

    def take(self, wanted: int) -> int:
        """Tokens for up to so many requests, which must then be sent; 0 where none may be."""
        if self.refusal or wanted < 1:
            return 0
        if _take(self.provider, wanted, self.need, now=self.now):
            return wanted
        state, _ = ProviderState.objects.get_or_create(name=self.provider)
        if state.not_before and state.not_before > self.now:
            self.refusal = SkipReason.QUOTA
            self.why = f"the provider asked us to wait until {state.not_before:%H:%M:%S} UTC: {state.reason}"
            return 0
        if state.breaker != BreakerState.CLOSED.value:
            self.is_probe = _let_one_through(state, self.need, now=self.now)
            self.refusal = SkipReason.BREAKER
            self.why = "the provider fails or refuses us, and one request at a time finds out whether it is back"
            return int(self.is_probe)
        return self._take_what_is_left(wanted, state)

    def _take_what_is_left(self, wanted: int, state: ProviderState) -> int:
        for _ in range(TRIES):
            if bucket().is_absurd(state.full_at, now=self.now):
                ProviderState.objects.filter(pk=state.pk, full_at=state.full_at).update(full_at=self.now)
                state.full_at = self.now
            left = min(wanted, bucket().left(state.full_at, self.need, now=self.now))
            if left < 1 or _take(self.provider, left, self.need, now=self.now):
                if left < wanted:
                    self._note_shortage(state)
                return left
            state.refresh_from_db()
        self._note_shortage(state)
        return 0

    def _note_shortage(self, state: ProviderState) -> None:
        self.refusal, self.is_short = SkipReason.QUOTA, True
        self.why = "no request was left of our own quota (POLL_REQUESTS_A_MINUTE, POLL_REQUESTS_AT_ONCE)"
        if self.need is not Need.FORCED:
            goes_on = When(short_at__gte=self.now - settings.POLL_TICK * TICKS_APART, then=F("short_since"))
            since = Case(goes_on, default=self.now)
            ProviderState.objects.filter(pk=state.pk).update(short_since=since, short_at=self.now)


def _take(provider: str, tokens: int, need: Need, *, now: datetime) -> bool:
    """Whether so many tokens were to be had, from a provider that may be asked."""
    limits = bucket()
    if tokens > limits.most(need):
        return False
    open_now = Q(not_before__isnull=True) | Q(not_before__lte=now)
    enough = ProviderState.objects.filter(
        open_now, name=provider, breaker=BreakerState.CLOSED.value, full_at__lte=limits.latest(tokens, need, now=now)
    )
    return bool(_spend(enough, limits.spacing * tokens, now=now))


def _spend(states: QuerySet[ProviderState], time: timedelta, *, now: datetime) -> int:
    return states.update(full_at=Case(When(full_at__gt=now, then=F("full_at") + time), default=now + time))


def charge(provider: str, requests: int, *, now: datetime) -> None:
    """Takes tokens for requests that were sent already."""
    if requests > 0:
        _spend(ProviderState.objects.filter(name=provider), bucket().spacing * requests, now=now)


def _let_one_through(state: ProviderState, need: Need, *, now: datetime) -> bool:
    """Whether this caller has the one request by which an open breaker finds out; staff need not wait for it."""
    if need is not Need.FORCED and state.retry_at and state.retry_at > now:
        return False
    ours = ProviderState.objects.filter(pk=state.pk, breaker=state.breaker, retry_at=state.retry_at)
    if not ours.update(breaker=BreakerState.HALF_OPEN.value, retry_at=now + PROBE_TAKES):
        return False
    charge(state.name, 1, now=now)
    return True


def not_before() -> dict[str, datetime]:
    """Until when each provider is not to be asked again for what failed: its own word, or its open breaker."""
    waits = ProviderState.objects.exclude(not_before__isnull=True, retry_at__isnull=True)
    return {state.name: max(wait for wait in (state.not_before, state.retry_at) if wait) for state in waits}


def clear(providers: QuerySet[ProviderState], *, now: datetime) -> list[ProviderState]:
    """Forgets what makes us wait, by a person's decision; returns the providers as they were."""
    waiting = Q(not_before__isnull=False) | ~Q(breaker=BreakerState.CLOSED.value)
    with transaction.atomic():
        held = list(providers.select_for_update().filter(waiting))
        for state in held:
            _store(state, Breaker(), not_before=None, reason="", limited=0)
            incidents.end(state.name, ENDED_BY_AN_ANSWER, now=now)
    return held


# --- what the answers say of a provider ---------------------------------------------------------------------------


def learn(
    provider: str, errors: Sequence[PollingError | None], *, refused: Collection[str] = (), now: datetime
) -> None:
    """Notes what came of a poll's requests, an error or None for each; costs one query while all is well.

    `refused` are the races, by the provider's ids, whose own requests were refused; their errors are among the others.
    """
    if not errors:
        return
    met = [error for error in errors if error]
    if limits := [error for error in met if isinstance(error, RateLimited)]:
        _hold(provider, limits, now=now)
    # An answer that one race is unknown, or that we ask too fast, is an answer.
    broken = [error for error in met if isinstance(error, Unavailable | Blocked | Malformed)]
    if len(broken) == len(errors):
        _count_failures(provider, broken, refused, now=now)
    else:
        _note_answer(provider, refused, limited=bool(limits), now=now)


def _hold(provider: str, errors: Iterable[RateLimited], *, now: datetime) -> None:
    with transaction.atomic():
        state = _locked(provider)
        backoff = min(WHEN_LIMITED * 2 ** min(state.limited, 16), LONGEST_WHEN_LIMITED)
        wait, reason = max(
            (error.retry_after if error.retry_after is not None else backoff, str(error)) for error in errors
        )
        # A request that was under way meanwhile must not shorten what the provider asked for.
        state.not_before = max(now + wait, state.not_before or now)
        state.reason, state.limited = reason[:200], state.limited + 1
        state.save(update_fields=["not_before", "reason", "limited"])
        incidents.begin(provider, IncidentKind.LIMITED, reason, now=now)


def _count_failures(provider: str, errors: Sequence[PollingError], refused: Collection[str], *, now: datetime) -> None:
    with transaction.atomic():
        state = _locked(provider)
        counted = _without_own_refusals(state, errors, refused, now=now)
        if not counted:
            return
        refusal = next((error for error in counted if isinstance(error, Blocked)), None)
        breaker = failed(_breaker_of(state), len(counted), blocked=refusal is not None, now=now)
        _store(state, breaker)
        if breaker.state is BreakerState.OPEN:
            kind = IncidentKind.BLOCKED if refusal else IncidentKind.FAILING
            error = refusal or counted[0]
            incidents.begin(provider, kind, words_of(error), now=now)


def _without_own_refusals(
    state: ProviderState, errors: Sequence[PollingError], refused: Collection[str], *, now: datetime
) -> list[PollingError]:
    """The errors that count against the provider: not the refusal of a single race, which is that race's."""
    if not refused:
        return list(errors)
    before = _refusals_of(state)
    after, is_provider = refusals.refused(before, refused, now=now)
    if after != before:
        _remember(state, after)
    # While the breaker is not closed, a race that was not known to be refused alone says that the block goes on.
    fresh = [race_id for race_id in refused if not before.is_alone(race_id, now=now)]
    if is_provider or (fresh and state.breaker != BreakerState.CLOSED.value):
        return list(errors)
    return [error for error in errors if not isinstance(error, Blocked)]


def _note_answer(provider: str, refused: Collection[str], *, limited: bool, now: datetime) -> None:
    troubled = ~Q(breaker=BreakerState.CLOSED.value) | Q(failures__gt=0) | Q(limited__gt=0) | ~Q(refused_race="")
    if not refused and not ProviderState.objects.filter(troubled, name=provider).exists():
        return
    with transaction.atomic():
        state = _locked(provider)
        _store(state, Breaker(), limited=state.limited if limited else 0)
        _remember(state, refusals.answered(_refusals_of(state), refused, now=now))
        incidents.end(provider, ENDED_BY_AN_ANSWER[:2] if limited else ENDED_BY_AN_ANSWER, now=now)


def _refusals_of(state: ProviderState) -> Refusals:
    return Refusals(state.refused_race, state.refused_alone)


def _remember(state: ProviderState, known: Refusals) -> None:
    kept: dict[str, Any] = {"refused_race": known.suspect[:80], "refused_alone": dict(known.alone or {})}
    ProviderState.objects.filter(pk=state.pk).update(**kept)


def _locked(provider: str) -> ProviderState:
    return ProviderState.objects.select_for_update().get_or_create(name=provider)[0]


def _breaker_of(state: ProviderState) -> Breaker:
    return Breaker(BreakerState(state.breaker), state.failures, state.trips, state.retry_at)


def _store(state: ProviderState, breaker: Breaker, **more: Any) -> None:
    ProviderState.objects.filter(pk=state.pk).update(**_fields(breaker), **more)


def _fields(breaker: Breaker) -> dict[str, Any]:
    values = asdict(breaker)
    return {"breaker": values.pop("state").value, **values}
