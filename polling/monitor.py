"""The dead man's switch: an outside monitor is told every minute that ticks come, and cries when it is not."""

import http.client
import logging
import urllib.request
from datetime import datetime

from django.conf import settings

from polling import pulse

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 5


def tell(*, now: datetime) -> None:
    """GETs the monitor's URL while ticks come on time; where they are overdue, or none ever came, it misses us."""
    if pulse.alert_if_overdue(now=now) or pulse.last() is None or not settings.MONITOR_PING_URL:
        return
    try:
        # The scheme was checked by the settings; the URL is a secret and stays out of the log.
        urllib.request.urlopen(settings.MONITOR_PING_URL, timeout=PATIENCE_SECONDS).close()  # noqa: S310
    except (OSError, http.client.HTTPException, ValueError) as error:
        logger.warning("the monitor could not be told that ticks come: %s", type(error).__name__)
