"""Rows in Appwrite that belong to no race and cannot become one, and why."""

import logging
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from polling.appwrite.api.rows import Row
from polling.appwrite.sync_state import TABLE
from polling.models import UnmatchedRow

logger = logging.getLogger(__name__)

LONGEST_KEY = 255


def unmatched() -> QuerySet[UnmatchedRow]:
    """The unmatched rows of the configured Appwrite."""
    return UnmatchedRow.objects.filter(target=settings.APPWRITE_TARGET, table=TABLE)


def key_of(row_id: str) -> str:
    """What an unmatched row is kept under: its `$id`, escaped so that any database takes it."""
    return row_id.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:LONGEST_KEY]


def note(row: Row, problem: str, *, now: datetime, error: Exception | None = None) -> None:
    """Keeps why a row stays out; logged when that is new, an unexpected `error` with its traceback."""
    key, updated_at = key_of(row["$id"]), str(row.get("$updatedAt") or "")[:40]
    problem = problem.replace("\x00", "\ufffd").encode(errors="replace").decode()[:500]
    known = unmatched().filter(row_id=key).first()
    if known and (known.problem, known.updated_at) == (problem, updated_at):
        return
    if not known or known.problem != problem:
        logger.warning("row %s in Appwrite stays out: %s", key, problem, exc_info=error)
    UnmatchedRow.objects.update_or_create(
        target=settings.APPWRITE_TARGET,
        table=TABLE,
        row_id=key,
        defaults={"updated_at": updated_at, "problem": problem, "found_at": now},
    )


def seen(row_ids: Iterable[str]) -> dict[str, str]:
    """The `$updatedAt` that each of these unmatched rows had when it was looked at, by its key."""
    return dict(
        unmatched().filter(row_id__in=[key_of(row_id) for row_id in row_ids]).values_list("row_id", "updated_at")
    )


def forget_all_but(row_ids: Iterable[str], *, found_before: datetime) -> None:
    """Deletes all that were found before an instant but these, which are still in Appwrite."""
    keys = [key_of(row_id) for row_id in row_ids]
    unmatched().filter(found_at__lt=found_before).exclude(row_id__in=keys).delete()


def forget(row_id: str) -> None:
    """Deletes the row from those that are unmatched: it has become fit, or is gone."""
    unmatched().filter(row_id=key_of(row_id)).delete()
