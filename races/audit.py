"""The audit of races: who decided or reported what, and why, in Django's own log of changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from races.models import Race
from races.status import FinalizedBy


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decides: a member of staff, or a system by name, which the audit shows as a user that cannot log in."""

    username: str
    source: FinalizedBy = FinalizedBy.STAFF


def record(races: Sequence[Race], *, by: Actor, said: Callable[[Race], str], flag: int = CHANGE) -> None:
    """Writes an entry for each race; `flag` is Django's: an addition or a change."""
    user, made = User.objects.get_or_create(username=by.username, defaults={"is_active": False})
    if made:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    content_type = ContentType.objects.get_for_model(Race)
    LogEntry.objects.bulk_create(
        LogEntry(
            user=user,
            content_type=content_type,
            object_id=str(race.pk),
            object_repr=str(race)[:200],
            action_flag=flag,
            change_message=said(race),
        )
        for race in races
    )
