"""The one writer of decisions: what staff, a command or Appwrite decided about a race, with an audit entry.

Every function takes races by primary key, is idempotent, and returns the keys of those it changed, which the caller
replans. `by` is who decided.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.admin.models import ADDITION
from django.db import transaction

from races import audit
from races.audit import Actor as Actor
from races.models import Race
from races.plain_text import lines
from races.status import CALLED_OFF, FinalizedBy, Outcome, RaceStatus, ResultState

APPWRITE = Actor("appwrite", FinalizedBy.APPWRITE)
COMMAND = Actor("manage.py")


def finalize(
    race_ids: Iterable[int], *, by: Actor, reason: str, outcome: Outcome | None = None, now: datetime
) -> list[int]:
    """Ends races whatever the provider reports; a race that has ended already changes only to another `outcome`.

    Without an outcome a race that has placings becomes `resulted`. A race that is called off loses its result.
    """

    def end_race(race: Race) -> None:
        race.status, race.finalized_by, race.finalized_at = RaceStatus.FINALIZED.value, by.source.value, now
        race.outcome = outcome.value if outcome else race.outcome or (Outcome.RESULTED.value if race.results else "")
        race.detail_wanted, race.unproven_final_at = False, None
        if race.outcome in CALLED_OFF:
            race.result_version += bool(race.results or race.dividends)
            race.results, race.dividends, race.result_state = [], [], ResultState.NONE.value

    def is_changed(race: Race) -> bool:
        return not race.is_finalized or (outcome is not None and race.outcome != outcome)

    fields = [
        "status", "finalized_by", "finalized_at", "outcome", "detail_wanted", "unproven_final_at",
        "results", "dividends", "result_state", "result_version",
    ]  # fmt: skip
    how = f" as {outcome.value}" if outcome else ""
    return _change_races(
        race_ids,
        end_race,
        fields,
        where=is_changed,
        by=by,
        now=now,
        message_of=lambda _: f"Finalized{how}: {reason}",
    )


def reopen(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Opens finalized races again: in progress if they should have started, else scheduled."""

    def open_again(race: Race) -> None:
        status = RaceStatus.IN_PROGRESS if race.advertised_start <= now else RaceStatus.SCHEDULED
        race.status, race.finalized_by, race.finalized_at, race.outcome = status.value, "", None, ""
        race.result_state = (ResultState.INTERIM if race.results else ResultState.NONE).value
        race.unproven_final_at = None

    fields = ["status", "finalized_by", "finalized_at", "outcome", "result_state", "unproven_final_at"]
    return _change_races(
        race_ids,
        open_again,
        fields,
        where=lambda race: race.is_finalized,
        by=by,
        now=now,
        message_of=lambda _: f"Reopened: {reason}",
    )


def pause(race_ids: Iterable[int], *, by: Actor, reason: str, now: datetime) -> list[int]:
    """Stops the polling of races until they are resumed."""
    paused = dict.fromkeys(race_ids, True)
    return _set_field(paused, "polling_paused", by=by, now=now, message_of=lambda _: f"Polling paused: {reason}")


def resume(race_ids: Iterable[int], *, by: Actor, reason: str = "", now: datetime) -> list[int]:
    """Lets races be polled again."""
    paused = dict.fromkeys(race_ids, False)
    message = f"Polling resumed: {reason}" if reason else "Polling resumed"
    return _set_field(paused, "polling_paused", by=by, now=now, message_of=lambda _: message)


def annotate(race_ids: Iterable[int], *, note: str, by: Actor, now: datetime) -> list[int]:
    """Sets the same staff note on races."""
    return annotate_each(dict.fromkeys(race_ids, note), by=by, now=now)


def annotate_each(notes: Mapping[int, str], *, by: Actor, now: datetime) -> list[int]:
    """Sets the staff note of each race by its key; removes control characters, but keeps line breaks."""
    notes = {race_id: lines(note) for race_id, note in notes.items()}
    return _set_field(notes, "staff_note", by=by, now=now, message_of=lambda race: f"Note: {race.staff_note}")


def override_starts(starts: Mapping[int, datetime], *, by: Actor, now: datetime) -> list[int]:
    """Moves the advertised start of each race; if a provider reports its start, as an override of that."""

    def move_start(race: Race) -> None:
        race.advertised_start = start = starts[race.pk]
        race.start_override = start if race.provider_race_id and start != race.provider_start else None

    return _change_races(
        starts,
        move_start,
        ["advertised_start", "start_override"],
        where=lambda race: race.advertised_start != starts[race.pk],
        by=by,
        now=now,
        message_of=lambda race: f"Start moved to {race.advertised_start:%Y-%m-%d %H:%M:%S} UTC",
    )


def request_poll(race_ids: Iterable[int], *, at: datetime, by: Actor, now: datetime) -> list[int]:
    """Records that Appwrite asked at `at` for a poll of races; the caller makes the poll."""
    message = f"Poll requested at {at:%H:%M:%S} UTC"
    instants = dict.fromkeys(race_ids, at)
    return _set_field(instants, "poll_requested_at", by=by, now=now, message_of=lambda _: message)


def record_forced_poll(race_ids: Iterable[int], *, by: Actor, reason: str) -> None:
    """Writes the audit entry of a forced poll; changes nothing of the races."""
    if races := list(Race.objects.filter(pk__in=list(race_ids)).select_related("meeting")):
        audit.record(races, by=by, message_of=lambda _: f"Poll forced: {reason}")


def record_creation(race_ids: Iterable[int], *, by: Actor, reason: str) -> None:
    """Writes the audit entry of races that were created by hand, not from a provider's card."""
    races = list(Race.objects.filter(pk__in=list(race_ids)).select_related("meeting"))
    audit.record(races, by=by, message_of=lambda _: reason, flag=ADDITION)


def _set_field(
    values: Mapping[int, Any], name: str, *, by: Actor, now: datetime, message_of: Callable[[Race], str]
) -> list[int]:
    def assign(race: Race) -> None:
        setattr(race, name, values[race.pk])

    def differs(race: Race) -> bool:
        return bool(getattr(race, name) != values[race.pk])

    return _change_races(values, assign, [name], where=differs, by=by, now=now, message_of=message_of)


def _change_races(
    race_ids: Iterable[int],
    change: Callable[[Race], None],
    fields: list[str],
    *,
    where: Callable[[Race], bool],
    by: Actor,
    now: datetime,
    message_of: Callable[[Race], str],
) -> list[int]:
    """Applies `change` to the races that pass `where`, under their locks, and audits each."""
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
            audit.record(races, by=by, message_of=message_of)
    return [race.pk for race in races]
