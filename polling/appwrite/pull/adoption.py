"""Rows made in Appwrite become races: matched by the provider's id, or made."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from polling.appwrite import conflicts
from polling.appwrite.mapping import RACE_FIELDS, Remote, Values, race_row_id
from polling.appwrite.merge import Clash, Side, is_start
from polling.appwrite.sync_state import states
from polling.models import ProviderState, SyncState
from polling.planning import replan
from races import decisions, ingest
from races.decisions import APPWRITE
from races.models import Meeting, Race
from races.plain_text import one_line
from races.snapshots import MeetingSnapshot, RaceSnapshot, Scope

# What a race is made of, beside its start.
TOLD = ("provider", "provider_race_id", "meeting", "track", "country", "race_number", "name", "distance_m")
IDS = ("provider", "provider_race_id", "meeting")


class Unfit(ValueError):
    """Why a row cannot become a race, in words."""


@dataclass(eq=False)
class SecondRow(Unfit):
    """The race has a row already."""

    state: SyncState

    def __str__(self) -> str:
        return f"its race has the row {self.state.remote_id} already"


def race_of(remote: Remote, *, now: datetime) -> int:
    """The race that a row made in Appwrite is of from now on: found, or made, audited and planned.

    Call it in the transaction that keeps the row as the race's. Raises Unfit.
    """
    race = match(remote, now=now)
    if race is None and remote.values["provider_race_id"]:
        # As the import does: of two that make the same race or meeting the second finds it.
        ProviderState.objects.select_for_update().get_or_create(name=remote.values["provider"])
        race = match(remote, now=now)
    return race.pk if race else _made(remote.values, now=now)


def match(remote: Remote, *, now: datetime) -> Race | None:
    """The race of the row, None where one is to be made. Raises Unfit, or SecondRow."""
    values = remote.values
    provider, race_id = values["provider"], values["provider_race_id"]
    if race_id and not provider:
        raise Unfit("provider is missing")
    race = Race.objects.filter(provider=provider, provider_race_id=race_id).first() if race_id else _by_hand(remote)
    taken = race and states().filter(local_pk=race.pk).exclude(base_updated_at="").first()
    # The look reads all states, so a row under the id that we gave it is spared it.
    is_as_we_made_it = race is not None and taken is None and remote.row_id == race_row_id(race)
    if not is_as_we_made_it and states().filter(remote_id__iexact=remote.row_id).exists():
        raise Unfit("its id differs from that of another row by capitals alone")
    if taken:
        raise SecondRow(taken)
    if race is None:
        _require(provider, values["advertised_start"], now=now)
        if problems := [words for column in TOLD if (words := _problem(column, values[column]))]:
            raise Unfit("; ".join(problems))
    return race


def _by_hand(remote: Remote) -> Race | None:
    """A race made by hand here whose row the push has just written, and not noted yet."""
    known = states().exclude(base_updated_at="").values("local_pk")
    races = Race.objects.filter(provider_race_id="").exclude(pk__in=known)
    return next((race for race in races if race_row_id(race) == remote.row_id), None)


def _require(provider: str | None, start: str | None, *, now: datetime) -> None:
    """What a race that is to be made needs; one that is known has it."""
    if provider and provider not in settings.RACE_PROVIDERS:
        raise Unfit(f"provider: {provider!r} is not configured")
    if start is None:
        raise Unfit("advertised_start is missing")
    if not is_start(start):
        raise Unfit(f"advertised_start: {start} is no start of a race")
    if datetime.fromisoformat(start) < now - settings.RETENTION["RACES"]:
        raise Unfit(f"advertised_start: {start} is longer ago than races are kept")


def _problem(column: str, value: Any) -> str:
    """Why a race or its meeting cannot have the value, by the model's own rules."""
    owner, _, name = RACE_FIELDS[column].source.rpartition(".")
    field: Any = (Meeting if owner else Race)._meta.get_field(name)
    try:
        field.run_validators(value)
    except ValidationError as error:
        return f"{column}: {' '.join(error.messages)}"
    if column in IDS and value and one_line(value) != value:
        return f"{column}: it has control characters"
    return ""


def _made(values: Values, *, now: datetime) -> int:
    race = ingest.create_race(_told(values, now=now), now=now)
    decisions.record_creation([race.pk], by=APPWRITE, reason="Made in Appwrite")
    replan([race.pk], now=now)
    return race.pk


def _told(values: Values, *, now: datetime) -> RaceSnapshot:
    """The facts of the row that a race is made of."""
    provider, track, country = (one_line(values[name] or "") for name in ("provider", "track", "country"))
    meeting = MeetingSnapshot(provider, values["meeting"] or "", track, country, code=values["code"] or "")
    return RaceSnapshot(
        provider=provider,
        provider_race_id=values["provider_race_id"] or "",
        scope=Scope.STATUS,
        observed_at=now,
        meeting=meeting if values["meeting"] else None,
        number=values["race_number"],
        name=values["name"] and one_line(values["name"]),
        distance_m=values["distance_m"],
        advertised_start=datetime.fromisoformat(values["advertised_start"]),
    )


def log_second(second: SecondRow, remote: Remote, *, now: datetime) -> int:
    """Logs the conflict once; returns how many it logged."""
    first = second.state
    if first.conflicts.filter(field="$id", remote=remote.row_id).exists():
        return 0
    policy = "a second row of one race: the first is kept"
    clash = Clash("$id", first.remote_id, first.remote_id, remote.row_id, Side.LOCAL, policy)
    conflicts.log(first, [clash], now=now)
    return 1
