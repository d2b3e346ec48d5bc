"""The one writer of decisions: what staff, a command or Appwrite decided about a race, with an audit entry.

Every function takes races by primary key, is idempotent, and returns the keys of those it changed.
The caller replans what changed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from races.models import Race
from races.plain_text import lines
from races.status import FinalizedBy, Outcome, RaceStatus, ResultState


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decides: a member of staff, or a system by name, which the audit shows as a user that cannot log in."""

    username: str
    source: FinalizedBy = FinalizedBy.STAFF


APPWRITE = Actor("appwrite", FinalizedBy.APPWRITE)
COMMAND = Actor("manage.py")


def finalize(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Ends races whatever the provider says; what is ended already stays as it is."""

    def end(race: Race) -> None:
        race.status, race.finalized_by, race.finalized_at = RaceStatus.FINALIZED.value, by.source.value, now
        race.outcome = race.outcome or (Outcome.RESULTED.value if race.results else "")
        race.detail_wanted = False

    fields = ["status", "finalized_by", "finalized_at", "outcome", "detail_wanted"]
    return _decide(
        race_ids,
        end,
        fields,
        where=lambda race: not race.is_finalized,
        by=by,
        now=now,
        said=lambda _: f"Finalized: {reason}",
    )


def reopen(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Takes the end of races back: under way where they have started, scheduled where not."""

    def open_again(race: Race) -> None:
        status = RaceStatus.IN_PROGRESS if race.advertised_start <= now else RaceStatus.SCHEDULED
        race.status, race.finalized_by, race.finalized_at, race.outcome = status.value, "", None, ""
        race.result_state = (ResultState.INTERIM if race.results else ResultState.NONE).value

    fields = ["status", "finalized_by", "finalized_at", "outcome", "result_state"]
    return _decide(
        race_ids,
        open_again,
        fields,
        where=lambda race: race.is_finalized,
        by=by,
        now=now,
        said=lambda _: f"Reopened: {reason}",
    )


def pause(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Stops the polling of races until they are resumed."""
    told = dict.fromkeys(race_ids, True)
    return _set(told, "polling_paused", by=by, now=now, said=lambda _: f"Polling paused: {reason}")


def resume(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Lets races be polled again."""
    told = dict.fromkeys(race_ids, False)
    return _set(told, "polling_paused", by=by, now=now, said=lambda _: f"Polling resumed: {reason}")


def annotate(race_ids: Iterable[int], *, note: str, by: Actor, now: datetime) -> list[int]:
    """Sets the staff's note."""
    return annotate_each(dict.fromkeys(race_ids, note), by=by, now=now)


def annotate_each(notes: Mapping[int, str], *, by: Actor, now: datetime) -> list[int]:
    """Sets the staff's note of each race, without control characters but for its lines."""
    notes = {race_id: lines(note) for race_id, note in notes.items()}
    return _set(notes, "staff_note", by=by, now=now, said=lambda race: f"Note: {race.staff_note}")


def override_starts(starts: Mapping[int, datetime], *, by: Actor, now: datetime) -> list[int]:
    """Moves the advertised start of each race; where a provider tells one, as an override of what it tells."""

    def move(race: Race) -> None:
        race.advertised_start = start = starts[race.pk]
        race.start_override = start if race.provider_race_id and start != race.provider_start else None

    return _decide(
        starts,
        move,
        ["advertised_start", "start_override"],
        where=lambda race: race.advertised_start != starts[race.pk],
        by=by,
        now=now,
        said=lambda race: f"Start moved to {race.advertised_start:%Y-%m-%d %H:%M:%S} UTC",
    )


def request_poll(race_ids: Iterable[int], *, at: datetime, by: Actor, now: datetime) -> list[int]:
    """Records that Appwrite asked for a poll at `at`; the caller makes it."""
    told = dict.fromkeys(race_ids, at)
    return _set(told, "poll_requested_at", by=by, now=now, said=lambda _: f"Poll requested at {at:%H:%M:%S} UTC")


def record_forced_poll(race_ids: Iterable[int], *, by: Actor, reason: str) -> None:
    """Audits that a poll was asked for; nothing of the race changes by it."""
    if races := list(Race.objects.filter(pk__in=list(race_ids)).select_related("meeting")):
        _audit(races, by=by, said=lambda _: f"Poll forced: {reason}")


def record_made(race_ids: Iterable[int], *, by: Actor, reason: str) -> None:
    """Audits that races were made otherwise than by a provider's card."""
    races = list(Race.objects.filter(pk__in=list(race_ids)).select_related("meeting"))
    _audit(races, by=by, said=lambda _: reason, flag=ADDITION)


def _set(values: Mapping[int, Any], name: str, *, by: Actor, now: datetime, said: Callable[[Race], str]) -> list[int]:
    def assign(race: Race) -> None:
        setattr(race, name, values[race.pk])

    def differs(race: Race) -> bool:
        return bool(getattr(race, name) != values[race.pk])

    return _decide(values, assign, [name], where=differs, by=by, now=now, said=said)


def _decide(
    race_ids: Iterable[int],
    change: Callable[[Race], None],
    fields: list[str],
    *,
    where: Callable[[Race], bool],
    by: Actor,
    now: datetime,
    said: Callable[[Race], str],
) -> list[int]:
    with transaction.atomic():
        races = [
            race
            for race in Race.objects.filter(pk__in=list(race_ids)).select_related("meeting").locked()
            if where(race)
        ]
        for race in races:
            change(race)
            race.version += 1
            race.last_changed_at = now
        if races:
            Race.objects.bulk_update(races, [*fields, "version", "last_changed_at"])
            _audit(races, by=by, said=said)
    return [race.pk for race in races]


def _audit(races: list[Race], *, by: Actor, said: Callable[[Race], str], flag: int = CHANGE) -> None:
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
