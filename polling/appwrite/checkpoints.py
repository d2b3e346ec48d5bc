"""How far the work on a table has got, and whether it is in trouble."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, QuerySet

from polling.appwrite.api.errors import lasting_foreign_answer
from polling.appwrite.api.rows import ListPosition
from polling.appwrite.known_problems import is_known, is_news
from polling.errors import Blocked, PollingError, Unavailable, words_of
from polling.models import SyncCheckpoint

logger = logging.getLogger(__name__)

# For so long a proxy may answer for an Appwrite that is being restarted or upgraded.
RESTART_WITHIN = timedelta(minutes=5)


def checkpoint_of(table: str) -> SyncCheckpoint:
    """The table's checkpoint for the configured Appwrite; made when first asked for."""
    return SyncCheckpoint.objects.get_or_create(target=settings.APPWRITE_TARGET, table=table)[0]


def existing(table: str) -> SyncCheckpoint | None:
    """The same, where there is one."""
    return _of(table).first()


def note(checkpoint: SyncCheckpoint, what: str, error: PollingError | None, *, now: datetime) -> None:
    """Keeps how it stands and logs the edges: when it begins to fail, and when it works again."""
    since = (checkpoint.failing_since or now) if error else None
    if isinstance(error, Unavailable) and error.foreign and since and now - since >= RESTART_WITHIN:
        error = lasting_foreign_answer(error)
    words = words_of(error) if error else ""
    if error and is_news(error, words, before=checkpoint.error):
        level = logging.DEBUG if is_known(words, besides=checkpoint) else level_of(error)
        logger.log(level, "%s fails: %s", what, words)
    if checkpoint.error and not words:
        logger.info("%s works again", what)
    if (words, since) != (checkpoint.error, checkpoint.failing_since):
        checkpoint.error, checkpoint.failing_since = words, since
        checkpoint.save(update_fields=["error", "failing_since"])


def level_of(error: Exception | None) -> int:
    """What a person must mend is an error, what may pass a warning."""
    return logging.ERROR if isinstance(error, Blocked) else logging.WARNING


# --- the pull ---------------------------------------------------------------------------------------------------------


def move(checkpoint: SyncCheckpoint, place: ListPosition, *, pass_began_at: str, now: datetime) -> bool:
    """Moves the checkpoint to a place; whether it did.

    Not if another pull has moved it meanwhile, or what this one read was of a table that was made anew.
    """
    known = {name: getattr(checkpoint, name) for name in ("epoch", "updated_at", "row_id", "pass_began_at")}
    checkpoint.updated_at, checkpoint.row_id, checkpoint.pass_began_at = place.updated_at, place.row_id, pass_began_at
    moved = SyncCheckpoint.objects.filter(pk=checkpoint.pk, **known).update(
        updated_at=place.updated_at, row_id=place.row_id, pass_began_at=pass_began_at, pulled_at=now
    )
    return bool(moved)


def count(checkpoint: SyncCheckpoint, *, echoes: int, overlap_hits: int) -> None:
    """What a pull has met."""
    if echoes or overlap_hits:
        met = {"echoes": F("echoes") + echoes, "overlap_hits": F("overlap_hits") + overlap_hits}
        SyncCheckpoint.objects.filter(pk=checkpoint.pk).update(**met)


# --- the sweep --------------------------------------------------------------------------------------------------------


def _of(table: str) -> QuerySet[SyncCheckpoint]:
    return SyncCheckpoint.objects.filter(target=settings.APPWRITE_TARGET, table=table)


def begin_sweep(table: str, *, now: datetime) -> tuple[str, datetime]:
    """The id that the sweep goes on behind, and when it began: now, or earlier if one was cut off."""
    checkpoint = checkpoint_of(table)
    if checkpoint.sweep_began_at is None:
        _of(table).update(sweep_began_at=now, sweep_after_id="")
        return "", now
    return checkpoint.sweep_after_id, checkpoint.sweep_began_at


def keep_sweep(table: str, after_id: str) -> None:
    """A page has been done."""
    _of(table).update(sweep_after_id=after_id)


def end_sweep(table: str, *, now: datetime) -> None:
    """All pages have been done."""
    _of(table).update(sweep_began_at=None, sweep_after_id="", swept_at=now)


def begin_epoch(table: str) -> None:
    """Rows were made anew: their instants may lie behind the checkpoint, so the next pull starts from nothing."""
    _of(table).update(epoch=F("epoch") + 1, updated_at="", row_id="", pass_began_at="")
    logger.warning("rows of %s were made anew in Appwrite; all of it is read again", table)


def count_repairs(table: str, repairs: int) -> None:
    """Differences that only a sweep has found."""
    _of(table).update(repairs=F("repairs") + repairs)


def brake(table: str, why: str) -> None:
    """Stops sweep and push from acting on deletions until a person releases it; said once, kept up to date."""
    is_on = bool(checkpoint_of(table).brake)
    _of(table).update(brake=why[:300])
    if not is_on:
        logger.error("deletions of %s wait for a person: %s", table, why)


def is_braked(table: str) -> bool:
    """Whether a person must look first."""
    return _of(table).exclude(brake="").exists()


def release(table: str) -> bool:
    """A person has looked: the next sweep and push act on the deletions they have found. Whether it was braked."""
    return bool(_of(table).exclude(brake="").update(brake=""))
