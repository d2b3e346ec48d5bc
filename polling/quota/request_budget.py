"""How many requests a provider may be sent now: tokens and breaker in one row, shared by all processes and hosts.

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

from polling.errors import Blocked, Malformed, PollingError, RateLimited, Unavailable, error_text
from polling.models import BreakerState, IncidentKind, ProviderState, SkipReason
from polling.quota import incidents
from polling.quota.circuit_breaker import Breaker, after_failures
from polling.quota.refused_races import RefusedRaces, after_answer, after_refusals
from polling.quota.throttle import TICKS_APART
from polling.quota.token_bucket import Priority, TokenBucket

logger = logging.getLogger(__name__)

WHEN_LIMITED, LONGEST_WHEN_LIMITED = timedelta(seconds=30), timedelta(minutes=10)
PROBE_TAKES = timedelta(seconds=15)  # after that, its poller is taken for dead and another may try
TRIES = 5
ENDED_BY_AN_ANSWER = (IncidentKind.FAILING, IncidentKind.BLOCKED, IncidentKind.LIMITED)


def token_bucket() -> TokenBucket:
    """The limits in force, the same for every provider."""
    per_minute, burst, reserve = settings.POLL_REQUESTS
    return TokenBucket(per_minute, burst, reserve)


@dataclass
class RequestBudget:
    """How many requests one poll or import may send to a provider; made at its beginning, with its `now`.

    After `take` returned less than was wanted, `refusal` has the reason and `why` says it in words; `is_short` where
    our own tokens did not suffice. Once an open breaker lets a single request through (`is_probe`), there is no second.
    """

    provider: str
    priority: Priority
    now: datetime
    refusal: SkipReason | None = None
    why: str = field(default="", init=False)
    is_probe: bool = field(default=False, init=False)
    is_short: bool = field(default=False, init=False)

    def take(self, wanted: int) -> int:
        """Takes tokens for up to so many requests, which must then be sent; returns how many, 0 for none."""
        if self.refusal or wanted < 1:
            return 0
        if _take_tokens(self.provider, wanted, self.priority, now=self.now):
            return wanted
        state, _ = ProviderState.objects.get_or_create(name=self.provider)
        if state.not_before and state.not_before > self.now:
            self.refusal = SkipReason.QUOTA
            self.why = f"the provider asked us to wait until {state.not_before:%H:%M:%S} UTC: {state.reason}"
            return 0
        if state.breaker != BreakerState.CLOSED.value:
            self.is_probe = _let_one_through(state, self.priority, now=self.now)
            self.refusal = SkipReason.BREAKER
            self.why = "the provider fails or refuses us, and one request at a time finds out whether it is back"
            return int(self.is_probe)
        return self._take_what_is_left(wanted, state)

    def _take_what_is_left(self, wanted: int, state: ProviderState) -> int:
        limits = token_bucket()
        for _ in range(TRIES):
            if limits.is_beyond_spending(state.full_at, now=self.now):
                ProviderState.objects.filter(pk=state.pk, full_at=state.full_at).update(full_at=self.now)
                state.full_at = self.now
            left = min(wanted, limits.available(state.full_at, self.priority, now=self.now))
            if left < 1 or _take_tokens(self.provider, left, self.priority, now=self.now):
                if left < wanted:
                    self._record_shortage(state)
                return left
            state.refresh_from_db()
        self._record_shortage(state)
        return 0

    def _record_shortage(self, state: ProviderState) -> None:
        self.refusal, self.is_short = SkipReason.QUOTA, True
        self.why = "no request was left of our own quota (POLL_REQUESTS_A_MINUTE, POLL_REQUESTS_AT_ONCE)"
        if self.priority is not Priority.FORCED:
            goes_on = When(short_at__gte=self.now - settings.POLL_TICK * TICKS_APART, then=F("short_since"))
            since = Case(goes_on, default=self.now)
            ProviderState.objects.filter(pk=state.pk).update(short_since=since, short_at=self.now)


def _take_tokens(provider: str, tokens: int, priority: Priority, *, now: datetime) -> bool:
    """Takes so many tokens of a provider that requests may be sent to; False where there were fewer."""
    limits = token_bucket()
    if tokens > limits.most_for(priority):
        return False
    enough = ProviderState.objects.filter(
        Q(not_before__isnull=True) | Q(not_before__lte=now),
        name=provider,
        breaker=BreakerState.CLOSED.value,
        full_at__lte=limits.latest_full_at(tokens, priority, now=now),
    )
    return bool(_spend_tokens(enough, tokens, now=now))


def _spend_tokens(states: QuerySet[ProviderState], tokens: int, *, now: datetime) -> int:
    """Moves the instant at which each bucket is full again; returns the number of rows."""
    time = token_bucket().spacing * tokens
    return states.update(full_at=Case(When(full_at__gt=now, then=F("full_at") + time), default=now + time))


def charge(provider: str, requests: int, *, now: datetime) -> None:
    """Takes tokens for requests that were sent already."""
    if requests > 0:
        _spend_tokens(ProviderState.objects.filter(name=provider), requests, now=now)


def _let_one_through(state: ProviderState, priority: Priority, *, now: datetime) -> bool:
    """Whether this caller gets the one request by which an open breaker finds out; staff need not wait for it."""
    if priority is not Priority.FORCED and state.retry_at and state.retry_at > now:
        return False
    ours = ProviderState.objects.filter(pk=state.pk, breaker=state.breaker, retry_at=state.retry_at)
    if not ours.update(breaker=BreakerState.HALF_OPEN.value, retry_at=now + PROBE_TAKES):
        return False
    charge(state.name, 1, now=now)
    return True


def next_allowed_at() -> dict[str, datetime]:
    """When what failed may be asked for again, by provider: after the wait it asked for and its open breaker."""
    waits = ProviderState.objects.exclude(not_before__isnull=True, retry_at__isnull=True)
    return {state.name: max(wait for wait in (state.not_before, state.retry_at) if wait) for state in waits}


def clear_waits(providers: QuerySet[ProviderState], *, now: datetime) -> list[ProviderState]:
    """Closes the breakers and ends the waits of these providers, as staff decided; returns those that had any, as they
    were."""
    waiting = Q(not_before__isnull=False) | ~Q(breaker=BreakerState.CLOSED.value)
    with transaction.atomic():
        held = list(providers.select_for_update().filter(waiting))
        for state in held:
            _store_breaker(state, Breaker(), not_before=None, reason="", limited=0)
            incidents.end(state.name, ENDED_BY_AN_ANSWER, now=now)
    return held


# --- what the answers say of a provider ---------------------------------------------------------------------------


def record_answers(
    provider: str, errors: Sequence[PollingError | None], *, refused: Collection[str] = (), now: datetime
) -> None:
    """Counts the outcomes of a poll's requests, an error or None for each, towards breaker, waits and incidents.

    `refused` are the races, by the provider's ids, whose own requests were refused; their errors are among the others.
    Costs one query while every request is answered.
    """
    if not errors:
        return
    if limits := [error for error in errors if isinstance(error, RateLimited)]:
        _record_limits(provider, limits, now=now)
    # An answer that one race is unknown, or that we ask too fast, is an answer.
    broken = [error for error in errors if isinstance(error, Unavailable | Blocked | Malformed)]
    if len(broken) == len(errors):
        _record_failures(provider, broken, refused, now=now)
    else:
        _record_success(provider, refused, limited=bool(limits), now=now)


def _record_limits(provider: str, errors: Iterable[RateLimited], *, now: datetime) -> None:
    """Keeps the longest wait that the provider asked for, or a backoff that doubles."""
    with transaction.atomic():
        state = _lock_state(provider)
        backoff = min(WHEN_LIMITED * 2 ** min(state.limited, 16), LONGEST_WHEN_LIMITED)
        wait, reason = max(
            (error.retry_after if error.retry_after is not None else backoff, str(error)) for error in errors
        )
        # A request that was under way meanwhile must not shorten what the provider asked for.
        state.not_before = max(now + wait, state.not_before or now)
        state.reason, state.limited = reason[:200], state.limited + 1
        state.save(update_fields=["not_before", "reason", "limited"])
        incidents.begin(provider, IncidentKind.LIMITED, reason, now=now)


def _record_failures(provider: str, errors: Sequence[PollingError], refused: Collection[str], *, now: datetime) -> None:
    """Counts requests none of which was answered, and opens the breaker where they are too many."""
    with transaction.atomic():
        state = _lock_state(provider)
        counted = _errors_of_the_provider(state, errors, refused, now=now)
        if not counted:
            return
        refusal = next((error for error in counted if isinstance(error, Blocked)), None)
        before = Breaker(BreakerState(state.breaker), state.failures, state.trips, state.retry_at)
        breaker = after_failures(before, len(counted), blocked=refusal is not None, now=now)
        _store_breaker(state, breaker)
        if breaker.state is BreakerState.OPEN:
            kind = IncidentKind.BLOCKED if refusal else IncidentKind.FAILING
            incidents.begin(provider, kind, error_text(refusal or counted[0]), now=now)


def _errors_of_the_provider(
    state: ProviderState, errors: Sequence[PollingError], refused: Collection[str], *, now: datetime
) -> list[PollingError]:
    """The errors that count against the provider: not the refusal of a single race, which is that race's."""
    if not refused:
        return list(errors)
    before = _refused_races_of(state)
    after, is_provider = after_refusals(before, refused, now=now)
    if after != before:
        _store_refused_races(state, after)
    # While the breaker is not closed, a race that was not known to be refused alone shows that the block goes on.
    fresh = [race_id for race_id in refused if not before.is_alone(race_id, now=now)]
    if is_provider or (fresh and state.breaker != BreakerState.CLOSED.value):
        return list(errors)
    return [error for error in errors if not isinstance(error, Blocked)]


def _record_success(provider: str, refused: Collection[str], *, limited: bool, now: datetime) -> None:
    """Closes the breaker, since something was answered, and ends the incidents that an answer ends."""
    not_well = ~Q(breaker=BreakerState.CLOSED.value) | Q(failures__gt=0) | Q(limited__gt=0) | ~Q(refused_race="")
    if not refused and not ProviderState.objects.filter(not_well, name=provider).exists():
        return
    with transaction.atomic():
        state = _lock_state(provider)
        _store_breaker(state, Breaker(), limited=state.limited if limited else 0)
        _store_refused_races(state, after_answer(_refused_races_of(state), refused, now=now))
        incidents.end(provider, ENDED_BY_AN_ANSWER[:2] if limited else ENDED_BY_AN_ANSWER, now=now)


def _refused_races_of(state: ProviderState) -> RefusedRaces:
    return RefusedRaces(state.refused_race, state.refused_alone)


def _store_refused_races(state: ProviderState, races: RefusedRaces) -> None:
    kept: dict[str, Any] = {"refused_race": races.suspect[:80], "refused_alone": dict(races.alone or {})}
    ProviderState.objects.filter(pk=state.pk).update(**kept)


def _lock_state(provider: str) -> ProviderState:
    return ProviderState.objects.select_for_update().get_or_create(name=provider)[0]


def _store_breaker(state: ProviderState, breaker: Breaker, **more: Any) -> None:
    values = asdict(breaker)
    ProviderState.objects.filter(pk=state.pk).update(breaker=values.pop("state").value, **values, **more)
