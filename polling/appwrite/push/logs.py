"""One push of poll logs: append-only, in hundreds; APPWRITE_POLL_LOGS says which."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import QuerySet

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import MOST_ROWS, Row, Rows
from polling.appwrite.lease import Lease
from polling.appwrite.push.race_push import row_id_of
from polling.appwrite.schema.table_faults import DIAGNOSIS_SECONDS, TableRefusals
from polling.appwrite.server_probe import try_canary
from polling.errors import Conflict, PollingError
from polling.models import PollLog, PollLogPush

logger = logging.getLogger(__name__)

TABLE = "poll_logs"
# Logs are committed some seconds after the instant they carry; what is older than this has been looked at.
LATE_COMMITS = timedelta(minutes=5)
MOVES_EVERY = timedelta(minutes=1)
CLEARS_EVERY = timedelta(days=1)


def progress() -> PollLogPush:
    """How far the push of logs to the configured Appwrite has got; made when first asked for."""
    return PollLogPush.objects.get_or_create(target=settings.APPWRITE_TARGET)[0]


def looked_to() -> datetime | None:
    """Up to which instant finished logs have been looked through for the configured Appwrite; None at first."""
    found = PollLogPush.objects.filter(target=settings.APPWRITE_TARGET)
    return found.values_list("looked_to", flat=True).first()


def unsent(looked_to: datetime | None) -> QuerySet[PollLog]:
    """Finished logs that are for Appwrite and not sent yet; those before `looked_to` have been looked through."""
    if settings.APPWRITE_POLL_LOGS == "none":
        return PollLog.objects.none()
    logs = PollLog.objects.filter(pushed_at=None, finished_at__isnull=False)
    if looked_to:
        logs = logs.filter(finished_at__gte=looked_to - LATE_COMMITS)
    if settings.APPWRITE_POLL_LOGS == "errors":
        logs = logs.filter(starts_incident=True)
    return logs.order_by("finished_at")


class LogPush:
    """Pushes finished logs while the lease is held, and once a day deletes rows older than Django keeps its logs.

    How far logs have been looked through is kept, so that those which are not for Appwrite are not read again and
    again.
    """

    def __init__(self, rows: Rows, lease: Lease) -> None:
        self._rows, self._lease = rows, lease
        patient = rows.extended_by(DIAGNOSIS_SECONDS)
        self._refusals = TableRefusals(patient, partial(try_canary, patient))
        self._said: set[str] = set()
        self._progress = progress()
        self.sent = 0

    def has_more(self) -> bool:
        """Whether a log is to be sent, or old rows to go; if none is, the next search may begin here."""
        if settings.APPWRITE_POLL_LOGS == "none":  # `looked_to` does not move: they may be wanted later
            return self._is_to_clear()
        if self._wanted().exists() or self._is_to_clear():
            return True
        since, now = self._progress.looked_to, self._lease.now()
        if since is None or now - since > MOVES_EVERY:
            # Not where a sweep has found lost logs meanwhile, which lie further back.
            PollLogPush.objects.filter(pk=self._progress.pk, looked_to=since).update(looked_to=now)
            self._progress.refresh_from_db(fields=["looked_to"])
        return False

    def _wanted(self) -> QuerySet[PollLog]:
        return unsent(self._progress.looked_to)

    def _is_to_clear(self) -> bool:
        """Whether a day has passed; a table that is new has nothing old."""
        if self._progress.cleared_at is None:
            self._cleared()
        return self._lease.now() - (self._progress.cleared_at or self._lease.now()) > CLEARS_EVERY

    def _cleared(self) -> None:
        self._progress.cleared_at = self._lease.now()
        self._progress.save(update_fields=["cleared_at"])

    def _clear(self) -> bool:
        """Deletes old rows by their ids; whether there may be more."""
        old = self._rows.ids_older_than(
            "slot_at", mapping.instant(self._lease.now() - settings.RETENTION["POLL_LOGS"]) or ""
        )
        if old:
            self._rows.delete_many(old)
        if len(old) < MOST_ROWS:
            self._cleared()
        return len(old) == MOST_ROWS

    def step(self) -> bool:
        """One batch; whether it was a full one."""
        logs = list(self._wanted().select_related("race")[:MOST_ROWS])
        known = {
            state.local_pk: state for state in sync_state.states().filter(local_pk__in={log.race_id for log in logs})
        }
        self._create(
            [(log, mapping.log_document(log, race_row=row_id_of(log.race, known.get(log.race_id)))) for log in logs]
        )
        return len(logs) == MOST_ROWS or (self._is_to_clear() and self._clear())

    def _create(self, batch: Sequence[tuple[PollLog, Row]]) -> None:
        if not batch:
            return
        try:
            self._rows.create([document for _, document in batch])
        except Conflict as error:
            self._skip_those_there(batch, error)
        except InvalidRequest as error:
            self._halve(batch, error)
        else:
            self._done([log for log, _ in batch])

    def _skip_those_there(self, batch: Sequence[tuple[PollLog, Row]], error: Conflict) -> None:
        """A log never changes: one that is there was sent by us, and its answer was lost."""
        there = self._rows.by_id([document["$id"] for _, document in batch])
        if not there:
            self._halve(batch, error)
            return
        self._done([log for log, document in batch if document["$id"] in there])
        self._create([pair for pair in batch if pair[1]["$id"] not in there])

    def _halve(self, batch: Sequence[tuple[PollLog, Row]], error: PollingError) -> None:
        fault = self._refusals.behind(error) if isinstance(error, InvalidRequest) else None
        if fault:
            raise fault
        if len(batch) == 1:
            # A log is a record of the past: it will not become fit, and is done with.
            level = logging.DEBUG if str(error) in self._said else logging.ERROR
            self._said.add(str(error))
            logger.log(level, "poll log %s is not taken by Appwrite: %s", batch[0][0].pk, error)
            self._mark([batch[0][0]])
            return
        middle = len(batch) // 2
        self._create(batch[:middle])
        self._create(batch[middle:])

    def _done(self, logs: Sequence[PollLog]) -> None:
        self._mark(logs)
        self.sent += len(logs)

    def _mark(self, logs: Sequence[PollLog]) -> None:
        PollLog.objects.filter(pk__in=[log.pk for log in logs]).update(pushed_at=self._lease.now())
