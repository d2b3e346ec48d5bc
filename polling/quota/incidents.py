"""Incidents of providers: each is logged when it begins and when it ends, by the process that opens or closes it."""

import logging
from collections.abc import Iterable
from datetime import datetime

from polling.models import Incident, IncidentKind, SkipReason

logger = logging.getLogger(__name__)

# Logged at ERROR, because somebody may have to act at once; the others are warnings.
ALERTS = (IncidentKind.FAILING, IncidentKind.BLOCKED)
# Why polls are skipped while an incident is open; a dispute skips none.
SKIP_REASONS: dict[IncidentKind, SkipReason | None] = {
    IncidentKind.FAILING: SkipReason.BREAKER,
    IncidentKind.BLOCKED: SkipReason.BREAKER,
    IncidentKind.LIMITED: SkipReason.QUOTA,
    IncidentKind.THROTTLED: SkipReason.THROTTLED,
    IncidentKind.DISPUTED: None,
}


def begin(provider: str, kind: IncidentKind, reason: str, *, now: datetime) -> None:
    """Opens an incident, unless one of its kind is open. Call it with the provider's row locked."""
    if Incident.objects.filter(provider=provider, race=None, kind=kind.value, ended_at__isnull=True).exists():
        return
    Incident.objects.create(provider=provider, kind=kind.value, began_at=now, reason=reason[:200])
    say = logger.error if kind in ALERTS else logger.warning
    say("%s is %s: %s", provider, kind.value, reason)


def end(provider: str, kinds: Iterable[IncidentKind], *, now: datetime) -> None:
    """Closes the open incidents of these kinds. Call it with the provider's row locked."""
    for incident in Incident.objects.filter(provider=provider, race=None, kind__in=list(kinds), ended_at=None):
        incident.ended_at = now
        incident.save(update_fields=["ended_at"])
        logger.warning("%s is no longer %s, after %s", provider, incident.kind, now - incident.began_at)
