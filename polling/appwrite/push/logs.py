"""The push of poll logs: append-only, in hundreds; APPWRITE_POLL_LOGS says which."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import QuerySet

from polling.appwrite import mapping
from polling.appwrite.api.rows import MOST_ROWS, Rows
from polling.appwrite.lease import Lease
from polling.appwrite.push.bulk_create import create_rows
from polling.appwrite.push.race_push import pushes_of
from polling.appwrite.schema.table_faults import DIAGNOSIS_SECONDS, TableRefusals, TableRefuses
from polling.appwrite.server_probe import try_canary
from polling.errors import PollingError
from polling.models import PollLog, PollLogPush

logger = logging.getLogger(__name__)

TABLE = "poll_logs"
# Logs are committed some seconds after the instant they carry; what is older than this has been looked at.
LATE_COMMITS = timedelta(minutes=5)
MOVES_EVERY = timedelta(minutes=1)
CLEARS_EVERY = timedelta(days=1)


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


class UnsentLogs:
    """Pushes finished logs while the lease is held, and once a day deletes rows older than Django keeps its logs.

    How far logs have been looked through is kept, so that those which are not for Appwrite are not read again and
    again.
    """

    def __init__(self, rows: Rows, lease: Lease) -> None:
        self._rows, self._lease = rows, lease
        patient = rows.extended_by(DIAGNOSIS_SECONDS)
        self._refusals = TableRefusals(patient, partial(try_canary, patient))
        self._logged: set[str] = set()
        new = {"cleared_at": lease.now()}  # a table that is new has nothing old
        self._progress, _ = PollLogPush.objects.get_or_create(target=settings.APPWRITE_TARGET, defaults=new)
        self.sent = 0

    def has_more(self) -> bool:
        """Whether a log is to be sent, or old rows to go; if none is, the next search may begin here."""
        if settings.APPWRITE_POLL_LOGS == "none":  # `looked_to` does not move: they may be wanted later
            return self._must_clear()
        if unsent(self._progress.looked_to).exists() or self._must_clear():
            return True
        since, now = self._progress.looked_to, self._lease.now()
        if since is None or now - since > MOVES_EVERY:
            # Not where a sweep has found lost logs meanwhile, which lie further back.
            PollLogPush.objects.filter(pk=self._progress.pk, looked_to=since).update(looked_to=now)
            self._progress.refresh_from_db(fields=["looked_to"])
        return False

    def step(self) -> bool:
        """Sends a batch; whether there may be more to do. Raises the PollingError that stops the push."""
        logs = list(unsent(self._progress.looked_to).select_related("race")[:MOST_ROWS])
        races = pushes_of(log.race for log in logs)
        documents = {
            log: mapping.log_document(log, race_row=race.row_id) for log, race in zip(logs, races, strict=True)
        }
        fault: TableRefuses | None = None
        for part in create_rows(documents, self._rows, self._refusals):
            # A log never changes: one that is there was sent by us, and its answer was lost.
            sent = [log for log, _ in (*part.created, *part.existed)]
            self._mark_pushed(sent)
            self.sent += len(sent)
            for log, error in part.failed:
                if isinstance(error, TableRefuses):  # the others may be fit, and go
                    fault = fault or error
                else:
                    self._give_up(log, error)
        if fault:
            raise fault
        return len(logs) == MOST_ROWS or (self._must_clear() and self._clear_old_rows())

    def _give_up(self, log: PollLog, error: PollingError) -> None:
        """A log is a record of the past: it will not become fit, and is done with."""
        level = logging.DEBUG if str(error) in self._logged else logging.ERROR
        self._logged.add(str(error))
        logger.log(level, "poll log %s is not taken by Appwrite: %s", log.pk, error)
        self._mark_pushed([log])

    def _mark_pushed(self, logs: Sequence[PollLog]) -> None:
        PollLog.objects.filter(pk__in=[log.pk for log in logs]).update(pushed_at=self._lease.now())

    def _must_clear(self) -> bool:
        """Whether a day has passed since old rows were last deleted."""
        now = self._lease.now()
        return now - (self._progress.cleared_at or now) > CLEARS_EVERY

    def _clear_old_rows(self) -> bool:
        """Deletes old rows by their ids; whether there may be more."""
        kept_from = mapping.instant(self._lease.now() - settings.RETENTION["POLL_LOGS"]) or ""
        old = self._rows.ids_older_than("slot_at", kept_from)
        if old:
            self._rows.delete_many(old)
        if len(old) < MOST_ROWS:
            self._progress.cleared_at = self._lease.now()
            self._progress.save(update_fields=["cleared_at"])
        return len(old) == MOST_ROWS
