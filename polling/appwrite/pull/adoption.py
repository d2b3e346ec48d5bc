"""Rows made in Appwrite become races: matched by the provider's id, or created."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from polling.appwrite import conflicts
from polling.appwrite.mapping import RACE_FIELDS, Remote, Values, race_row_id
from polling.appwrite.merge import Clash, Side, is_plausible_start
from polling.appwrite.sync_state import states
from polling.models import ProviderState, SyncState
from polling.planning import replan
from races import decisions, ingest
from races.decisions import APPWRITE
from races.models import Meeting, Race
from races.plain_text import one_line
from races.snapshots import MeetingSnapshot, RaceSnapshot, Scope

# What a race is created from, beside its start.
CREATED_FROM = ("provider", "provider_race_id", "meeting", "track", "country", "race_number", "name", "distance_m")
IDS = ("provider", "provider_race_id", "meeting")


class Unfit(ValueError):
    """Why a row cannot become a race, in words."""


@dataclass(eq=False)
class SecondRow(Unfit):
    """The race has a row already."""

    state: SyncState

    def __str__(self) -> str:
        return f"its race has the row {self.state.remote_id} already"


def match(remote: Remote, *, now: datetime) -> Race | None:
    """The race that a row made in Appwrite belongs to, by the provider's id; None where one is to be created.

    Changes nothing. Raises Unfit for a row that cannot become a race, SecondRow where its race has another row.
    """
    values = remote.values
    provider, race_id = values["provider"], values["provider_race_id"]
    if race_id and not provider:
        raise Unfit("provider is missing")
    if race_id:
        race = Race.objects.filter(provider=provider, provider_race_id=race_id).first()
    else:  # a race made by hand here, whose row the push has just written and not noted yet
        known = states().exclude(base_updated_at="").values("local_pk")
        by_hand = Race.objects.filter(provider_race_id="").exclude(pk__in=known)
        race = next((race for race in by_hand if race_row_id(race) == remote.row_id), None)
    taken = race and states().filter(local_pk=race.pk).exclude(base_updated_at="").first()
    # The look reads all states, so a row under the id that we gave it is spared it.
    has_our_id = race is not None and taken is None and remote.row_id == race_row_id(race)
    if not has_our_id and states().filter(remote_id__iexact=remote.row_id).exists():
        raise Unfit("its id differs from that of another row by capitals alone")
    if taken:
        raise SecondRow(taken)
    if race is None:
        _need_fit_for_a_race(values, now=now)
    return race


def adopt(remote: Remote, race: Race | None, *, now: datetime) -> int:
    """The key of the race that the row belongs to from now on: `race`, as `match` has found it, or a new one.

    A new race is audited and planned. Call it in the transaction that keeps the row as the race's. Raises Unfit.
    """
    values = remote.values
    if race is None and values["provider_race_id"]:
        # As the import does: of two that create the same race or meeting the second finds it.
        ProviderState.objects.select_for_update().get_or_create(name=values["provider"])
        race = match(remote, now=now)
    if race is None:
        race = ingest.create_race(_snapshot_of(values, now=now), now=now)
        decisions.record_creation([race.pk], by=APPWRITE, reason="Made in Appwrite")
        replan([race.pk], now=now)
    return race.pk


def log_second_row(second: SecondRow, row_id: str, *, now: datetime) -> int:
    """Logs the conflict of a race's second row, once; returns how many it logged."""
    first = second.state
    if first.conflicts.filter(field="$id", remote=row_id).exists():
        return 0
    policy = "a second row of one race: the first is kept"
    conflicts.log(first, [Clash("$id", first.remote_id, first.remote_id, row_id, Side.LOCAL, policy)], now=now)
    return 1


def _need_fit_for_a_race(values: Values, *, now: datetime) -> None:
    """Raises Unfit where no race can be created from the values; a race that is known needs none of them."""
    provider, start = values["provider"], values["advertised_start"]
    if provider and provider not in settings.RACE_PROVIDERS:
        raise Unfit(f"provider: {provider!r} is not configured")
    if start is None:
        raise Unfit("advertised_start is missing")
    if not is_plausible_start(start):
        raise Unfit(f"advertised_start: {start} is no start of a race")
    if datetime.fromisoformat(start) < now - settings.RETENTION["RACES"]:
        raise Unfit(f"advertised_start: {start} is longer ago than races are kept")
    if problems := [words for column in CREATED_FROM if (words := _problem_with(column, values[column]))]:
        raise Unfit("; ".join(problems))


def _problem_with(column: str, value: Any) -> str:
    """Why a race or its meeting cannot have the value, by the model's own rules; empty where it can."""
    owner, _, name = RACE_FIELDS[column].source.rpartition(".")
    field: Any = (Meeting if owner else Race)._meta.get_field(name)
    try:
        field.run_validators(value)
    except ValidationError as error:
        return f"{column}: {' '.join(error.messages)}"
    has_control_characters = column in IDS and value and one_line(value) != value
    return f"{column}: it has control characters" if has_control_characters else ""


def _snapshot_of(values: Values, *, now: datetime) -> RaceSnapshot:
    """The facts of the row that a race is created from, as a provider would report them."""
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
