"""The watch over Appwrite's webhook, which Appwrite switches off after ten calls that failed."""

import logging
from datetime import datetime

from django.conf import settings

from polling.appwrite.api.client import SyncClient, connect
from polling.appwrite.schema import webhook_subscription
from polling.errors import Blocked, PollingError
from polling.models import SyncServer

logger = logging.getLogger(__name__)


def run(*, now: datetime) -> None:
    """Enables a disabled webhook, or logs once, at ERROR, that staff must. Without a webhook there is nothing to do."""
    try:
        client = connect() if settings.APPWRITE_WEBHOOK_SECRET else None
        if client is None:
            return
        enabled, problem = _check_and_enable(client)
    except PollingError as error:
        logger.debug("the webhook cannot be looked at: %s", error)  # the pull logs loudly what is wrong
        return
    server, _ = SyncServer.objects.get_or_create(target=settings.APPWRITE_TARGET)
    if problem and not server.webhook_problem:
        logger.log(logging.WARNING if enabled else logging.ERROR, "%s", problem)
    if server.webhook_problem and not problem:
        logger.info("Appwrite's webhook works again")
    server.webhook_enabled, server.webhook_problem, server.webhook_checked_at = enabled, problem, now
    server.save(update_fields=["webhook_enabled", "webhook_problem", "webhook_checked_at"])


def _check_and_enable(client: SyncClient) -> tuple[bool | None, str]:
    """Whether the webhook is enabled now, and what is wrong; None where there is none, or it is not shown to us."""
    try:
        entry = webhook_subscription.found(client)
    except Blocked as error:
        if not webhook_subscription.is_hidden(error):
            raise
        entry = None
    if entry is None or entry.get("enabled", True):
        return (True if entry else None), ""
    why = f"Appwrite has disabled its webhook after failed calls: {entry.get('logs') or 'it does not say why'}"[:250]
    try:
        webhook_subscription.enable(client, entry)
    except Blocked as error:
        return False, f"{why}; enable it in the console: {error}"[:500]
    # A problem until the next look: where that finds it disabled again, its calls go on failing.
    return True, f"{why}; it was enabled again"
