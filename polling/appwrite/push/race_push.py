"""One race to push: its values against what Appwrite is known to hold, and what follows from the difference."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.rows import Row
from polling.appwrite.mapping import Values
from polling.appwrite.merge import differing, outgoing
from polling.appwrite.push.failure_policy import UnmappableRow
from polling.appwrite.push.outcomes import Outcome, Result
from polling.appwrite.reconcile import local_values
from polling.models import SyncState
from races.models import Race

LAST_POLL = "last_poll_time"
MOST_SENT = 4  # tries wait longer and longer, so an older write has landed and been found, or never will


class Action(StrEnum):
    """What a push does with a race, as a preview names it."""

    CREATE = "create"
    RECREATE = "re-create"
    CHANGE = "change"
    READ = "look at"  # nothing to write, but an earlier write may have landed unnoticed
    UNCHANGED = "unchanged"  # the row holds the race's content already
    GIVE_UP = "give up"


@dataclass(frozen=True, eq=False)
class RacePush:
    """A race, and the state of its row as both were read; the state is not stored yet where no row is known."""

    race: Race
    state: SyncState

    @property
    def action(self) -> Action:
        """What is to be done."""
        if self.problem:
            return Action.GIVE_UP
        if self.is_new:
            return Action.RECREATE if self.state.remote_deleted_at else Action.CREATE
        if self.changes:
            return Action.CHANGE
        return Action.READ if self.state.attempts or self.state.sent else Action.UNCHANGED

    @property
    def row_id(self) -> str:
        """The `$id` of the race's row: its own, or that of a row made in Appwrite that it was matched with."""
        return self.state.remote_id

    @property
    def base_updated_at(self) -> str:
        """The row's `$updatedAt` when both sides last agreed; empty where they never did."""
        return self.state.base_updated_at

    @property
    def is_new(self) -> bool:
        """Whether Appwrite is not known to have the row."""
        return not self.base_updated_at

    @cached_property
    def base(self) -> Values:
        """The row's values when both sides last agreed."""
        return mapping.complete(self.state.base)

    @cached_property
    def local(self) -> Values:
        """The race's values. Raises ValueError for one that Appwrite could not keep."""
        return local_values(self.race)

    @cached_property
    def problem(self) -> UnmappableRow | None:
        """Why no row can hold the race."""
        try:
            _ = self.local
        except Exception as error:  # noqa: BLE001 - one bad race must not stop the others
            problem = UnmappableRow(str(error))
            problem.__cause__ = error
            return problem
        return None

    @cached_property
    def differences(self) -> Values:
        """The fields in which the row is not what the race is; none where these alone are no reason to write.

        Those too where they were changed in Appwrite, and a `sync_version` above Django's own, as they are undone.
        """
        if self.is_new:
            return self.local
        undoes_edits = self.state.undo_pending or (self.base["sync_version"] or 0) > self.race.version
        return (differing if undoes_edits else outgoing)(self.base, self.local)

    @cached_property
    def changes(self) -> Values:
        """The fields to write; empty where only Django's version moved.

        A race that did not move at all is here to show that it is polled.
        """
        is_ahead = self.state.pushed_version < self.race.version
        if self.differences or is_ahead or self.local[LAST_POLL] == self.base[LAST_POLL]:
            return self.differences
        return {LAST_POLL: self.local[LAST_POLL]}

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
    def sending(self) -> list[Values]:
        """What to remember of its writes, the one about to be made included, until the row is seen to have moved."""
        return [*(self.state.sent or ()), {**self.changes, "sync_version": self.local["sync_version"]}][-MOST_SENT:]

    @property
    def document(self) -> Row:
        """The whole row, as it is created."""
        return {"$id": self.row_id, **{name: value for name, value in self.local.items() if value is not None}}

    def outcome(self, result: Result | None = None, *, error: Exception | None = None) -> Outcome:
        """What a step did with it."""
        return Outcome(self.state, result, error, version=self.race.version)


def pushes_of(races: Iterable[Race]) -> list[RacePush]:
    """The races, which may repeat, each with what is known of its row."""
    races = list(races)
    states = sync_state.states().filter(local_pk__in={race.pk for race in races})
    known = {state.local_pk: state for state in states}
    return [
        RacePush(race, known.get(race.pk) or sync_state.new_state(race.pk, mapping.race_row_id(race))) for race in races
    ]
