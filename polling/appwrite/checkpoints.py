"""How far the work on a table has got, and whether it is in trouble."""

import logging

from django.conf import settings

from polling.errors import Blocked, PollingError
from polling.models import SyncCheckpoint

logger = logging.getLogger(__name__)


def checkpoint_of(table: str) -> SyncCheckpoint:
    """The table's checkpoint for the configured Appwrite; made when first asked for."""
    return SyncCheckpoint.objects.get_or_create(target=settings.APPWRITE_TARGET, table=table)[0]


def note(checkpoint: SyncCheckpoint, what: str, error: PollingError | None) -> None:
    """Keeps how it stands and logs the edges: when it begins to fail, and when it works again."""
    words = f"{type(error).__name__}: {error}"[:500] if error else ""
    if words and not checkpoint.error:
        logger.log(level_of(error), "%s fails: %s", what, words)
    if checkpoint.error and not words:
        logger.info("%s works again", what)
    if words != checkpoint.error:
        checkpoint.error = words
        checkpoint.save(update_fields=["error"])


def level_of(error: Exception | None) -> int:
    """What a person must mend is an error, what may pass a warning."""
    return logging.ERROR if isinstance(error, Blocked) else logging.WARNING


def release(table: str) -> None:
    """TEMPORARY until the sweep lands."""
    SyncCheckpoint.objects.filter(target=settings.APPWRITE_TARGET, table=table).update(brake="")
