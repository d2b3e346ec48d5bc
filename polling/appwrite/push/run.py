"""The push: Django's changes on their way to Appwrite, races first, then poll logs."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError

from polling.appwrite import server_probe, sync_state
from polling.appwrite.api.client import SyncClient, connect
from polling.appwrite.api.rows import Rows
from polling.appwrite.checkpoints import note_outcome
from polling.appwrite.lease import Lease, clear_wait, push_of
from polling.appwrite.push import logs as push_logs
from polling.appwrite.push.deleted_races import DeletedRaces
from polling.appwrite.push.expired_races import ExpiredRaces
from polling.appwrite.push.failure_policy import wait_after
from polling.appwrite.push.logs import UnsentLogs
from polling.appwrite.push.outcomes import Counts
from polling.appwrite.push.preview import preview as preview
from polling.appwrite.push.races import DirtyRaces
from polling.errors import OutOfTime, PollingError, Unavailable

logger = logging.getLogger(__name__)

# With the pull's, within the timeout of a task.
BUDGET = timedelta(seconds=6)
SECONDS_PER_STEP = 2.0
LONGEST_TABLE_WAIT = timedelta(minutes=1)

Work = DirtyRaces | DeletedRaces | ExpiredRaces | UnsentLogs


@dataclass
class Pushed:
    """What a push did: how many rows of `races` came to which end, and how many `logs` were sent.

    `busy`: another push has the table, or the server is left alone after a failure. `unfinished`: the time was over
    before all was pushed, and another push may go on at once. `error`: why it ended early.
    """

    races: Counts = field(default_factory=Counts)
    logs: int = 0
    busy: bool = False
    unfinished: bool = False
    error: PollingError | None = None


def run(*, now: datetime, budget: timedelta = BUDGET) -> Pushed:
    """Pushes to the configured Appwrite the races and poll logs that changed, and deletes rows whose races are gone.

    now: the instant of this run; whoever waits for a later try than this is not tried.
    budget: how long it may take. Calls under way are cut off then, but for those that read back what was written.

    Nothing is raised: what could not be pushed stays dirty for a later push, and the result says why. Safe to run
    twice at once, as a lease lets one push at a time have a table, and to kill, as the next run finds what has landed.
    Without a configured Appwrite, or with nothing dirty, no call is made.
    """
    pushed = Pushed()
    try:
        client = connect()
        if client is None:
            return pushed
        sync_state.clear_stale_failures(now=now)
        lease = Lease(push_of(sync_state.TABLE), now=now)
        rows, counts = Rows.within(client, sync_state.TABLE, budget), pushed.races
        # What is gone comes last: a race that came back under another key has its row again by then.
        works = (DirtyRaces(rows, lease, counts), DeletedRaces(rows, lease, counts), ExpiredRaces(rows, lease, counts))
        pushed.busy = not all(_push_all(work, lease, rows, client) for work in works)
        _push_logs(pushed, rows.of_table(push_logs.TABLE), client, now=now)
    except OutOfTime:
        pushed.unfinished = True
    except PollingError as error:
        pushed.error = error
    except (InterfaceError, OperationalError) as error:
        pushed.error = Unavailable(f"the database was busy: {error}")
        logger.warning("the push to Appwrite ended early: %s", pushed.error)
    return pushed


def retry_now() -> None:
    """Lets the next push try at once what waits after a failure, because a person asks for it."""
    sync_state.clear_waits()
    for table in (sync_state.TABLE, push_logs.TABLE):
        clear_wait(push_of(table))


def _push_logs(pushed: Pushed, rows: Rows, client: SyncClient, *, now: datetime) -> None:
    """Keeps how it ended on the table's checkpoint, unless another push has the table."""
    lease = Lease(push_of(push_logs.TABLE), now=now)
    logs, failure, had_lease = UnsentLogs(rows, lease), None, False
    try:
        had_lease = _push_all(logs, lease, rows, client)
    except OutOfTime:
        raise
    except PollingError as error:
        failure = error
        raise
    finally:
        pushed.logs = logs.sent
        if had_lease or failure:
            note_outcome(push_logs.TABLE, "the push of poll logs", failure, now=lease.now())


def _push_all(work: Work, lease: Lease, rows: Rows, client: SyncClient) -> bool:
    """Whether we got the lease wherever there was work. Raises OutOfTime where some is left.

    After the release it looks once more: a push that was asked for meanwhile found our lease and went away.
    """
    while work.has_more():
        if not rows.has_time(SECONDS_PER_STEP):
            raise OutOfTime("no time left to push more")
        if not lease.take():
            return False
        wait = None
        try:
            server_probe.ensure(client, now=lease.now(), deadline=rows.deadline)
            while rows.has_time(SECONDS_PER_STEP) and lease.renew() and work.step():
                pass
        except OutOfTime:
            raise
        except PollingError as error:
            wait = min(wait_after(error, sync_state.most_attempts()), LONGEST_TABLE_WAIT)
            raise
        finally:
            lease.release(wait=wait)
    return True
