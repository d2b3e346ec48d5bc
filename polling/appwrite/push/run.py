"""Django's changes on their way to Appwrite: races, then poll logs. One pusher a table."""

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from django.db import InterfaceError, OperationalError

from polling.appwrite import server_probe, sync_state
from polling.appwrite.api.client import SyncClient, connect
from polling.appwrite.api.rows import Rows
from polling.appwrite.checkpoints import checkpoint_of, note_outcome
from polling.appwrite.lease import Lease, forget_wait, push_of
from polling.appwrite.push import logs as push_logs
from polling.appwrite.push.deleted_races import GonePush
from polling.appwrite.push.expired_races import ExpiredPush
from polling.appwrite.push.logs import LogPush
from polling.appwrite.push.preview import preview as preview
from polling.appwrite.push.race_push import wait_after
from polling.appwrite.push.races import Counts, RacePush
from polling.errors import OutOfTime, PollingError, Unavailable

logger = logging.getLogger(__name__)

# With the pull's, within the timeout of a task.
BUDGET = timedelta(seconds=6)
SECONDS_PER_STEP = 2.0
LONGEST_TABLE_WAIT = timedelta(minutes=1)


@dataclass
class Pushed:
    """What a push did. `busy`: another one has the table, or the server is left alone after a failure.

    Nothing is raised: what could not be pushed stays dirty and `error` says why. `unfinished`: the time was over
    before all was pushed, and another push may go on at once.
    """

    races: Counts = field(default_factory=Counts)
    logs: int = 0
    busy: bool = False
    unfinished: bool = False
    error: PollingError | None = None


class Work(Protocol):
    """One table's push, in steps."""

    def has_more(self) -> bool:
        """Whether there is anything to push."""

    def step(self) -> bool:
        """Pushes one batch; whether there may be another one."""


def run(*, now: datetime, budget: timedelta = BUDGET) -> Pushed:
    """Pushes what is dirty, for as long as `budget`; what is left then stays dirty. Nothing dirty: no call."""
    pushed = Pushed()
    deadline = time.monotonic() + budget.total_seconds()
    try:
        client = connect()
        if client is None:
            return pushed
        sync_state.forget_stale_failures(now=now)
        lease = Lease(push_of(sync_state.TABLE), now=now)
        rows = Rows(client, sync_state.TABLE, deadline=deadline)
        # What is gone comes last: a race that came back under another key has its row again by then.
        counts = pushed.races
        steps = (RacePush(rows, lease, counts), GonePush(rows, lease, counts), ExpiredPush(rows, lease, counts))
        pushed.busy = not all(_work(client, work, lease, deadline=deadline) for work in steps)
        lease = Lease(push_of(push_logs.TABLE), now=now)
        logs = LogPush(rows.of_table(push_logs.TABLE), lease)
        _push_logs(client, logs, lease, pushed, deadline=deadline)
    except OutOfTime:
        pushed.unfinished = True
    except PollingError as error:
        pushed.error = error
    except (InterfaceError, OperationalError) as error:
        pushed.error = Unavailable(f"the database was busy: {error}")
        logger.warning("the push to Appwrite ended early: %s", pushed.error)
    return pushed


def _push_logs(client: SyncClient, logs: LogPush, lease: Lease, pushed: Pushed, *, deadline: float) -> None:
    what = "the push of poll logs"
    try:
        had_lease = _work(client, logs, lease, deadline=deadline)
    except OutOfTime:
        raise
    except PollingError as error:
        note_outcome(checkpoint_of(push_logs.TABLE), what, error, now=lease.now())
        raise
    finally:
        pushed.logs = logs.sent
    if had_lease:
        note_outcome(checkpoint_of(push_logs.TABLE), what, None, now=lease.now())


def _work(client: SyncClient, work: Work, lease: Lease, *, deadline: float) -> bool:
    """Whether we got the lease wherever there was work. Raises OutOfTime where some is left.

    After the release it looks once more: a push that was asked for meanwhile met our lease and went away.
    """
    while work.has_more():
        if not _has_time(deadline):
            raise OutOfTime("no time left to push more")
        if not lease.take():
            return False
        wait = None
        try:
            server_probe.ensure(client, now=lease.now(), deadline=deadline)
            while _has_time(deadline) and lease.renew() and work.step():
                pass
        except OutOfTime:
            raise
        except PollingError as error:
            wait = min(wait_after(error, sync_state.most_attempts()), LONGEST_TABLE_WAIT)
            raise
        finally:
            lease.release(wait=wait)
    return True


def _has_time(deadline: float) -> bool:
    return time.monotonic() + SECONDS_PER_STEP < deadline


def retry_now() -> None:
    """Lets the next push try at once what waits after a failure, because a person asks for it."""
    sync_state.forget_waits()
    for table in (sync_state.TABLE, push_logs.TABLE):
        forget_wait(push_of(table))
