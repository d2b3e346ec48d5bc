"""How long a provider wants to be left alone: one row per provider, shared by all processes and hosts."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from polling.errors import Blocked, PollingError, RateLimited
from polling.models import ProviderState

WHEN_BLOCKED = timedelta(minutes=5)
WHEN_LIMITED = timedelta(seconds=30)  # where the provider does not say how long


def held(*, now: datetime) -> dict[str, datetime]:
    """The providers that must not be asked now, and until when."""
    states = ProviderState.objects.filter(not_before__gt=now)
    return {state.name: state.not_before for state in states if state.not_before}


def hold(provider: str, errors: Iterable[PollingError], *, now: datetime) -> None:
    """Keeps the longest wait that the errors of one poll ask for; most ask for none."""
    waits = [(wait, str(error)) for error in errors if (wait := _wait(error))]
    if waits:
        wait, reason = max(waits)
        ProviderState.objects.update_or_create(
            name=provider, defaults={"not_before": now + wait, "reason": reason[:200]}
        )


def _wait(error: PollingError) -> timedelta | None:
    if isinstance(error, RateLimited):
        return error.retry_after if error.retry_after is not None else WHEN_LIMITED
    return WHEN_BLOCKED if isinstance(error, Blocked) else None
