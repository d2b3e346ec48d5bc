"""Rows met in Appwrite, brought into Django one by one."""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, InterfaceError, OperationalError, transaction

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.rows import Row, is_addressable
from polling.appwrite.mapping import Remote
from polling.appwrite.pull import adoption, unmatched_rows
from polling.appwrite.pull.adoption import SecondRow, Unfit
from polling.appwrite.reconcile import Met, Settled, planned, settle
from polling.errors import PollingError, Unavailable, error_text
from polling.models import SyncState
from races.models import Race

logger = logging.getLogger(__name__)

BULK_ALONE = "its id is one that Appwrite takes in bulk alone"


@dataclass
class Tally:
    """What became of rows. `left` are of no race and cannot become one, `unreadable` could not be merged.

    Nothing is raised: `error` says why it ended early, and the next one begins where it ended.
    """

    changed: int = 0
    taken: int = 0
    conflicts: int = 0
    left: int = 0
    unreadable: int = 0
    error: PollingError | None = None


class Arrivals:
    """Brings rows in, each in a transaction of its own, and counts them."""

    def __init__(self, tally: Tally, *, now: datetime) -> None:
        self._tally, self._now = tally, now

    def meet(self, row: Row, *, known: SyncState | None = None) -> bool:
        """Whether the row became what both sides agree on. `known` is its state, as it stood before the row was read.

        What is wrong with a row must not stop the page. A database in trouble must, or the row were lost.
        """
        self._tally.changed += 1
        try:
            return self._met(row, known)
        except (InterfaceError, OperationalError) as error:
            raise Unavailable(f"the database was busy: {error}") from error
        except Exception as error:  # noqa: BLE001 - one bad row must not stop the others
            self._tally.unreadable += 1
            self._blame(row, error)
        return False

    def refuse(self, row: Row) -> None:
        """A row that no call for a single one can name."""
        self._tally.left += 1
        unmatched_rows.note(row, BULK_ALONE, now=self._now)

    def _met(self, row: Row, known: SyncState | None) -> bool:
        try:
            return self._bring(row, known)
        except IntegrityError:
            # Another pull has made its race meanwhile: now it is known.
            return self._bring(row, known)

    def _bring(self, row: Row, known: SyncState | None) -> bool:
        remote = mapping.read(row)
        if known:
            settled = settle(Met(known.local_pk, remote, based_on=known.base_updated_at), now=self._now)
        elif state := sync_state.states().filter(remote_id=remote.row_id).first():
            settled = settle(Met(state.local_pk, remote), now=self._now)
        else:
            settled = self._adopt(row, remote)
        self._tally.taken += settled.taken
        self._tally.conflicts += settled.conflicts
        return settled.merged

    def _adopt(self, row: Row, remote: Remote) -> Settled:
        remote.need_readable()
        try:
            with transaction.atomic():
                race_id = adoption.race_of(remote, now=self._now)
                settled = settle(Met(race_id, remote), now=self._now)
        except Unfit as unfit:
            self._tally.left += 1
            if isinstance(unfit, SecondRow):
                self._tally.conflicts += adoption.log_second(unfit, remote, now=self._now)
            unmatched_rows.note(row, str(unfit), now=self._now)
            return Settled()
        unmatched_rows.forget(remote.row_id)
        return Settled(True, settled.conflicts, settled.left, settled.merged)

    def _blame(self, row: Row, error: Exception) -> None:
        """Says once what is wrong with a row, and keeps it on its state, or as a stray."""
        unexpected = None if isinstance(error, ValueError) else error
        words = error_text(error)
        known = sync_state.states().filter(remote_id=row["$id"]).first()
        if known is None:
            unmatched_rows.note(row, words if unexpected else str(error), now=self._now, error=unexpected)
        elif known.error != words:
            logger.warning("row %s in Appwrite cannot be merged: %s", row["$id"], words, exc_info=unexpected)
            sync_state.states().filter(pk=known.pk).update(error=words)


# --- in words, for a dry run ------------------------------------------------------------------------------------------


def foresee(row: Row, *, now: datetime, known: SyncState | None = None) -> str:
    """What meeting the row would do, in words; nothing where it would do nothing. Changes nothing."""
    try:
        if not is_addressable(row["$id"]):
            raise Unfit(BULK_ALONE)
        remote = mapping.read(row)
        return _foreseen(remote, known or sync_state.states().filter(remote_id=remote.row_id).first(), now=now)
    except ValueError as error:
        return f"row {unmatched_rows.key_of(row['$id'])}: stays out: {error}"


def _foreseen(remote: Remote, state: SyncState | None, *, now: datetime) -> str:
    if state is None:
        remote.need_readable()
    race = Race.objects.filter(pk=state.local_pk).first() if state else adoption.match(remote, now=now)
    if race is None:
        return "" if state else f"row {remote.row_id}: becomes a race"
    plan = planned(state or sync_state.new_state(race.pk, remote.row_id), race, Met(race.pk, remote), now=now)
    undone = [clash.field for clash in plan.clashes if clash.field not in plan.take]
    parts = (("take", plan.take), ("keep ours and log", undone))
    words = [f"{verb} {', '.join(fields)}" for verb, fields in parts if fields]
    return f"row {remote.row_id} ({race}): {'; '.join(words or ['nothing to take'])}"
