"""The one writer of provider facts: what a provider said becomes meetings, races, runners and odds.

Everything is bulk and in one transaction, and nothing is written that did not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from races import reversals
from races.bulk import insert_rows, write_fields
from races.merging import (
    MEETING_FACTS,
    ODDS,
    RUNNER_FACTS,
    merge,
    new_race,
    set_meeting,
    set_odds,
    set_runner,
)
from races.models import Meeting, OddsChange, Race, Runner
from races.reversals import Reversal
from races.snapshots import MeetingSnapshot, RaceSnapshot, Scope

Key = tuple[str, str]

LATEST_REPLY = timedelta(seconds=30)  # more than a poll's deadline and its lease


@dataclass
class Changes:
    """What an ingest did, by primary key. `races` has every race the snapshots spoke of that is stored.

    `noted` are the races whose detail is due, or no more, since; they are to be planned again as the changed ones.
    """

    races: dict[Key, int] = field(default_factory=dict)
    created: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    noted: set[int] = field(default_factory=set)
    reversals: list[Reversal] = field(default_factory=list)

    def add(self, others: Changes) -> None:
        """What a further ingest did."""
        self.races |= others.races
        self.created |= others.created
        self.changed |= others.changed
        self.moved |= others.moved
        self.noted |= others.noted
        self.reversals += others.reversals


def apply(snapshots: Iterable[RaceSnapshot], *, now: datetime) -> Changes:
    """Writes what changed. Idempotent; of two snapshots of one race the later in the list counts."""
    latest = {told.key: told for told in snapshots}
    if not latest:
        return Changes()
    with transaction.atomic():
        races = _known_races(latest)
        # An older answer that comes late (a slow reply, a push) must not overwrite a newer one.
        news = [told for key, told in latest.items() if not _is_older(told, races.get(key))]
        meetings = _write_meetings(news)
        changes, detailed = _update_races(news, races, meetings, now=now)
        created = _create_races(news, races, meetings, now=now)
        changes.created = {race.pk for race in created.values()}
        changes.changed |= changes.created
        changes.races = {key: race.pk for key, race in (races | created).items()}
        detailed += [told for told in news if told.key in created and told.scope is Scope.FULL]
        _write_runners({changes.races[told.key]: told for told in detailed if told.runners is not None})
    return changes


def owe_detail(race_ids: Iterable[int]) -> None:
    """Notes that the detail of these races is wanted, whatever their next status says."""
    if owed := list(race_ids):
        Race.objects.filter(pk__in=owed).update(detail_wanted=True)


def admit(told: RaceSnapshot, *, now: datetime) -> Race:
    """Stores a race that was made by hand, which must be new; a meeting that is known stays as it is."""
    meeting = _admitted_meeting(told.meeting) if told.meeting else None
    race = new_race(told, meeting=meeting, now=now)
    race.save(force_insert=True)
    return race


def _admitted_meeting(told: MeetingSnapshot) -> Meeting | None:
    """None for one that is not known and does not tell its track."""
    key = {"provider": told.provider, "provider_meeting_id": told.provider_meeting_id}
    known = Meeting.objects.filter(**key).first()
    if known or not told.name:
        return known
    meeting = Meeting(**key)
    set_meeting(meeting, told)
    meeting.save(force_insert=True)
    return meeting


def _known_races(latest: dict[Key, RaceSnapshot]) -> dict[Key, Race]:
    wanted = Q()
    for provider in {provider for provider, _ in latest}:
        wanted |= Q(provider=provider, provider_race_id__in=[pk for name, pk in latest if name == provider])
    return {(race.provider, race.provider_race_id): race for race in Race.objects.filter(wanted).locked()}


def _is_older(told: RaceSnapshot, race: Race | None) -> bool:
    """Whether it was said before what is known. Far before: no late reply, but a provider's clock that went back."""
    if not (race and race.source_time and told.source_time):
        return False
    return timedelta() < race.source_time - told.source_time <= LATEST_REPLY


def _write_meetings(snapshots: Sequence[RaceSnapshot]) -> dict[Key, Meeting]:
    """The meetings that were told of, by identity; made where they are new and their track is told."""
    told = {(m.provider, m.provider_meeting_id): m for snapshot in snapshots if (m := snapshot.meeting)}
    wanted = Q(pk__in=[])
    for provider in {provider for provider, _ in told}:
        wanted |= Q(provider=provider, provider_meeting_id__in=[pk for name, pk in told if name == provider])
    known = {(m.provider, m.provider_meeting_id): m for m in Meeting.objects.filter(wanted)}
    changed = [meeting for key, meeting in known.items() if set_meeting(meeting, told[key])]
    new = {
        key: Meeting(provider=key[0], provider_meeting_id=key[1])
        for key, meeting in told.items()
        if key not in known and meeting.name
    }
    for key, meeting in new.items():
        set_meeting(meeting, told[key])
    list(Meeting.objects.filter(pk__in=[m.pk for m in changed]).order_by("pk").select_for_update(no_key=True))
    Meeting.objects.bulk_create(new.values())
    write_fields(changed, MEETING_FACTS)
    return known | new


def _meeting_of(told: RaceSnapshot, meetings: dict[Key, Meeting]) -> Meeting | None:
    return meetings.get((told.provider, told.meeting.provider_meeting_id)) if told.meeting else None


def _update_races(
    snapshots: Sequence[RaceSnapshot], races: dict[Key, Race], meetings: dict[Key, Meeting], *, now: datetime
) -> tuple[Changes, list[RaceSnapshot]]:
    """Also returns whose detail is new, by its hash, so that an unchanged poll reads no runner."""
    changes, fields, dirty, detailed = Changes(), set[str](), [], []
    for told in snapshots:
        if race := races.get(told.key):
            merged = merge(race, told, meeting=_meeting_of(told, meetings), now=now)
            changed = merged.changed
            if reversal := reversals.of(race, told, merged):
                changes.reversals.append(reversal)
            if changed:
                fields |= changed
                dirty.append(race)
                (changes.changed if merged.has_content else changes.noted).add(race.pk)
            if "advertised_start" in changed:
                changes.moved.add(race.pk)
            if "content_hash" in changed:
                detailed.append(told)
    write_fields(dirty, fields)
    reversals.record(changes.reversals)
    return changes, detailed


def _create_races(
    snapshots: Sequence[RaceSnapshot], known: dict[Key, Race], meetings: dict[Key, Meeting], *, now: datetime
) -> dict[Key, Race]:
    """Races not met before. Without an advertised start there is nothing to plan by: they wait for one."""
    new = {
        told.key: new_race(told, meeting=_meeting_of(told, meetings), now=now)
        for told in snapshots
        if told.key not in known and told.advertised_start
    }
    Race.objects.bulk_create(new.values())
    return new


def _write_runners(told_by_race: dict[int, RaceSnapshot]) -> None:
    """Runners are flagged when scratched and never deleted; odds that moved leave a row behind."""
    known = {(r.race_id, r.number): r for r in Runner.objects.filter(race__in=told_by_race)}
    new: list[Runner] = []
    facts_changed: list[Runner] = []
    odds_moved: list[Runner] = []
    moves: list[tuple[Runner, datetime]] = []
    for race_id, told in told_by_race.items():
        for snapshot in {runner.number: runner for runner in told.runners or ()}.values():
            runner = known.get((race_id, snapshot.number)) or Runner(race_id=race_id, number=snapshot.number)
            is_new = runner.pk is None
            if is_new:
                new.append(runner)
            if set_runner(runner, snapshot, now=told.observed_at) and not is_new:
                facts_changed.append(runner)
            if set_odds(runner, snapshot):
                moves.append((runner, told.observed_at))
                if not is_new:
                    odds_moved.append(runner)
    Runner.objects.bulk_create(new)
    write_fields(facts_changed, [*RUNNER_FACTS, "scratched_at"])
    write_fields(odds_moved, ODDS)
    odds = ((runner.pk, at, *(getattr(runner, name) for name in ODDS)) for runner, at in moves)
    insert_rows(OddsChange, ("runner", "observed_at", *ODDS), odds)
