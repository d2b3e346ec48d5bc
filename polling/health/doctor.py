"""Checks of everything that racepoll needs to run: database, queue, ticks, providers, Appwrite; one line each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from polling import cleanup, dispatch, providers
from polling.appwrite import server_probe
from polling.appwrite.api import capabilities, key_scopes
from polling.appwrite.api.client import SyncClient, connect
from polling.appwrite.api.errors import MissingScope
from polling.appwrite.schema import provision as schema
from polling.appwrite.schema import webhook_subscription
from polling.errors import Blocked, PollingError, error_text
from polling.models import ProviderState, SyncServer
from polling.monitoring import heartbeat
from polling.monitoring.heartbeat import Condition
from races.models import Race


class State(StrEnum):
    """How a check ended. A note is no failure: something is less than it could be."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    state: State
    words: str


Result = tuple[State, str]
LATELY = timedelta(hours=1)


def examine(*, now: datetime) -> list[Finding]:
    """The finding of every check; a check that breaks is a failed one.

    Where Appwrite does not answer, or refuses the key, its other checks are left out: they would fail alike.
    """
    own: dict[str, Callable[[], Result]] = {
        "database": _check_database,
        "queue": _check_queue,
        "ticks": partial(_check_ticks, now),
        "providers": _check_providers,
        "answers": partial(_check_answers, now),
        "old rows": partial(_check_old_rows, now),
    }
    return [*(_run_check(name, check) for name, check in own.items()), *_examine_appwrite(now)]


def _run_check(name: str, check: Callable[[], Result]) -> Finding:
    try:
        state, words = check()
    except PollingError as error:
        state, words = State.FAILED, str(error)
    except Exception as error:  # noqa: BLE001 - a check that breaks must not hide the others
        state, words = State.FAILED, error_text(error)
    return Finding(name, state, " ".join(words.split()))


# --- here -------------------------------------------------------------------------------------------------------------


def _check_database() -> Result:
    executor = MigrationExecutor(connection)
    if missing := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return State.FAILED, f"{len(missing)} migrations are not applied; run `manage.py migrate`"
    return State.OK, f"{connection.vendor} answers, and has all tables"


def _check_queue() -> Result:
    kind = "Redis" if settings.REDIS_URL else "the database"
    return State.OK, f"{dispatch.queue_size()} tasks wait in {kind}"


def _check_ticks(now: datetime) -> Result:
    last = heartbeat.last()
    if last is None:
        return State.FAILED, "no tick has ended well yet; is `manage.py qcluster` running?"
    age = f"the last tick ended well {max((now - last.at).total_seconds(), 0):.0f} s ago"
    condition = heartbeat.condition(last, limit=heartbeat.overdue_after(), now=now)
    if condition is Condition.OVERDUE:
        return State.FAILED, f"{age}; is `manage.py qcluster` running?"
    if condition is Condition.LATE:
        return State.FAILED, f"{age}, but ticks come late since {last.late_since:%Y-%m-%d %H:%M:%S} UTC"
    return State.OK, age


def _check_providers() -> Result:
    if not settings.RACE_PROVIDERS:
        return State.FAILED, "RACE_PROVIDERS names none: there is nothing to poll"
    for name in settings.RACE_PROVIDERS:
        providers.get(name)
    return State.OK, providers.configured()


def _check_old_rows(now: datetime) -> Result:
    if failing := cleanup.failures():
        words = "; ".join(f"{what}: {error}" for what, error in failing.items())
        return State.FAILED, f"some cannot be deleted: {words}"
    if waiting := cleanup.backlog(now=now):
        return State.FAILED, f"they wait to be deleted: {'; '.join(waiting)}"
    return State.OK, "none is older than it is kept"


def _check_answers(now: datetime) -> Result:
    """What of the providers' answers was refused or unreadable lately."""
    notes = [words for state in ProviderState.objects.order_by("name") for words in _notes_of_provider(state, now=now)]
    if gone := Race.objects.open().filter(off_card_since__isnull=False, advertised_start__gt=now).count():
        notes.append(f"{gone} races still to come are not on their provider's card any more")
    return (State.NOTE, "; ".join(notes)) if notes else (State.OK, "everything that came was stored")


def _notes_of_provider(state: ProviderState, *, now: datetime) -> Iterator[str]:
    if state.older_answer_at and now - state.older_answer_at < LATELY:
        yield (
            f"{state.name}: {state.older_answers} answers so far were older than what is stored and were refused, "
            f"the last at {state.older_answer_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    if unread := state.left_out.get("rows"):
        yield f"{state.name}: {unread} rows of its card could not be read"


# --- Appwrite ---------------------------------------------------------------------------------------------------------


def _examine_appwrite(now: datetime) -> Iterator[Finding]:
    try:
        client = connect()
    except PollingError as error:
        yield Finding("appwrite", State.FAILED, str(error))
        return
    if client is None:
        yield Finding("appwrite", State.NOTE, "not configured: nothing is synced")
        return
    for name, check in (("appwrite", _check_version), ("key", _check_key)):
        finding = _run_check(name, partial(check, client))
        yield finding
        if finding.state is State.FAILED:
            return
    yield _run_check("compare-and-set", partial(_check_compare_and_set, client, now))
    yield _run_check("tables", partial(_check_tables, client))
    yield _run_check("webhook", partial(_check_webhook, client))


def _check_version(client: SyncClient) -> Result:
    version = client.server_version(refresh=True)
    words = f"Appwrite {capabilities.version_text(version)} answers"
    if capabilities.must_read_back(version):
        return State.NOTE, f"{words}; {capabilities.RACY_COMPARE_AND_SET}"
    return State.OK, words


def _check_key(client: SyncClient) -> Result:
    lacking = key_scopes.missing_scopes(client)
    if not lacking:
        return State.OK, "it has every scope that is needed"
    needed = set(lacking) & set(key_scopes.NEEDED)
    return State.FAILED if needed else State.NOTE, f"it lacks {', '.join(lacking)}"


def _check_compare_and_set(client: SyncClient, now: datetime) -> Result:
    problem = server_probe.run(client, now=now).problem
    return (State.FAILED, problem) if problem else (State.OK, "a stale write is refused")


def _check_tables(client: SyncClient) -> Result:
    try:
        wrong = schema.check(client)
    except MissingScope as error:
        return State.NOTE, f"not compared with the declaration: {error}"
    return (State.FAILED, "; ".join(wrong)) if wrong else (State.OK, "they are as declared")


def _check_webhook(client: SyncClient) -> Result:
    if not settings.APPWRITE_WEBHOOK_SECRET:
        return State.NOTE, "APPWRITE_WEBHOOK_SECRET is not set: changes come with the pull, every 15 s"
    try:
        entry = webhook_subscription.found(client)
    except Blocked as error:
        if not webhook_subscription.is_hidden(error):
            raise
        return State.NOTE, f"this key may not read it; {_words_of_last_notification()}"
    if entry is None:
        return State.NOTE, "there is none; with APPWRITE_WEBHOOK_URL set, `manage.py appwrite_schema apply` creates it"
    if wrong := webhook_subscription.faults(entry):
        return State.FAILED, f"it {' and '.join(wrong)}"
    return State.OK, f"it is enabled; {_words_of_last_notification()}"


def _words_of_last_notification() -> str:
    at = SyncServer.objects.filter(target=settings.APPWRITE_TARGET).values_list("notified_at", flat=True).first()
    return f"it last reported a row at {at:%Y-%m-%d %H:%M:%S} UTC" if at else "it has not reported a row yet"
