"""The import of the card: which races there are, and where their starts have moved to."""

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from polling import dispatch, providers, quota
from polling.errors import PollingError, RateLimited
from polling.models import ProviderState
from polling.planning import replan
from polling.pollers import note_unknown_statuses
from races import ingest

logger = logging.getLogger(__name__)

# A racing day is the track's own: by the UTC day races would be lost at both ends.
BEHIND, AHEAD = timedelta(hours=12), timedelta(hours=36)


def import_schedule(provider: str, *, now: datetime, deadline_seconds: float = 10) -> ingest.Changes:
    """Fetches and stores one provider's card. A race that has gone from it stays as it is.

    Raises the PollingError that the provider met, after noting it on the provider's row.
    """
    if until := quota.held(now=now).get(provider):
        raise RateLimited(f"{provider} wants to be left alone until {until:%H:%M:%S} UTC")
    try:
        schedule = providers.get(provider).fetch_schedule(
            now - BEHIND, now + AHEAD, now=now, deadline=time.monotonic() + deadline_seconds
        )
    except PollingError as error:
        _note(provider, error=f"{type(error).__name__}: {error}")
        quota.hold(provider, [error], now=now)
        raise
    with transaction.atomic():
        # One import at a time: two that meet would make the same meetings twice.
        ProviderState.objects.select_for_update().get_or_create(name=provider)
        changes = ingest.apply(schedule.races, now=now)
        note_unknown_statuses(schedule.races, now=now)
        replan(changes.created | changes.changed, now=now)
        _note(provider, error="", at=now)
        if changes.changed:
            transaction.on_commit(dispatch.request_push, robust=True)
    logger.info(
        "imported %d races from %s: %d new, %d changed, %d moved, %d rows skipped",
        len(schedule.races), provider, len(changes.created), len(changes.changed - changes.created),
        len(changes.moved), schedule.skipped,
    )  # fmt: skip
    return changes


def import_all(*, now: datetime) -> None:
    """Imports every configured provider; one that fails does not stop the others."""
    for provider in settings.RACE_PROVIDERS:
        try:
            import_schedule(provider, now=now)
        except PollingError as error:
            logger.warning("import from %s failed: %s", provider, error)


def _note(provider: str, *, error: str, at: datetime | None = None) -> None:
    """Edges only: the log says what happens each time, the row how it stands."""
    state, _ = ProviderState.objects.get_or_create(name=provider)
    state.last_import_error = error
    state.last_import_at = at or state.last_import_at
    state.save(update_fields=["last_import_error", "last_import_at"])
