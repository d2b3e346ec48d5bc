"""What the server of the configured Appwrite can do, as `SyncServer` keeps it.

Asked before the first write, once an hour, and when its version changes. Entries: `ensure`, `run`.
"""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from math import inf

from django.conf import settings

from polling.appwrite import known_problems
from polling.appwrite.api.capabilities import (
    CANARY,
    CANARY_ROW,
    CANARY_TABLE,
    NO_COMPARE_AND_SET,
    RACY_COMPARE_AND_SET,
    canary_path,
    must_read_back,
    version_text,
)
from polling.appwrite.api.client import SyncClient
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import Rows
from polling.appwrite.checkpoints import level_of
from polling.appwrite.schema.table_faults import DIAGNOSIS_SECONDS, TableRefusals
from polling.errors import Blocked, Conflict, NotFound, OutOfTime, PollingError, Unavailable, error_text
from polling.models import SyncServer

logger = logging.getLogger(__name__)

HOLDS_FOR = timedelta(hours=1)
PROBLEM_HOLDS_FOR = timedelta(minutes=5)  # somebody may be correcting it
LONG_AGO = "2000-01-01T00:00:00.000+00:00"
TRIES = 3


def ensure(client: SyncClient, *, now: datetime, deadline: float = inf) -> None:
    """Raises Blocked where the server cannot be written to without losing edits. No call while what is known is fresh.

    Where it must ask, it raises what `run` raises. `deadline` is an instant of time.monotonic().
    """
    known = _known_server()
    is_other_version = client.known_version and version_text(client.known_version) != known.version
    holds_for = PROBLEM_HOLDS_FOR if known.problem else HOLDS_FOR
    if known.probed_at is None or is_other_version or now - known.probed_at >= holds_for:
        try:
            known = run(client, now=now, deadline=deadline)
        except OutOfTime:
            if not known.compares_and_sets:
                raise
            # What is known holds until there is time to ask.
    if known.problem:
        raise Blocked(known.problem)


def run(client: SyncClient, *, now: datetime, deadline: float = inf) -> SyncServer:
    """Asks the server its version, and whether it refuses a stale write; keeps and returns what it found.

    Stores, and then raises, the PollingError that stands in the way. `deadline` is an instant of time.monotonic().
    """
    server = _known_server()
    rows = Rows(client, CANARY_TABLE, deadline=deadline)
    resumes, client.has_unfinished_probe = client.has_unfinished_probe, False
    try:
        version = client.server_version(refresh=not resumes, deadline=deadline)
        server.compares_and_sets = _compares_and_sets(client, rows, resumes=resumes)
    except OutOfTime:
        client.has_unfinished_probe = client.known_version is not None
        raise
    except PollingError as error:
        server.probed_at = None
        _store_problem(server, error_text(error), level=level_of(error))
        raise
    if must_read_back(version) and server.version != version_text(version):
        logger.warning("Appwrite %s: %s", version_text(version), RACY_COMPARE_AND_SET)
    server.version, server.probed_at = version_text(version), now
    _store_problem(server, "" if server.compares_and_sets else NO_COMPARE_AND_SET, level=logging.ERROR)
    return server


def _compares_and_sets(client: SyncClient, rows: Rows, *, resumes: bool) -> bool:
    """Whether the server refuses a stale write. Tried again where another process has removed the canary meanwhile."""
    for attempt in range(TRIES):
        with suppress(NotFound):
            # After a probe that ran out of time the row exists already: then one call of a slow server is enough.
            return _refuses_stale_write(client, rows, has_canary=resumes and not attempt)
    raise Unavailable("the row to probe Appwrite with was removed by somebody else")


def _refuses_stale_write(client: SyncClient, rows: Rows, *, has_canary: bool) -> bool:
    """Writes to the canary as if it had been read long ago, and removes it."""
    if not has_canary:
        _create_canary(rows)
    is_refused = False
    try:
        rows.update(CANARY, {"message": "it is not"}, base_updated_at=LONG_AGO)
    except Conflict:
        is_refused = True
    with suppress(NotFound, OutOfTime):  # one that is left is used by the next probe
        client.exchange("delete", canary_path(), deadline=rows.deadline)
    return is_refused


def _create_canary(rows: Rows) -> None:
    try:
        with suppress(Conflict):  # one is left of a probe that was killed
            rows.create([CANARY_ROW])
    except InvalidRequest as error:
        patient = rows.extended_by(DIAGNOSIS_SECONDS)
        raise TableRefusals(patient, partial(try_canary, patient)).find_fault() or error from None


def try_canary(rows: Rows) -> None:
    """Creates the canary and removes it. Raises InvalidRequest from a table that takes no row at all."""
    with suppress(Conflict):
        rows.create([CANARY_ROW])
    rows.delete_many([CANARY])


def _known_server() -> SyncServer:
    return SyncServer.objects.get_or_create(target=settings.APPWRITE_TARGET)[0]


def _store_problem(server: SyncServer, problem: str, *, level: int) -> None:
    """Stores the probe's result with its problem, empty where there is none, and logs where that begins and ends."""
    if problem and not server.problem:
        level = logging.DEBUG if known_problems.is_known(problem) else level
        logger.log(level, "Appwrite cannot be written to: %s", problem)
    if server.problem and not problem:
        logger.info("Appwrite can be written to again")
    server.problem = problem[:500]
    server.save(update_fields=["version", "compares_and_sets", "probed_at", "problem"])
