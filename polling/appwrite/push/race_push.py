"""What a push has to do for one race."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.rows import Row
from polling.appwrite.checkpoints import level_of
from polling.appwrite.known_problems import is_known, is_news
from polling.appwrite.mapping import Values
from polling.appwrite.merge import differing, outgoing
from polling.appwrite.reconcile import local_values
from polling.errors import Blocked, RateLimited, error_text
from polling.models import SyncState
from races.models import Race

logger = logging.getLogger(__name__)

BEAT = "last_poll_time"
MOST_SENT = 4  # tries wait longer and longer, so an older one has landed and been met, or never will
WHEN_BLOCKED = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(minutes=5)
_dice = secrets.SystemRandom()


@dataclass(frozen=True, eq=False)
class Job:
    """A race to push: its values, and the row as it stood when both sides last agreed."""

    race_id: int
    version: int
    row_id: str
    local: Values
    base: Values
    base_updated_at: str
    attempts: int
    pushed_version: int
    sent: Sequence[Values] = ()
    undo_pending: bool = False

    @property
    def is_new(self) -> bool:
        """Whether Appwrite is not known to have the row."""
        return not self.base_updated_at

    @cached_property
    def changes(self) -> Values:
        """The fields to write; empty where only Django's version moved.

        A race that did not move at all is here to show that it is polled.
        """
        if self.is_new:
            return self.local
        if self._undoes:
            return differing(self.base, self.local)
        moved = outgoing(self.base, self.local)
        if moved or self.pushed_version < self.version or self.local[BEAT] == self.base[BEAT]:
            return moved
        return {BEAT: self.local[BEAT]}

    @property
    def differs(self) -> bool:
        """Whether the row's content is not the race's."""
        return self.is_new or bool(outgoing(self.base, self.local)) or self._undoes

    @property
    def _undoes(self) -> bool:
        """Whether what is no reason to write is to be written back, as somebody changed it; no version of ours is
        above Django's own."""
        return self.undo_pending or (self.base["sync_version"] or 0) > self.version

    def is_agreed(self, row: Row) -> bool:
        """Whether a row, read whole, holds just what both sides last agreed on.

        By its values, too: an edit that kept the row's `$updatedAt`, or put an older one, passes compare-and-set.
        """
        try:
            remote = mapping.read(row)
        except ValueError:
            return False
        return remote.updated_at == self.base_updated_at and remote.filled(self.base).values == self.base

    @property
    def may_have_landed(self) -> bool:
        """Whether an earlier write may have, unnoticed."""
        return bool(self.attempts or self.sent)

    @property
    def sending(self) -> list[Values]:
        """What to remember of its writes, the one about to be made included, until the row is seen to have moved."""
        return [*self.sent, {**self.changes, "sync_version": self.local["sync_version"]}][-MOST_SENT:]

    @property
    def document(self) -> Row:
        """The whole row, as it is made."""
        return {"$id": self.row_id, **{name: value for name, value in self.local.items() if value is not None}}

    def state(self) -> SyncState:
        """The row's state to note a failure on."""
        base = self.base_updated_at
        return sync_state.new_state(self.race_id, self.row_id, attempts=self.attempts, base_updated_at=base)


def job_of(race: Race, state: SyncState | None) -> Job:
    """Raises ValueError for a value that Appwrite could not keep."""
    return Job(
        race_id=race.pk,
        version=race.version,
        row_id=row_id_of(race, state),
        local=local_values(race),
        base=mapping.complete(state.base if state else {}),
        base_updated_at=state.base_updated_at if state else "",
        attempts=state.attempts if state else 0,
        pushed_version=state.pushed_version if state else 0,
        sent=(state.sent if state else None) or (),
        undo_pending=bool(state and state.undo_pending),
    )


def row_id_of(race: Race, state: SyncState | None) -> str:
    """The `$id` of the race's row: its own, or that of a row made in Appwrite that it was matched with."""
    return state.remote_id if state else mapping.race_row_id(race)


# --- how failures go on ---------------------------------------------------------------------------------------------


def put_off(found: Sequence[SyncState], error: Exception, *, now: datetime, own: bool = False) -> None:
    """Lets rows wait for a later try; says so once, as long as any row waits for the same, or for what will pass."""
    words = error_text(error)
    before = sync_state.failing().values_list("error", flat=True).first() or ""
    is_said = not is_news(error, words, before=before) or is_known(words)
    level = logging.DEBUG if is_said else level_of(error)
    logger.log(level, "%d rows wait to be pushed: %s: %s", len(found), type(error).__name__, error)
    until = now + wait_after(error, max(state.attempts for state in found) + 1)
    sync_state.postpone(found, error, until=until, own=own)


def wait_after(error: Exception, attempts: int) -> timedelta:
    """How long to wait after an error met so many times in a row."""
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return error.retry_after
    return WHEN_BLOCKED if isinstance(error, Blocked) else _backoff(attempts)


def _backoff(attempts: int) -> timedelta:
    """From a second up to a limit that doubles with each attempt; by chance, so that hosts do not come at once."""
    longest = min(2.0 ** min(attempts, 16), LONGEST_BACKOFF.total_seconds())
    return timedelta(seconds=_dice.uniform(1, max(longest, 1)))
