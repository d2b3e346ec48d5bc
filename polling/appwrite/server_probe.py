"""What the server of the configured Appwrite can do: asked before the first write, once an hour, and when it is new."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from math import inf

from django.conf import settings

from polling.appwrite import known_problems
from polling.appwrite.api.capabilities import CANARY, CANARY_TABLE, SAFE_COMPARE_AND_SET, canary_path
from polling.appwrite.api.client import SyncClient
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import Rows
from polling.appwrite.checkpoints import level_of
from polling.appwrite.schema.table_faults import DIAGNOSIS_SECONDS, TableRefusals
from polling.errors import Blocked, Conflict, NotFound, OutOfTime, PollingError, Unavailable, error_text
from polling.models import SyncServer

logger = logging.getLogger(__name__)

HOLDS_FOR = timedelta(hours=1)
REFUSAL_HOLDS_FOR = timedelta(minutes=5)  # somebody may be mending it
CANARY_ROW = {"$id": CANARY, "message": "whether a stale write is refused"}
LONG_AGO = "2000-01-01T00:00:00.000+00:00"
TRIES = 3
UNSAFE = (
    "this Appwrite takes a write that was made against an older state of the row (no compare-and-set): "
    "nothing is pushed, as edits would be lost; 1.8 or newer is needed, 1.9 recommended"
)
RACY = "two writers that race may both pass 1.8's compare-and-set, so each change is read back; 1.9 is recommended"


def ensure(client: SyncClient, *, now: datetime, deadline: float = inf) -> None:
    """Raises Blocked where the server cannot be written to without losing edits. No call while what is known is fresh.

    Raises what `run` raises where it must ask.
    """
    known = _server()
    if not _is_fresh(known, client.known_version, now=now):
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

    Raises the PollingError that stands in the way, after keeping it.
    """
    server = _server()
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
        _keep(server, error_text(error), level=level_of(error))
        raise
    if version < SAFE_COMPARE_AND_SET and server.version != _text(version):
        logger.warning("Appwrite %s: %s", _text(version), RACY)
    server.version, server.probed_at = _text(version), now
    _keep(server, "" if server.compares_and_sets else UNSAFE, level=logging.ERROR)
    return server


def _compares_and_sets(client: SyncClient, rows: Rows, *, resumes: bool) -> bool:
    """Another process that probes too may remove the canary in between."""
    for attempt in range(TRIES):
        with suppress(NotFound):
            # After a probe that ran out of time the row is there already: one call of a slow server tells then.
            return _refuses_a_stale_write(client, rows, has_canary=resumes and not attempt)
    raise Unavailable("the row to probe Appwrite with was removed by somebody else")


def _refuses_a_stale_write(client: SyncClient, rows: Rows, *, has_canary: bool) -> bool:
    """Writes to a row of its own as if it were of long ago, and removes it."""
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
        raise TableRefusals(patient, partial(try_canary, patient)).behind(error) or error from None


def try_canary(rows: Rows) -> None:
    """Makes the row and removes it. Raises InvalidRequest from a table that takes no row at all."""
    with suppress(Conflict):
        rows.create([CANARY_ROW])
    rows.delete_many([CANARY])


def _server() -> SyncServer:
    return SyncServer.objects.get_or_create(target=settings.APPWRITE_TARGET)[0]


def _is_fresh(server: SyncServer, version: tuple[int, ...] | None, *, now: datetime) -> bool:
    if server.probed_at is None or (version and _text(version) != server.version):
        return False
    return now - server.probed_at < (REFUSAL_HOLDS_FOR if server.problem else HOLDS_FOR)


def _keep(server: SyncServer, problem: str, *, level: int) -> None:
    """Stores what was found, and logs the edges."""
    if problem and not server.problem:
        level = logging.DEBUG if known_problems.is_known(problem) else level
        logger.log(level, "Appwrite cannot be written to: %s", problem)
    if server.problem and not problem:
        logger.info("Appwrite can be written to again")
    server.problem = problem[:500]
    server.save(update_fields=["version", "compares_and_sets", "probed_at", "problem"])


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
