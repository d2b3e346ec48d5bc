"""The push of races that changed: new rows in bulk, changed ones field by field, each against its base."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db import InterfaceError, OperationalError, transaction

from polling.appwrite import deletion_guard, mapping, sync_state
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.parallel import MOST_AT_ONCE, in_parallel
from polling.appwrite.api.rows import MOST_ROWS, Row, Rows
from polling.appwrite.lease import Lease
from polling.appwrite.mapping import Remote
from polling.appwrite.push.bulk_create import create_rows
from polling.appwrite.push.failure_policy import Response, UnmappableRow, after_call, failed_rows
from polling.appwrite.push.outcomes import Counts, Outcome, Result, RowPush
from polling.appwrite.push.race_push import Action, RacePush, pushes_of
from polling.appwrite.reconcile import InboundRow, reconcile
from polling.appwrite.schema.table_faults import DIAGNOSIS_SECONDS, TableRefusals, rewrite_a_row
from polling.errors import Ambiguous, Conflict, NotFound, OutOfTime, Unavailable
from polling.models import SyncState

logger = logging.getLogger(__name__)

READ_BACK_SECONDS = 1.5  # that reading back what was just written may last beyond the deadline
MOST_CONFLICTS = 5  # of one row in one push


def planned_races(*, now: datetime, waiting: bool = False, limit: int | None = None) -> list[RacePush]:
    """The races that may have something to push, up to `limit`; with `waiting` also those whose next try is to come."""
    dirty = sync_state.dirty(now=now, waiting=waiting).select_related("meeting").prefetch_related("runners")
    return pushes_of(dirty[:limit])


class DirtyRaces(RowPush):
    """Pushes the races that changed, a hundred in a step, while the lease is held."""

    def __init__(self, rows: Rows, lease: Lease, counts: Counts) -> None:
        super().__init__(rows, lease, counts)
        patient = rows.extended_by(DIAGNOSIS_SECONDS)
        self._refusals = TableRefusals(patient, partial(rewrite_a_row, patient))
        self._conflicts: Counter[int] = Counter()

    def has_more(self) -> bool:
        """Whether a race is dirty."""
        return sync_state.dirty(now=self._lease.now()).exists()

    def step(self) -> bool:
        """Pushes a batch; whether it was a full one. Raises the PollingError that stops the push, after noting it."""
        pushes = planned_races(now=self._lease.now(), limit=MOST_ROWS)
        sync_state.delete_orphans_of([push.row_id for push in pushes if push.is_new])
        self._carry_out([push.state for push in pushes], self._push_races(pushes))
        return len(pushes) == MOST_ROWS

    def _push_races(self, pushes: Sequence[RacePush]) -> Iterator[Outcome]:
        by_action: dict[Action, list[RacePush]] = defaultdict(list)
        for push in pushes:
            by_action[push.action].append(push)
        yield from (push.outcome(error=push.problem) for push in by_action[Action.GIVE_UP])
        yield from self._note_unchanged(by_action[Action.UNCHANGED])
        yield from self._merge_current_rows(by_action[Action.READ])
        yield from self._create_rows(self._record_sent(by_action[Action.CREATE] + by_action[Action.RECREATE]))
        yield from self._change_rows(by_action[Action.CHANGE])

    def _note_unchanged(self, pushes: Sequence[RacePush]) -> Iterator[Outcome]:
        """Races whose version moved but not their content. A base that a pull has replaced meanwhile stays dirty."""
        now = self._lease.now()
        kept = {
            push: sync_state.unchanged(push.race.pk, push.row_id, version=push.race.version, now=now) for push in pushes
        }
        _store_states(kept, sync_state.UNCHANGED)
        yield from (push.outcome("unchanged") for push in pushes)

    def _record_sent(self, pushes: Sequence[RacePush]) -> list[RacePush]:
        """Stores what is about to be written, so that a pull takes it for no edit though we die before the reply comes.

        Returns the races to write; those whose base a pull has replaced meanwhile are left to the next step.
        """
        sent = {push: sync_state.new_state(push.race.pk, push.row_id, sent=push.sending) for push in pushes}
        return _store_states(sent, ["sent"])

    def _create_rows(self, pushes: Sequence[RacePush]) -> Iterator[Outcome]:
        """New rows in bulk; one by one where calls for many have failed several times, as many as show the reason."""
        left = list(pushes)

        def create_row(push: RacePush) -> Row:
            if replies := self._rows.create([push.document]):
                return replies[0]
            raise Ambiguous("the answer leaves out the row")

        try:
            for part in create_rows({push: push.document for push in pushes}, self._rows, self._refusals):
                decided = {push for push, _ in (*part.created, *part.existed, *part.failed)}
                left = [push for push in left if push not in decided]
                yield from self._store_replies(part.created)
                yield from (self._merge_row(push, row) for push, row in part.existed)
                yield from (push.outcome(error=error) for push, error in part.failed)
        except Unavailable as error:
            attempts = max((push.state.attempts for push in left), default=0)
            if after_call(error, rows=len(left), attempts=attempts) is not Response.ONE_BY_ONE:
                raise
            yield from self._write_each(left[:MOST_AT_ONCE], create_row)

    def _change_rows(self, pushes: Sequence[RacePush]) -> Iterator[Outcome]:
        """Writes to the rows that hold what was agreed on, by a read of this moment; merges the others.

        Each with its own call; whoever changed the row since our base makes it a conflict, which is merged too. Rows
        that are gone come last: to find out how many are may take all the time there is.
        """
        there = self._rows.by_id([push.row_id for push in pushes]) if pushes else {}
        found = [push for push in pushes if push.row_id in there]
        agreed = [push for push in found if push.is_agreed(there[push.row_id])]
        yield from (self._merge_row(push, there[push.row_id]) for push in found if push not in agreed)

        def change_row(push: RacePush) -> Row:
            return self._rows.update(push.row_id, push.changes, base_updated_at=push.base_updated_at)

        yield from self._write_each(self._record_sent(agreed), change_row)
        yield from self._request_recreation([push for push in pushes if push.row_id not in there])

    def _write_each(self, pushes: Sequence[RacePush], call: Callable[[RacePush], Row]) -> Iterator[Outcome]:
        """One call per race, many at once."""
        answers = in_parallel(call, pushes, has_time=self._rows.has_time)
        yield from self._store_replies(self._read_back([(push, row) for push, row in answers if isinstance(row, dict)]))
        yield from self._merge_current_rows([push for push, error in answers if isinstance(error, Conflict)])
        yield from self._request_recreation([push for push, error in answers if isinstance(error, NotFound)])
        refused = [(push, error) for push, error in answers if isinstance(error, InvalidRequest)]
        fault = self._refusals.find_fault() if refused else None
        yield from (push.outcome(error=fault or error) for push, error in refused)
        yield from (push.outcome(error=error) for push, error in failed_rows(answers))

    def _read_back(self, replied: list[tuple[RacePush, Row]]) -> list[tuple[RacePush, Row]]:
        """The rows as they really are, where the server's replies prove nothing."""
        if not (replied and self._rows.must_read_back):
            return replied
        try:
            there = self._rows.extended_by(READ_BACK_SECONDS).by_id([push.row_id for push, _ in replied])
        except OutOfTime:  # as if not answered: the next run finds them
            return []
        return [(push, there.get(push.row_id, reply)) for push, reply in replied]

    def _store_replies(self, replied: Sequence[tuple[RacePush, Row]]) -> Iterator[Outcome]:
        """Replies become the new bases. One that nobody else had a hand in, as nearly all, is stored in bulk."""
        now, agreed = self._lease.now(), {}
        for push, row in replied:
            result: Result = "created" if push.is_new else "changed"
            try:
                remote, written = mapping.read(row), {**push.base, **push.changes}
            except ValueError as error:
                yield push.outcome(result, error=UnmappableRow(str(error)))
                continue
            if (filled := remote.filled(written)).values == written:
                agreed[push] = sync_state.agreed(push.race.pk, filled, version=push.race.version, now=now)
            else:
                yield self._reconcile_row(push, remote, result)
        _store_states(agreed, sync_state.AGREED)
        yield from (push.outcome("created" if push.is_new else "changed") for push in agreed)
        if any(push.state.attempts for push in agreed):  # the failures are over: then none waits longer
            sync_state.clear_waits()
            if not sync_state.failing().exists():
                logger.info("Appwrite takes the races again")

    def _merge_current_rows(self, pushes: Sequence[RacePush]) -> Iterator[Outcome]:
        """Reads rows and merges them; those that are gone are recreated."""
        there = self._rows.by_id([push.row_id for push in pushes]) if pushes else {}
        gone = [push for push in pushes if push.row_id not in there]
        yield from (self._merge_row(push, there[push.row_id]) for push in pushes if push.row_id in there)
        vanished = Conflict("Appwrite says that the row exists, and does not list it")
        yield from (push.outcome(error=vanished) for push in gone if push.is_new)
        yield from self._request_recreation([push for push in gone if not push.is_new])

    def _merge_row(self, push: RacePush, row: Row) -> Outcome:
        """Merges a row that somebody changed, or created, since our base; what is left is pushed in the next step."""
        try:
            remote = mapping.read(row)
        except ValueError as error:
            return push.outcome(error=UnmappableRow(str(error)))
        self._conflicts[push.race.pk] += 1
        return self._reconcile_row(push, remote, "merged")

    def _reconcile_row(self, push: RacePush, remote: Remote, result: Result) -> Outcome:
        try:
            reconciled = reconcile(
                InboundRow(push.race.pk, remote, based_on=push.base_updated_at), now=self._lease.now()
            )
        except (InterfaceError, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad row must not stop the others
            logger.exception("row %s could not be merged", push.row_id)
            return push.outcome(result, error=error)
        if result == "merged" and reconciled.left and self._conflicts[push.race.pk] >= MOST_CONFLICTS:
            push.state.base_updated_at = remote.updated_at  # the base that the failure is noted with
            return push.outcome(result, error=Conflict(f"the row changed under {MOST_CONFLICTS} tries"))
        return push.outcome(result)

    def _request_recreation(self, pushes: Sequence[RacePush]) -> Iterator[Outcome]:
        """Rows that were deleted in Appwrite; unless the deletion guard holds them, the next step creates them again.

        Not those of which somebody has found another row since.
        """
        if not pushes:
            return
        now, known = self._lease.now(), sync_state.states().filter(local_pk__in=[push.race.pk for push in pushes])
        bases = {push.race.pk: push.base_updated_at for push in pushes}
        missing = [state for state in known if state.base_updated_at == bases[state.local_pk]]
        if missing and deletion_guard.may_recreate(missing, self._rows, now=now):
            for state in missing:
                deletion_guard.request_recreation(state, now=now)
        yield from (push.outcome() for push in pushes)


def _store_states(states: Mapping[RacePush, SyncState], fields: Iterable[str]) -> list[RacePush]:
    """Stores these fields of states, but for races whose base a pull has replaced since they were read.

    Returns the races that were stored.
    """
    with transaction.atomic():
        bases = dict(sync_state.lock_bases([push.race.pk for push in states]))
        same = [push for push in states if bases.get(push.race.pk, "") == push.base_updated_at]
        sync_state.save([states[push] for push in same], fields)
    return same
