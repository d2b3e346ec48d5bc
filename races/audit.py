"""The audit: who decided or reported what, and why, in Django's `LogEntry` table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from races.status import FinalizedBy

TRow = TypeVar("TRow", bound=Model)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decided: a member of staff, or a system by its name, which gets a user that cannot log in."""

    username: str
    source: FinalizedBy = FinalizedBy.STAFF


def record(
    rows: Sequence[TRow],
    *,
    by: Actor,
    message_of: Callable[[TRow], str],
    name_of: Callable[[TRow], str] = str,
    flag: int = CHANGE,
    at: datetime | None = None,
) -> None:
    """Writes one audit entry per row; all rows are of one model.

    `message_of` and `name_of` give a row's message and name. `flag` is Django's: an addition or a change. `at` is the
    instant of the entries; without it they get the present one.
    """
    if not rows:
        return
    user, created = User.objects.get_or_create(username=by.username, defaults={"is_active": False})
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    content_type = ContentType.objects.get_for_model(rows[0])
    action_time: dict[str, Any] = {"action_time": at} if at else {}
    LogEntry.objects.bulk_create(
        LogEntry(
            user=user,
            content_type=content_type,
            object_id=str(row.pk),
            object_repr=name_of(row)[:200],
            action_flag=flag,
            change_message=message_of(row),
            **action_time,
        )
        for row in rows
    )
