"""One problem is one message: what pull, push, sweep and probe find at the same time is logged by the first of them."""

from django.conf import settings
from django.db.models import Q

from polling.errors import Blocked
from polling.models import SyncCheckpoint, SyncServer, SyncState


def is_known(words: str) -> bool:
    """Whether this very error is kept already: by a pass over a table, by rows that wait, or by the probe."""
    ours = {"target": settings.APPWRITE_TARGET}
    passes = SyncCheckpoint.objects.filter(Q(error=words) | Q(sweep_error=words), **ours)
    waiting = SyncState.objects.filter(**ours, attempts__gt=0, dead_since=None, error=words)
    return passes.exists() or waiting.exists() or SyncServer.objects.filter(**ours, problem=words).exists()


def is_news(error: Exception, words: str, *, before: str) -> bool:
    """Whether an error is news after the words `before`; what a person must correct is news amid any other."""
    return not before or (isinstance(error, Blocked) and words != before)
