"""The pass over the poll logs in Appwrite: what was sent and is not there any more is sent again.

Logs are append-only and ours alone, so only their presence is compared, by ranges of their ids: a thousand logs cost
one read. Their ids are random, so a table that was emptied or recreated shows in the first range already; then the
pass goes on to the end. Otherwise one run looks at a few ranges and the next one goes on from there.
"""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Min, QuerySet

from polling.appwrite import checkpoints
from polling.appwrite.api.rows import Rows, batches
from polling.appwrite.push import logs as push_logs
from polling.models import PollLog, PollLogPush

logger = logging.getLogger(__name__)

RANGE = 1000
RANGES_A_RUN = 5
SECONDS_A_RANGE = 2.0
MOST_KEYS = 500  # in one statement
# Rows about to leave by age may have gone from Appwrite before they go here.
MARGIN = timedelta(hours=2)
FEW = 20


def run(rows: Rows, *, now: datetime) -> int:
    """Has logs sent again that Appwrite has lost; returns how many. Resumable, within the deadline of `rows`.

    Raises the PollingError of a range that could not be read.
    """
    if settings.APPWRITE_POLL_LOGS == "none":
        return 0
    after, found, looked_at = checkpoints.begin_sweep(push_logs.TABLE, now=now)[0], 0, 0
    while rows.has_time(SECONDS_A_RANGE) and (looked_at < RANGES_A_RUN or found):
        ids = _sent_behind(after, now=now)
        missing = {row_id.hex for row_id in ids} - rows.ids_between(after, ids[-1].hex) if ids else set()
        found += _send_again(missing)
        looked_at += 1
        if len(ids) < RANGE:
            checkpoints.end_sweep(push_logs.TABLE, now=now)
            break
        after = ids[-1].hex
        checkpoints.keep(push_logs.TABLE, sweep_after_id=after)
    if found:
        checkpoints.count(push_logs.TABLE, repairs=found)
        level = logging.WARNING if found > FEW else logging.INFO
        logger.log(level, "%d poll logs were gone from Appwrite and are sent again", found)
    return found


def _sent_behind(after: str, *, now: datetime) -> list[UUID]:
    """The next range of logs that Appwrite must have, by their ids."""
    sent = PollLog.objects.filter(pushed_at__isnull=False, slot_at__gt=now - settings.RETENTION["POLL_LOGS"] + MARGIN)
    if settings.APPWRITE_POLL_LOGS == "errors":
        sent = sent.filter(starts_incident=True)
    behind = sent.filter(public_id__gt=after) if after else sent
    return list(behind.order_by("public_id").values_list("public_id", flat=True)[:RANGE])


def _send_again(missing: Collection[str]) -> int:
    """Marks logs as not sent and lets the push look so far back; returns how many there were."""
    found = 0
    for some in batches(sorted(missing), MOST_KEYS):
        with transaction.atomic():
            logs: QuerySet[PollLog] = PollLog.objects.filter(public_id__in=some, pushed_at__isnull=False)
            earliest = logs.aggregate(earliest=Min("finished_at"))["earliest"]
            found += logs.update(pushed_at=None)
            pushes = PollLogPush.objects.filter(target=settings.APPWRITE_TARGET)
            pushes.filter(looked_to__gt=earliest).update(looked_to=earliest)
    return found
