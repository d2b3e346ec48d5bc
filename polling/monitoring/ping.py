"""The dead man's switch: an outside monitor is told every minute that ticks come, and cries when it is not."""

import http.client
import logging
import threading
import urllib.request
from datetime import datetime

from django.conf import settings

from polling.models import Heartbeat
from polling.monitoring import heartbeat

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0  # in all, the name's lookup too: the worker that waits polls nothing meanwhile


def tell(*, now: datetime) -> None:
    """GETs the monitor's URL while ticks come, and on time; where they do not, or none ever came, it misses us.

    A monitor that cannot be reached is reported when that begins and when it ends.
    """
    if heartbeat.alert_if_overdue(now=now) or not settings.MONITOR_PING_URL:
        return
    last = heartbeat.last()
    if last is None or last.late_since:
        return
    error = _ping(settings.MONITOR_PING_URL)
    row = Heartbeat.objects.filter(pk=1)
    if error and row.filter(unheard_since__isnull=True).update(unheard_since=now):
        logger.warning("the monitor could not be told that ticks come: %s", error)
    if not error and last.unheard_since and row.filter(unheard_since=last.unheard_since).update(unheard_since=None):
        logger.warning("the monitor can be told again, after %s", now - last.unheard_since)


def _ping(url: str) -> str:
    """GETs the URL in a thread, because no timeout of a socket bounds the whole; the error's class, or nothing."""
    errors: list[str] = []

    def get() -> None:
        try:
            # The scheme was checked by the settings; the URL is a secret and stays out of the log.
            urllib.request.urlopen(url, timeout=PATIENCE_SECONDS).close()  # noqa: S310
        except (OSError, http.client.HTTPException, ValueError) as error:
            errors.append(type(error).__name__)

    thread = threading.Thread(target=get, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return "no answer in time" if thread.is_alive() else "".join(errors)
