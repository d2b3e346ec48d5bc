"""What changed in Appwrite, brought into Django."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import OperationalError

from polling.appwrite import mapping, states
from polling.appwrite.checkpoints import checkpoint_of, note
from polling.appwrite.client import connect
from polling.appwrite.mapping import Remote
from polling.appwrite.rows import MOST_ROWS, Place, Row, Rows, batches
from polling.appwrite.settling import Met, settle
from polling.errors import PollingError, Unavailable
from polling.models import SyncCheckpoint
from races.models import Race

logger = logging.getLogger(__name__)

# With the push's, within the timeout of a task.
BUDGET = timedelta(seconds=4)
# `$updatedAt` is taken before the row's lock and its commit, so a row can appear behind what was read already.
OVERLAP = timedelta(seconds=20)
# A key may stamp a row with any instant: one from the future must not carry the checkpoint along.
MOST_AHEAD = timedelta(minutes=1)
SECONDS_A_PAGE = 1.0


@dataclass
class Pulled:
    """What a pull found, in rows. `left` are races that Django does not know, `unreadable` could not be merged.

    Nothing is raised: `trouble` says why it ended early, and the next pull begins where it ended.
    """

    changed: int = 0
    taken: int = 0
    conflicts: int = 0
    left: int = 0
    unreadable: int = 0
    configured: bool = True
    trouble: PollingError | None = None


def run(*, now: datetime, budget: timedelta = BUDGET) -> Pulled:
    """Reads what changed since the last pull and merges it; nothing changed costs one read and no write."""
    pulled = Pulled()
    deadline = time.monotonic() + budget.total_seconds()
    checkpoint = None
    try:
        client = connect()
        if client is None:
            return Pulled(configured=False)
        checkpoint = checkpoint_of(states.TABLE)
        _Pull(Rows(client, states.TABLE, deadline=deadline), checkpoint, pulled, now=now).all_pages()
    except PollingError as error:
        pulled.trouble = error
    if checkpoint:
        note(checkpoint, "the pull from Appwrite", pulled.trouble)
    return pulled


def hinted(ids: Sequence[str], *, now: datetime, budget: timedelta = BUDGET) -> Pulled:
    """Looks at the rows of these ids that exist; the checkpoint stays where it is."""
    pulled = Pulled()
    try:
        client = connect()
        if client is None:
            return Pulled(configured=False)
        rows = Rows(client, states.TABLE, deadline=time.monotonic() + budget.total_seconds())
        pull = _Pull(rows, checkpoint_of(states.TABLE), pulled, now=now)
        for row in rows.by_id(ids).values():
            pull._meet(row)
    except PollingError as error:
        pulled.trouble = error
    return pulled


class _Pull:
    """One pull, page by page from the checkpoint."""

    def __init__(self, rows: Rows, checkpoint: SyncCheckpoint, pulled: Pulled, *, now: datetime) -> None:
        self._rows, self._checkpoint, self._pulled, self._now = rows, checkpoint, pulled, now

    def all_pages(self) -> None:
        place: Place | None = _overlapped(self._checkpoint)
        while place is not None and self._rows.has_time(SECONDS_A_PAGE):
            page = self._rows.changed(place)
            # In hundreds, so that no transaction holds the database for long; an empty page is applied too.
            for some in list(batches(page.rows, MOST_ROWS)) or [[]]:
                self._apply(some, told_at=page.told_at)
            place = None if page.is_last else _place(page.rows[-1])

    def _apply(self, listed: Sequence[Row], *, told_at: datetime | None) -> None:
        """The rows, fetched whole, each in a transaction of its own; then the checkpoint.

        A row met twice changes nothing, so one that is committed before a kill costs only another look. One
        transaction for all would hold locks of many races, in another order than the pollers take them.
        """
        for row in self._rows.by_id(_unmet(listed)).values():
            self._meet(row)
        self._move(listed, told_at=told_at or self._now)

    def _move(self, listed: Sequence[Row], *, told_at: datetime) -> None:
        """The checkpoint never moves back, nor past the server's own clock."""
        checkpoint, limit = self._checkpoint, _text(told_at + MOST_AHEAD)
        seen = [place for row in listed if (place := _place(row)).updated_at <= limit]
        reached = max([self._reached, *seen])
        checkpoint.updated_at, checkpoint.row_id = reached.updated_at, reached.row_id
        checkpoint.pulled_at = self._now
        checkpoint.save(update_fields=["updated_at", "row_id", "pulled_at"])

    def _meet(self, row: Row) -> None:
        """One row: what is wrong with it must not stop the page. A database in trouble must, or the row were lost."""
        self._pulled.changed += 1
        try:
            self._merge(mapping.read(row))
        except OperationalError as error:
            raise Unavailable(f"the database was busy: {error}") from error
        except Exception as error:  # noqa: BLE001 - one bad row must not stop the others
            self._pulled.unreadable += 1
            self._blame(row, error)

    def _merge(self, remote: Remote) -> None:
        race_id = _race_of(remote)
        if race_id is None:
            self._pulled.left += 1
            if Place(remote.updated_at, remote.row_id) > self._reached:
                logger.info("row %s in Appwrite is of no race that we know; it is left alone", remote.row_id)
            return
        settled = settle(Met(race_id, remote), now=self._now)
        self._pulled.taken += settled.taken
        self._pulled.conflicts += settled.conflicts

    def _blame(self, row: Row, error: Exception) -> None:
        """Says once what is wrong with a row, and keeps it on the row's state, if it has one."""
        words = f"{type(error).__name__}: {error}"[:500]
        known = states.states().filter(remote_id=row["$id"]).first()
        if known.error != words if known else _place(row) > self._reached:
            unexpected = not isinstance(error, ValueError)
            logger.warning("row %s in Appwrite cannot be merged: %s", row["$id"], words, exc_info=unexpected)
        if known:
            states.states().filter(pk=known.pk).update(error=words)

    @property
    def _reached(self) -> Place:
        return Place(self._checkpoint.updated_at, self._checkpoint.row_id)


def _overlapped(checkpoint: SyncCheckpoint) -> Place:
    """Where to begin: behind the checkpoint, because of rows that were committed late; from nothing at first."""
    if not checkpoint.updated_at:
        return Place()
    return Place(_text(datetime.fromisoformat(checkpoint.updated_at) - OVERLAP))


def _text(moment: datetime) -> str:
    return mapping.instant(moment) or ""


def _place(row: Row) -> Place:
    return Place(str(row.get("$updatedAt") or ""), row["$id"])


def _unmet(listed: Sequence[Row]) -> list[str]:
    """The ids of rows that changed since we last agreed on them: no echo of our own, none met already."""
    bases = dict(
        states.states().filter(remote_id__in=[row["$id"] for row in listed]).values_list("remote_id", "base_updated_at")
    )
    return [row["$id"] for row in listed if _place(row).updated_at > bases.get(row["$id"], "")]


def _race_of(remote: Remote) -> int | None:
    """The race of a row: by its state, or for a row made in Appwrite by the provider's id, if it has no row yet."""
    known = states.states().filter(remote_id=remote.row_id).values_list("local_pk", flat=True).first()
    provider, race_id = remote.values["provider"], remote.values["provider_race_id"]
    if known is not None or not (provider and race_id):
        return known
    race = Race.objects.filter(provider=provider, provider_race_id=race_id).only("pk").first()
    if race is None or states.states().filter(local_pk=race.pk).exclude(base_updated_at="").exists():
        return None
    return race.pk
