"""The one writer of provider facts: what a provider said becomes meetings, races, runners and odds.

Everything is bulk and in one transaction, and nothing is written that did not change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F, Min, Q

from races.answer_age import accept_answer
from races.bulk import insert_rows, write_fields
from races.models import Meeting, PriceChange, Race, Runner
from races.reversals import Reversal, record_reversals, reversal_of
from races.snapshot_merge import (
    MEETING_FACTS,
    ODDS,
    RUNNER_FIELDS,
    clear_odds,
    merge_snapshot,
    new_race,
    set_absent,
    set_meeting,
    set_odds,
    set_runner,
)
from races.snapshots import MeetingSnapshot, RaceSnapshot, Scope, join_snapshots

Key = tuple[str, str]
IDENTITY = ("provider", "provider_meeting_id")

CLOCK = ("source_time", "older_answers")


@dataclass
class Changes:
    """What an ingest did, by primary key. `races` has every race the snapshots spoke of that is stored.

    `refused` are those whose answer was older than what is stored; `noted` are the races whose detail is due, or no
    more, since: they are to be planned again as the changed ones.
    """

    races: dict[Key, int] = field(default_factory=dict)
    created: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    noted: set[int] = field(default_factory=set)
    reversals: list[Reversal] = field(default_factory=list)

    def add(self, others: Changes) -> None:
        """What a further ingest did."""
        self.races |= others.races
        self.created |= others.created
        self.changed |= others.changed
        self.moved |= others.moved
        self.refused |= others.refused
        self.noted |= others.noted
        self.reversals += others.reversals


def apply(snapshots: Iterable[RaceSnapshot], *, now: datetime) -> Changes:
    """Writes what changed. Idempotent; of two snapshots of one race the newer counts, then the fuller one."""
    latest: dict[Key, RaceSnapshot] = {}
    for snapshot in snapshots:
        known = latest.get(snapshot.key)
        latest[snapshot.key] = join_snapshots(known, snapshot) if known else snapshot
    if not latest:
        return Changes()
    with transaction.atomic():
        races = _known_races(latest)
        meeting_before = {race.pk: race.meeting_id for race in races.values()}
        news = _accepted(latest, races, now=now)
        meetings, renamed = _write_meetings(news)
        changes, detailed = _update_races(news, races, meetings, now=now)
        created = _create_races(news, races, meetings, now=now)
        changes.created = {race.pk for race in created.values()}
        changes.changed |= changes.created
        changes.races = {key: race.pk for key, race in (races | created).items()}
        taken = {snapshot.key for snapshot in news}
        changes.refused = {race.pk for key, race in races.items() if key not in taken}
        detailed += [told for told in news if told.key in created and told.scope is Scope.FULL]
        _write_runners({changes.races[told.key]: told for told in detailed if told.runners is not None})
        moved = {race.meeting_id for race in races.values() if race.pk in changes.moved}
        for race in races.values():
            if race.meeting_id != meeting_before[race.pk]:  # both meetings may have another first race now
                moved |= {race.meeting_id, meeting_before[race.pk]}
        renamed |= _set_racing_days(meetings, {race.meeting_id for race in created.values()} | moved | renamed)
        if renamed:
            # In a transaction of its own: here it would lock races behind others, against the order of all locks.
            raise_versions = partial(_raise_versions, renamed, but=frozenset(changes.created), now=now)
            transaction.on_commit(raise_versions, robust=True)
    return changes


def _accepted(latest: dict[Key, RaceSnapshot], races: dict[Key, Race], *, now: datetime) -> list[RaceSnapshot]:
    """The answers that are not older than what is stored; keeps the provider's clock on each race."""
    before = {key: [getattr(race, name) for name in CLOCK] for key, race in races.items()}
    news = [answer for key, answer in latest.items() if key not in races or accept_answer(races[key], answer, now=now)]
    ticked = [race for key, race in races.items() if before[key] != [getattr(race, name) for name in CLOCK]]
    write_fields(ticked, CLOCK)
    return news


def request_detail(race_ids: Iterable[int]) -> None:
    """Notes that the detail of these races is wanted, whatever their next status says."""
    if owed := list(race_ids):
        Race.objects.filter(pk__in=owed).update(detail_wanted=True)


def create_race(told: RaceSnapshot, *, now: datetime) -> Race:
    """Stores a race that was made by hand, which must be new; a meeting that is known stays as it is."""
    meeting = _admitted_meeting(told.meeting) if told.meeting else None
    race = new_race(told, meeting=meeting, now=now)
    race.save(force_insert=True)
    if meeting and meeting.racing_day is None:
        meeting.racing_day = race.advertised_start.astimezone(meeting.zone).date()
        meeting.save(update_fields=["racing_day"])
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
    return {race.key: race for race in Race.objects.filter(wanted).locked()}


def _write_meetings(snapshots: Sequence[RaceSnapshot]) -> tuple[dict[Key, Meeting], set[int | None]]:
    """The meetings that were told of, by identity; made where they are new and their track is told.

    Also the keys of those that were known and have changed.
    """
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
    # Another writer may have stored them since they were looked for: a poll beside an import.
    Meeting.objects.bulk_create(
        new.values(), update_conflicts=True, unique_fields=IDENTITY, update_fields=MEETING_FACTS
    )
    _write_in_order(changed, MEETING_FACTS)
    return known | new, {meeting.pk for meeting in changed}


def _set_racing_days(meetings: dict[Key, Meeting], touched: set[int | None]) -> set[int | None]:
    """Each meeting's day is that of its first race, in the track's own time. Returns the keys of those that moved."""
    known = {meeting.pk: meeting for meeting in meetings.values() if meeting.pk in touched}
    firsts = Race.objects.filter(meeting__in=known).values_list("meeting").annotate(first=Min("advertised_start"))
    moved = []
    for pk, first in firsts if known else ():
        day = first.astimezone(known[pk].zone).date()
        if day != known[pk].racing_day:
            known[pk].racing_day = day
            moved.append(known[pk])
    _write_in_order(moved, ["racing_day"])
    return {meeting.pk for meeting in moved}


def _write_in_order(meetings: Sequence[Meeting], fields: Iterable[str]) -> None:
    """Under locks taken in primary-key order, so that no two writers can wait for each other."""
    if meetings:
        pks = [meeting.pk for meeting in meetings]
        list(Meeting.objects.filter(pk__in=pks).order_by("pk").select_for_update(no_key=True))
        write_fields(meetings, fields)


def _raise_versions(meeting_ids: set[int | None], *, but: frozenset[int], now: datetime) -> None:
    """A meeting's change is one of all its races, so that they are pushed."""
    with transaction.atomic():
        races = Race.objects.filter(meeting__in=meeting_ids).exclude(pk__in=but)
        pks = list(races.locked().values_list("pk", flat=True))
        Race.objects.filter(pk__in=pks).update(version=F("version") + 1, last_changed_at=now)


def mark_off_card(
    provider: str, listed: Collection[str], unsure: Collection[str], *, since: datetime, until: datetime, now: datetime
) -> tuple[list[Race], list[Race]]:
    """Marks the races that a whole card should list and does not, and clears the mark of those that came back.

    Returns both; a race that is marked already is not returned again. Races that have ended need no card.
    """
    of_provider = Race.objects.filter(provider=provider).exclude(provider_race_id="").select_related("meeting")
    expected = of_provider.open().filter(off_card_since=None, advertised_start__gte=since, advertised_start__lte=until)
    expected = expected.exclude(meeting__provider_meeting_id__in=unsure)
    with transaction.atomic():
        gone = [race for race in expected.locked() if race.provider_race_id not in listed]
        back = [race for race in of_provider.exclude(off_card_since=None).locked() if race.provider_race_id in listed]
        Race.objects.filter(pk__in=[race.pk for race in gone]).update(off_card_since=now)
        Race.objects.filter(pk__in=[race.pk for race in back]).update(off_card_since=None)
    return gone, back


def _meeting_of(told: RaceSnapshot, meetings: dict[Key, Meeting]) -> Meeting | None:
    return meetings.get((told.provider, told.meeting.provider_meeting_id)) if told.meeting else None


def _update_races(
    snapshots: Sequence[RaceSnapshot], races: dict[Key, Race], meetings: dict[Key, Meeting], *, now: datetime
) -> tuple[Changes, list[RaceSnapshot]]:
    """Also returns whose detail is new, by its hash, so that an unchanged poll reads no runner."""
    changes, fields, dirty, detailed = Changes(), set[str](), [], []
    for told in snapshots:
        if race := races.get(told.key):
            merged = merge_snapshot(race, told, meeting=_meeting_of(told, meetings), now=now)
            changed = merged.changed
            if reversal := reversal_of(race, told, merged):
                changes.reversals.append(reversal)
            if changed:
                fields |= changed
                dirty.append(race)
                (changes.changed if merged.has_content else changes.noted).add(race.pk)
            if "advertised_start" in changed:
                changes.moved.add(race.pk)
            # A row that could not be read says nothing of who is absent; without it the same field does.
            if changed & {"content_hash", "left_out"}:
                detailed.append(told)
    write_fields(dirty, fields)
    record_reversals(changes.reversals)
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


def _write_runners(answers_by_race: dict[int, RaceSnapshot]) -> None:
    """Runners are flagged when scratched or absent and never deleted; odds that moved leave a row behind."""
    known: dict[int, dict[tuple[int, str], Runner]] = {race_id: {} for race_id in answers_by_race}
    for runner in Runner.objects.filter(race__in=answers_by_race):
        known[runner.race_id][runner.number, runner.letter] = runner
    new: list[Runner] = []
    facts_changed: list[Runner] = []
    moves: list[tuple[Runner, datetime]] = []
    for race_id, answer in answers_by_race.items():
        absent = dict(known[race_id])
        for snapshot in answer.runners or ():
            stored = absent.pop((snapshot.number, snapshot.letter), None)
            runner = stored or Runner(race_id=race_id, number=snapshot.number, letter=snapshot.letter)
            if stored is None:
                new.append(runner)
            if set_runner(runner, snapshot, now=answer.observed_at) and runner.pk:
                facts_changed.append(runner)
            if set_odds(runner, snapshot):
                moves.append((runner, answer.observed_at))
        # Of a row that could not be read nobody knows whose it was.
        for runner in absent.values() if "runners" not in dict(answer.left_out) else ():
            if set_absent(runner, since=answer.observed_at):
                facts_changed.append(runner)
            if clear_odds(runner):
                moves.append((runner, answer.observed_at))
    odds_moved = [runner for runner, _ in moves if runner.pk]
    Runner.objects.bulk_create(new)
    write_fields(facts_changed, RUNNER_FIELDS)
    write_fields(odds_moved, ODDS)
    odds = ((runner.pk, at, *(getattr(runner, name) for name in ODDS)) for runner, at in moves)
    insert_rows(PriceChange, ("runner", "observed_at", *ODDS), odds)
