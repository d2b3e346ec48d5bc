"""The one writer of provider facts: a provider's snapshots become meetings, races, runners and price changes.

All writes are bulk and in one transaction, and only what changed is written.
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
MEETING_IDENTITY = ("provider", "provider_meeting_id")
PROVIDER_CLOCK = ("source_time", "older_answers")


@dataclass
class Changes:
    """What an ingest did, as primary keys of races.

    `races` maps the identity of every snapshot's race that is stored to its key. `moved` are races with another start.
    `refused` are races whose snapshot was older than what is stored. `bookkept` are races of which only our own
    bookkeeping changed (their detail became due, or is not due any more): plan them again like the changed ones.
    """

    races: dict[Key, int] = field(default_factory=dict)
    created: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    bookkept: set[int] = field(default_factory=set)
    reversals: list[Reversal] = field(default_factory=list)

    def add(self, others: Changes) -> None:
        """Adds what a further ingest did."""
        self.races |= others.races
        self.created |= others.created
        self.changed |= others.changed
        self.moved |= others.moved
        self.refused |= others.refused
        self.bookkept |= others.bookkept
        self.reversals += others.reversals


def apply(snapshots: Iterable[RaceSnapshot], *, now: datetime) -> Changes:
    """Stores what changed in the snapshots, and returns what it did. Idempotent.

    Two snapshots of one race are joined: the newer counts, then the fuller one. A race that is not stored yet is
    created once a snapshot has its advertised start. Opens a transaction and locks the races in primary-key order.
    """
    by_race: dict[Key, RaceSnapshot] = {}
    for snapshot in snapshots:
        known = by_race.get(snapshot.key)
        by_race[snapshot.key] = join_snapshots(known, snapshot) if known else snapshot
    if not by_race:
        return Changes()
    with transaction.atomic():
        stored = Race.objects.filter(_have_identity(by_race, "provider_race_id")).locked()
        races = {race.key: race for race in stored}
        meeting_before = {race.pk: race.meeting_id for race in races.values()}
        accepted = _accepted_snapshots(by_race, races, now=now)
        meetings, renamed = _write_meetings(accepted)
        changes, detailed = _update_races(accepted, races, meetings, now=now)
        created = _create_races(accepted, races, meetings, now=now)
        changes.created = {race.pk for race in created.values()}
        changes.changed |= changes.created
        changes.races = {key: race.pk for key, race in (races | created).items()}
        taken = {snapshot.key for snapshot in accepted}
        changes.refused = {race.pk for key, race in races.items() if key not in taken}
        detailed += [each for each in accepted if each.key in created and each.scope is Scope.FULL]
        _write_runners({changes.races[each.key]: each for each in detailed if each.runners is not None})
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


def _accepted_snapshots(
    by_race: dict[Key, RaceSnapshot], races: dict[Key, Race], *, now: datetime
) -> list[RaceSnapshot]:
    """The snapshots that are not older than what is stored; writes the provider's clock to each race."""
    before = {key: [getattr(race, name) for name in PROVIDER_CLOCK] for key, race in races.items()}
    accepted = [each for key, each in by_race.items() if key not in races or accept_answer(races[key], each, now=now)]
    moved_on = [race for key, race in races.items() if before[key] != [getattr(race, name) for name in PROVIDER_CLOCK]]
    write_fields(moved_on, PROVIDER_CLOCK)
    return accepted


def request_detail(race_ids: Iterable[int]) -> None:
    """Marks these races so that their detail is fetched, whatever their next status says."""
    if keys := list(race_ids):
        Race.objects.filter(pk__in=keys).update(detail_wanted=True)


def create_race(snapshot: RaceSnapshot, *, now: datetime) -> Race:
    """Stores a race that somebody created by hand, and returns it. It must be new; a known meeting stays as it is."""
    meeting = _find_or_create_meeting(snapshot.meeting) if snapshot.meeting else None
    race = new_race(snapshot, meeting=meeting, now=now)
    race.save(force_insert=True)
    if meeting and meeting.racing_day is None:
        meeting.racing_day = race.advertised_start.astimezone(meeting.zone).date()
        meeting.save(update_fields=["racing_day"])
    return race


def _find_or_create_meeting(snapshot: MeetingSnapshot) -> Meeting | None:
    """None if the meeting is not known and the snapshot has no track."""
    key = {"provider": snapshot.provider, "provider_meeting_id": snapshot.provider_meeting_id}
    known = Meeting.objects.filter(**key).first()
    if known or not snapshot.name:
        return known
    meeting = Meeting(**key)
    set_meeting(meeting, snapshot)
    meeting.save(force_insert=True)
    return meeting


def _have_identity(keys: Collection[Key], id_field: str) -> Q:
    """Matches rows by their provider and the provider's own id, with one condition per provider."""
    matching = Q(pk__in=[])
    for provider in {provider for provider, _ in keys}:
        ids = [own_id for name, own_id in keys if name == provider]
        matching |= Q(**{"provider": provider, f"{id_field}__in": ids})
    return matching


def _write_meetings(snapshots: Sequence[RaceSnapshot]) -> tuple[dict[Key, Meeting], set[int | None]]:
    """Stores the snapshots' meetings; one that is new needs a track to be created.

    Returns the meetings by identity, and the primary keys of those that were known and changed.
    """
    reported = {(m.provider, m.provider_meeting_id): m for snapshot in snapshots if (m := snapshot.meeting)}
    stored = Meeting.objects.filter(_have_identity(reported, "provider_meeting_id"))
    known = {(m.provider, m.provider_meeting_id): m for m in stored}
    changed = [meeting for key, meeting in known.items() if set_meeting(meeting, reported[key])]
    new = {
        key: Meeting(provider=key[0], provider_meeting_id=key[1])
        for key, meeting in reported.items()
        if key not in known and meeting.name
    }
    for key, meeting in new.items():
        set_meeting(meeting, reported[key])
    # Another writer may have stored them since the query above: a poll beside an import.
    Meeting.objects.bulk_create(
        new.values(), update_conflicts=True, unique_fields=MEETING_IDENTITY, update_fields=MEETING_FACTS
    )
    _write_in_order(changed, MEETING_FACTS)
    return known | new, {meeting.pk for meeting in changed}


def _set_racing_days(meetings: dict[Key, Meeting], touched: set[int | None]) -> set[int | None]:
    """Sets each meeting's day to that of its first race, in the track's own time; returns the keys that changed."""
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
    """Writes meetings under locks taken in primary-key order, so that two writers never wait for each other."""
    if meetings:
        pks = [meeting.pk for meeting in meetings]
        list(Meeting.objects.filter(pk__in=pks).order_by("pk").select_for_update(no_key=True))
        write_fields(meetings, fields)


def _raise_versions(meeting_ids: set[int | None], *, but: frozenset[int], now: datetime) -> None:
    """Raises the version of the races of changed meetings, so that they are pushed to Appwrite."""
    with transaction.atomic():
        races = Race.objects.filter(meeting__in=meeting_ids).exclude(pk__in=but)
        pks = list(races.locked().values_list("pk", flat=True))
        Race.objects.filter(pk__in=pks).update(version=F("version") + 1, last_changed_at=now)


def mark_off_card(
    provider: str, listed: Collection[str], unsure: Collection[str], *, since: datetime, until: datetime, now: datetime
) -> tuple[list[Race], list[Race]]:
    """Marks races that a complete card should list and does not, and clears the mark of races that came back.

    `listed` has the provider's race ids on the card, `unsure` the ids of meetings that could not be read. Returns the
    newly marked races and those that came back. Races that have ended are left as they are.
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


def _meeting_of(snapshot: RaceSnapshot, meetings: dict[Key, Meeting]) -> Meeting | None:
    reported = snapshot.meeting
    return meetings.get((reported.provider, reported.provider_meeting_id)) if reported else None


def _update_races(
    snapshots: Sequence[RaceSnapshot], races: dict[Key, Race], meetings: dict[Key, Meeting], *, now: datetime
) -> tuple[Changes, list[RaceSnapshot]]:
    """Merges the snapshots of stored races and writes the changed fields.

    Also returns the snapshots whose detail is new by its hash, so that an unchanged poll reads no runner.
    """
    changes, fields, dirty, detailed = Changes(), set[str](), [], []
    for snapshot in snapshots:
        if race := races.get(snapshot.key):
            merged = merge_snapshot(race, snapshot, meeting=_meeting_of(snapshot, meetings), now=now)
            changed = merged.changed
            if reversal := reversal_of(race, snapshot, merged):
                changes.reversals.append(reversal)
            if changed:
                fields |= changed
                dirty.append(race)
                (changes.changed if merged.has_content else changes.bookkept).add(race.pk)
            if "advertised_start" in changed:
                changes.moved.add(race.pk)
            # An unreadable row may be any runner's; once every row is readable, the same field shows who is absent.
            if changed & {"content_hash", "left_out"}:
                detailed.append(snapshot)
    write_fields(dirty, fields)
    record_reversals(changes.reversals)
    return changes, detailed


def _create_races(
    snapshots: Sequence[RaceSnapshot], known: dict[Key, Race], meetings: dict[Key, Meeting], *, now: datetime
) -> dict[Key, Race]:
    """Stores races that are new. One without an advertised start cannot be planned, and waits until it has one."""
    new = {
        snapshot.key: new_race(snapshot, meeting=_meeting_of(snapshot, meetings), now=now)
        for snapshot in snapshots
        if snapshot.key not in known and snapshot.advertised_start
    }
    Race.objects.bulk_create(new.values())
    return new


def _write_runners(answers_by_race: dict[int, RaceSnapshot]) -> None:
    """Stores runners, marked when scratched or absent and never deleted, and a price change where odds moved."""
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
        # An unreadable row may be any runner's, so nobody is marked absent.
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
