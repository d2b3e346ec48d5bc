"""Stretches the far windows of providers whose tokens run short, and lets them go again."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from polling import incidents
from polling.models import IncidentKind, ProviderState
from polling.stretch import SHORT_LATELY, Shortage, next_stretch


def adjust(*, now: datetime) -> None:
    """One query while no provider is short of tokens; a change is an incident.

    No race is planned anew for it: each follows when it is planned next, after the poll it is planned for already.
    """
    candidates = ProviderState.objects.filter(Q(stretch__gt=1) | Q(short_at__gte=now - SHORT_LATELY))
    for name in list(candidates.order_by("pk").values_list("name", flat=True)):
        with transaction.atomic():
            state = ProviderState.objects.select_for_update().get(name=name)
            shortage = Shortage(state.short_since, state.short_at)
            wanted = next_stretch(state.stretch, changed_at=state.stretched_at, shortage=shortage, now=now)
            if wanted != state.stretch:
                _change(state, wanted, now=now)


def _change(state: ProviderState, factor: int, *, now: datetime) -> None:
    state.stretch, state.stretched_at = factor, now
    state.save(update_fields=["stretch", "stretched_at"])
    incidents.end(state.name, [IncidentKind.STRETCHED], now=now)
    if factor > 1:
        reason = f"tokens run short: windows before T-5 are polled every {factor} steps"
        incidents.begin(state.name, IncidentKind.STRETCHED, reason, now=now)
