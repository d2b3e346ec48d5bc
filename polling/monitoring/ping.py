"""The ping to an outside monitor, once a minute while ticks come: it raises the alarm when the ping stays away."""

import http.client
import logging
import threading
import urllib.request
from datetime import datetime

from django.conf import settings

from polling.models import Heartbeat
from polling.monitoring import heartbeat

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3.0  # in all, the name's lookup too: the worker that waits polls nothing meanwhile


def ping_monitor(*, now: datetime) -> None:
    """GETs MONITOR_PING_URL while ticks come, and come on time; sends nothing otherwise, nor where none ever came.

    A monitor that cannot be reached is reported when that begins and when it ends.
    """
    if heartbeat.alert_if_overdue(now=now) or not settings.MONITOR_PING_URL:
        return
    last = heartbeat.last()
    if last is None or last.late_since:
        return
    error = _error_of_get(settings.MONITOR_PING_URL)
    row = Heartbeat.objects.filter(pk=1)
    since = last.monitor_unreachable_since
    if error and row.filter(monitor_unreachable_since__isnull=True).update(monitor_unreachable_since=now):
        logger.warning("the outside monitor cannot be reached: %s", error)
    if not error and since and row.filter(monitor_unreachable_since=since).update(monitor_unreachable_since=None):
        logger.warning("the outside monitor can be reached again, after %s", now - since)


def _error_of_get(url: str) -> str:
    """The class of the error of a GET, empty if it was answered.

    In a thread, because no timeout of a socket bounds the whole.
    """
    errors: list[str] = []

    def get() -> None:
        try:
            # The scheme was checked by the settings; the URL is a secret and stays out of the log.
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS).close()  # noqa: S310
        except (OSError, http.client.HTTPException, ValueError) as error:
            errors.append(type(error).__name__)

    thread = threading.Thread(target=get, daemon=True)
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    return "no answer in time" if thread.is_alive() else "".join(errors)
