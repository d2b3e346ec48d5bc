"""The import of a provider's card: which races there are, and where their starts have moved to."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from polling import providers, sync_queue
from polling.errors import Malformed, NotAsked, PollingError, error_text
from polling.models import ProviderState
from polling.monitoring import reversal_alerts
from polling.planning import replan, spread_first_polls
from polling.pollers import note_older_answers, note_unknown_statuses
from polling.providers.base import Schedule
from polling.quota import request_budget
from polling.quota.token_bucket import Priority
from races import ingest
from races.models import Race, names_of
from races.snapshots import RaceSnapshot

logger = logging.getLogger(__name__)

# The window of the import. A racing day is the track's own: by the UTC day races would be lost at both ends.
BEHIND, AHEAD = timedelta(hours=12), timedelta(hours=36)
SHRUNK_BELOW = 0.75  # of the races of the last card: races leave it one by one
RACES_PER_TRANSACTION = 250  # a whole card in one transaction would keep the tick waiting


def import_all(*, now: datetime) -> None:
    """Imports the card of every configured provider; one that fails does not stop the others."""
    for provider in settings.RACE_PROVIDERS:
        try:
            import_schedule(provider, now=now)
        except NotAsked as reason:
            logger.info("no import: %s", reason)
        except PollingError as error:
            logger.debug(
                "no import from %s: %s", provider, error
            )  # its begin and its end are logged where it is recorded


def import_schedule(provider: str, *, now: datetime, deadline_seconds: float = 10) -> ingest.Changes:
    """Fetches and stores one provider's card. A race that is on it no more is kept, and marked.

    Returns what changed, as primary keys of races; those that changed are planned again. Raises the provider's
    PollingError, after recording it on the provider's row, and NotAsked if no request was made. A card without a race
    is Malformed where races are known that it should have.
    """
    schedule = _fetch_card(provider, now=now, deadline_seconds=deadline_seconds)
    changes = ingest.Changes()
    for first in range(0, len(schedule.races), RACES_PER_TRANSACTION):
        races = schedule.races[first : first + RACES_PER_TRANSACTION]
        note_unknown_statuses(races, now=now)
        try:
            stored = _store_races(races, now=now)
        except IntegrityError:  # another import has made the same races meanwhile: now they are known
            stored = _store_races(races, now=now)
        changes.add(stored)
    spread_first_polls(changes.created, now=now)
    note_older_answers(provider, len(changes.refused), now=now)
    _record_card(provider, schedule, now=now)
    if changes.changed:
        transaction.on_commit(sync_queue.request_push, robust=True)
    logger.info(
        "imported %d races from %s: %d new, %d changed, %d moved, %d rows skipped",
        len(schedule.races), provider, len(changes.created), len(changes.changed - changes.created),
        len(changes.moved), schedule.skipped,
    )  # fmt: skip
    return changes


def _fetch_card(provider: str, *, now: datetime, deadline_seconds: float) -> Schedule:
    budget = request_budget.RequestBudget(provider, Priority.URGENT, now)
    if not budget.take(1):
        raise NotAsked(f"{provider} was not asked: {budget.refusal}")
    try:
        schedule = providers.get(provider).fetch_schedule(
            now - BEHIND, now + AHEAD, now=now, deadline=time.monotonic() + deadline_seconds
        )
    except PollingError as error:
        _record_failure(provider, error)
        request_budget.record_answers(provider, [error], now=now)
        raise
    request_budget.record_answers(provider, [None], now=now)
    request_budget.charge(provider, schedule.requests - 1, now=now)
    schedule = replace(schedule, races=[*schedule.races, *_races_moved_out(provider, schedule, now=now)])
    if schedule.races:
        return schedule
    known = Race.objects.open().filter(provider=provider, advertised_start__range=(now - BEHIND, now + AHEAD))
    if count := known.exclude(provider_race_id="").count():
        empty = Malformed(f"the card has no race of its window, where {count} are known that have not ended", 200)
        _record_failure(provider, empty)
        raise empty
    return schedule


def _races_moved_out(provider: str, schedule: Schedule, *, now: datetime) -> list[RaceSnapshot]:
    """The races that start outside the import's window by the card, and inside it as they are stored."""
    if not schedule.outside_window:
        return []
    stored = Race.objects.filter(provider=provider, advertised_start__range=(now - BEHIND, now + AHEAD))
    in_the_window = set(stored.values_list("provider_race_id", flat=True))
    return [race for race in schedule.outside_window if race.provider_race_id in in_the_window]


def _store_races(races: Sequence[RaceSnapshot], *, now: datetime) -> ingest.Changes:
    with transaction.atomic():
        changes = ingest.apply(races, now=now)
        reversal_alerts.report(changes.reversals, now=now)
        replan(changes.created | changes.changed | changes.bookkept, now=now)
    return changes


def _record_card(provider: str, schedule: Schedule, *, now: datetime) -> None:
    """Stores on the provider's row what the card had, and logs once which races are on it no more."""
    state, _ = ProviderState.objects.get_or_create(name=provider)
    before, state.card_races = state.card_races, len(schedule.races)
    if state.last_import_error:
        logger.warning("imports from %s work again, after: %s", provider, state.last_import_error)
    state.left_out = dict(schedule.left_out)
    state.last_import_at, state.last_import_error = now, ""
    state.save(update_fields=["card_races", "left_out", "last_import_at", "last_import_error"])
    gone: list[Race] = []
    back: list[Race] = []
    if schedule.listed_ids is not None:  # else the card is a part, which does not say which races there are
        window = {"since": now - BEHIND, "until": now + AHEAD}
        gone, back = ingest.mark_off_card(provider, schedule.listed_ids, schedule.unlisted_meetings, **window, now=now)
    if back:
        logger.info("%s: %d races are on the card again: %s", provider, len(back), names_of(back, now=now))
    if started := [race for race in gone if race.advertised_start <= now]:  # a card may be of what is to come alone
        text = "%s: %d races that have started are not on the card any more: %s"
        logger.info(text, provider, len(started), names_of(started, now=now))
    if to_come := [race for race in gone if race.advertised_start > now]:
        text = "%s: %d races to come are not on the card any more: %s; it has %d races now, and had %s before"
        logger.warning(text, provider, len(to_come), names_of(to_come, now=now), state.card_races, before)
    elif before and state.card_races < before * SHRUNK_BELOW:
        logger.warning("%s: its card shrank from %d races to %d", provider, before, state.card_races)


def _record_failure(provider: str, error: PollingError) -> None:
    """Stores the failure on the provider's row, and logs it unless the import before failed in the same way."""
    state, _ = ProviderState.objects.get_or_create(name=provider)
    kind, before = type(error).__name__, state.last_import_error.partition(":")[0]
    state.last_import_error = error_text(error)
    state.save(update_fields=["last_import_error"])
    if kind != before:
        logger.warning("import from %s failed: %s", provider, state.last_import_error)
