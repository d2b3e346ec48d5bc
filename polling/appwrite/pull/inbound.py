"""Rows found in Appwrite, brought into Django one by one; what a row comes to is planned first, for a dry run too."""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, InterfaceError, OperationalError, transaction

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.rows import Row, is_addressable
from polling.appwrite.mapping import Remote
from polling.appwrite.pull import adoption, unmatched_rows
from polling.appwrite.pull.adoption import SecondRow, Unfit
from polling.appwrite.reconcile import InboundRow, plan_merge, reconcile
from polling.errors import PollingError, Unavailable, error_text
from polling.models import SyncState
from races.models import Race

logger = logging.getLogger(__name__)

BULK_ALONE = "its id is one that Appwrite takes in bulk alone"


@dataclass
class Tally:
    """What became of rows. `unmatched` ones belong to no race and cannot become one, `unreadable` could not be merged.

    Nothing is raised: `error` says why it ended early, and the next one begins where it ended.
    """

    changed: int = 0
    taken: int = 0
    conflicts: int = 0
    unmatched: int = 0
    unreadable: int = 0
    error: PollingError | None = None


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What a row comes to: it is merged with the race of its `state`, or else with `race`, or else becomes a race."""

    remote: Remote
    state: SyncState | None
    race: Race | None = None


def plan_row(row: Row, known: SyncState | None, *, now: datetime) -> RowPlan:
    """What the row comes to. Changes nothing. Raises ValueError, Unfit for a row that cannot become a race."""
    if not is_addressable(row["$id"]):
        raise Unfit(BULK_ALONE)
    remote = mapping.read(row)
    if state := known or sync_state.states().filter(remote_id=remote.row_id).first():
        return RowPlan(remote, state)
    remote.need_readable()
    return RowPlan(remote, None, adoption.match(remote, now=now))


def describe(row: Row, known: SyncState | None = None, *, now: datetime) -> str:
    """The plan of a row in words, for a dry run; nothing where it comes to nothing."""
    try:
        plan = plan_row(row, known, now=now)
    except ValueError as error:
        return f"row {unmatched_rows.key_of(row['$id'])}: stays out: {error}"
    race = Race.objects.filter(pk=plan.state.local_pk).first() if plan.state else plan.race
    if race is None:
        return "" if plan.state else f"row {plan.remote.row_id}: becomes a race"
    state = plan.state or sync_state.new_state(race.pk, plan.remote.row_id)
    merged = plan_merge(state, race, plan.remote, now=now)
    undone = [clash.field for clash in merged.clashes if clash.field not in merged.take]
    parts = (("take", merged.take), ("keep ours and log", undone))
    words = [f"{verb} {', '.join(fields)}" for verb, fields in parts if fields]
    return f"row {plan.remote.row_id} ({race}): {'; '.join(words or ['nothing to take'])}"


class Inbound:
    """Brings rows in, each in a transaction of its own, and counts them."""

    def __init__(self, tally: Tally, *, now: datetime) -> None:
        self._tally, self._now = tally, now

    def bring_in(self, row: Row, known: SyncState | None = None) -> bool:
        """Whether the row became what both sides agree on. `known` is its state, as it stood before the row was read.

        What is wrong with a row must not stop the page. A busy database must, or the row were lost: Unavailable.
        """
        self._tally.changed += is_addressable(row["$id"])
        try:
            try:
                return self._carry_out(row, known)
            except IntegrityError:
                # Another pull has created its race meanwhile: now it is known.
                return self._carry_out(row, known)
        except (InterfaceError, OperationalError) as error:
            raise Unavailable(f"the database was busy: {error}") from error
        except Exception as error:  # noqa: BLE001 - one bad row must not stop the others
            self._tally.unreadable += 1
            self._note_failure(row, error)
        return False

    def _carry_out(self, row: Row, known: SyncState | None) -> bool:
        try:
            with transaction.atomic():
                plan = plan_row(row, known, now=self._now)
                state = plan.state
                race_id = state.local_pk if state else adoption.adopt(plan.remote, plan.race, now=self._now)
                based_on = known.base_updated_at if known else None
                reconciled = reconcile(InboundRow(race_id, plan.remote, based_on), now=self._now)
        except Unfit as unfit:
            if isinstance(unfit, SecondRow):
                self._tally.conflicts += adoption.log_second_row(unfit, row["$id"], now=self._now)
            self._tally.unmatched += 1
            unmatched_rows.note(row, str(unfit), now=self._now)
            return False
        if state is None:
            unmatched_rows.forget(row["$id"])
        self._tally.taken += reconciled.taken or state is None
        self._tally.conflicts += reconciled.conflicts
        return reconciled.merged

    def _note_failure(self, row: Row, error: Exception) -> None:
        """Says once what is wrong with a row, and keeps it on its state, or as an unmatched row."""
        unexpected = None if isinstance(error, ValueError) else error
        words = error_text(error)
        known = sync_state.states().filter(remote_id=row["$id"]).first()
        if known is None:
            unmatched_rows.note(row, words if unexpected else str(error), now=self._now, error=unexpected)
        elif known.error != words:
            logger.warning("row %s in Appwrite cannot be merged: %s", row["$id"], words, exc_info=unexpected)
            sync_state.states().filter(pk=known.pk).update(error=words)
