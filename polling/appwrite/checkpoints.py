"""How far pull and sweep of a table have got, and whether they fail."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, QuerySet

from polling.appwrite.api.errors import lasting_foreign_answer
from polling.appwrite.api.rows import ListPosition
from polling.appwrite.known_problems import is_known, is_news
from polling.errors import Blocked, PollingError, Unavailable, error_text
from polling.models import SyncCheckpoint

logger = logging.getLogger(__name__)

# For so long a proxy may answer for an Appwrite that is being restarted or upgraded.
RESTART_WITHIN = timedelta(minutes=5)


def checkpoint_of(table: str) -> SyncCheckpoint:
    """The table's checkpoint for the configured Appwrite; made when first asked for."""
    return SyncCheckpoint.objects.get_or_create(target=settings.APPWRITE_TARGET, table=table)[0]


def existing(table: str) -> SyncCheckpoint | None:
    """The table's checkpoint for the configured Appwrite; None where no pull, push or sweep has made one."""
    return _checkpoints_of(table).first()


def _checkpoints_of(table: str) -> QuerySet[SyncCheckpoint]:
    return SyncCheckpoint.objects.filter(target=settings.APPWRITE_TARGET, table=table)


def note_outcome(table: str, what: str, error: PollingError | None, *, now: datetime, of_sweep: bool = False) -> None:
    """Keeps how work on a table, its pull or push or else its sweep, ended; logs when it starts to fail and to work.

    `what` names the work in the log. `error` is None where it ended well; that of a sweep is not kept while pull or
    push fail too, and have logged why.
    """
    checkpoint = checkpoint_of(table)
    if of_sweep and error and checkpoint.error:
        return
    error_field, since_field = ("sweep_error", "sweep_failing_since") if of_sweep else ("error", "failing_since")
    before, failing_since = getattr(checkpoint, error_field), getattr(checkpoint, since_field)
    since = (failing_since or now) if error else None
    if isinstance(error, Unavailable) and error.foreign and since and now - since >= RESTART_WITHIN:
        error = lasting_foreign_answer(error)
    words = error_text(error) if error else ""
    if error and is_news(error, words, before=before):
        logger.log(logging.DEBUG if is_known(words) else level_of(error), "%s fails: %s", what, words)
    if before and not words:
        logger.info("%s works again", what)
    if (words, since) != (before, failing_since):
        setattr(checkpoint, error_field, words)
        setattr(checkpoint, since_field, since)
        checkpoint.save(update_fields=[error_field, since_field])


def level_of(error: Exception | None) -> int:
    """What a person must correct is logged as an error, what may pass as a warning."""
    return logging.ERROR if isinstance(error, Blocked) else logging.WARNING


def move(checkpoint: SyncCheckpoint, place: ListPosition, *, pass_began_at: str, now: datetime) -> bool:
    """Moves the checkpoint to a place; whether it did.

    Not if another pull has moved it meanwhile, or the table was recreated since this one read it.
    """
    known = {name: getattr(checkpoint, name) for name in ("table_generation", "updated_at", "row_id", "pass_began_at")}
    checkpoint.updated_at, checkpoint.row_id, checkpoint.pass_began_at = place.updated_at, place.row_id, pass_began_at
    moved = SyncCheckpoint.objects.filter(pk=checkpoint.pk, **known).update(
        updated_at=place.updated_at, row_id=place.row_id, pass_began_at=pass_began_at, pulled_at=now
    )
    return bool(moved)


def count(table: str, **found: int) -> None:
    """Adds what a pass has found to the counters of its table: `echoes`, `overlap_hits` or `repairs`."""
    if any(found.values()):
        _checkpoints_of(table).update(**{counter: F(counter) + number for counter, number in found.items()})


def begin_sweep(table: str, *, now: datetime) -> tuple[str, datetime]:
    """The id that the sweep goes on behind, and when it began: now, or earlier if one was cut off."""
    checkpoint = checkpoint_of(table)
    if checkpoint.sweep_began_at is None:
        _checkpoints_of(table).update(sweep_began_at=now, sweep_after_id="")
        return "", now
    return checkpoint.sweep_after_id, checkpoint.sweep_began_at


def keep(table: str, **ids: str) -> None:
    """Keeps behind which row the next sweep goes on: `sweep_after_id`, or `texts_after_id` for the long texts."""
    _checkpoints_of(table).update(**ids)


def end_sweep(table: str, *, now: datetime) -> None:
    """Notes that a sweep has come to its end: the next one begins with the first row."""
    _checkpoints_of(table).update(sweep_began_at=None, sweep_after_id="", swept_at=now)


def begin_table_generation(table: str) -> None:
    """The table was recreated: its instants may lie behind the checkpoint, so the next pull starts from scratch."""
    _checkpoints_of(table).update(
        table_generation=F("table_generation") + 1, updated_at="", row_id="", pass_began_at=""
    )
    logger.warning("rows of %s were recreated in Appwrite; all of it is read again", table)


def hold_deletions(table: str, why: str) -> None:
    """Stops sweep and push from acting on deletions until staff release them; logged once, `why` is kept up to date."""
    is_on = are_deletions_held(table)
    checkpoint_of(table)
    _checkpoints_of(table).update(deletion_guard=why[:300])
    if not is_on:
        logger.error("deletions of %s wait for a person: %s", table, why)


def are_deletions_held(table: str) -> bool:
    """Whether the deletion guard is on for the table."""
    return _checkpoints_of(table).exclude(deletion_guard="").exists()


def release_deletions(table: str) -> bool:
    """Lets the next sweep and push act on the deletions they have found; whether the deletion guard was on."""
    return bool(_checkpoints_of(table).exclude(deletion_guard="").update(deletion_guard=""))
