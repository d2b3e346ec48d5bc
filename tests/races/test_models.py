"""A race's name: its track, its number, and the track's own day where that is not today."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from races import ingest
from races.models import Meeting, Race, names_of
from races.snapshots import MeetingSnapshot, RaceSnapshot, Scope
from races.status import RaceStatus

# A card in Ohio under its New Zealand day: 12:30 to 16:00 on the 28th at the track.
FIRST = datetime(2026, 11, 28, 17, 30, tzinfo=UTC)
PROVIDER_DAY = date(2026, 11, 29)


def report(race_id: str, start: datetime, *, meeting: str = "m1", state: str = "OH", **facts: Any) -> RaceSnapshot:
    zone = "America/New_York" if state == "OH" else ""
    at = MeetingSnapshot("tab", meeting, "Karewa Downs", "USA", state, "harness", PROVIDER_DAY, zone)
    return RaceSnapshot(
        "tab", race_id, Scope.STATUS, FIRST - timedelta(hours=6), meeting=at, advertised_start=start,
        status=RaceStatus.SCHEDULED, provider_status="Open", **facts,
    )  # fmt: skip


def store_reports(*snapshots: RaceSnapshot) -> None:
    ingest.apply(snapshots, now=FIRST - timedelta(hours=6))


@pytest.mark.django_db
def test_a_meeting_has_the_day_of_its_track_and_keeps_that_of_its_provider() -> None:
    store_reports(report("r1", FIRST, number=1), report("r2", FIRST + timedelta(hours=12), number=2))
    meeting = Meeting.objects.get()
    assert (meeting.racing_day, meeting.provider_day) == (date(2026, 11, 28), PROVIDER_DAY)
    assert str(meeting) == "Karewa Downs, 28 Nov"


@pytest.mark.django_db
def test_a_card_that_runs_past_midnight_keeps_the_day_of_its_first_race() -> None:
    store_reports(report("late", FIRST + timedelta(hours=12), number=9))  # 00:30 on the 29th at the track
    assert Meeting.objects.get().racing_day == date(2026, 11, 29)
    store_reports(report("r1", FIRST, number=1))
    assert Meeting.objects.get().racing_day == date(2026, 11, 28)
    assert {str(race) for race in Race.objects.all()} == {"Karewa Downs R9, 28 Nov", "Karewa Downs R1, 28 Nov"}


@pytest.mark.django_db(transaction=True)
def test_a_meeting_postponed_to_another_day_moves_with_its_races_which_are_pushed_again() -> None:
    store_reports(report("r1", FIRST, number=1), report("r2", FIRST + timedelta(minutes=30), number=2))
    versions = dict(Race.objects.values_list("provider_race_id", "version"))
    store_reports(
        report("r1", FIRST + timedelta(days=1), number=1), report("r2", FIRST + timedelta(days=1, minutes=30), number=2)
    )
    assert Meeting.objects.get().racing_day == date(2026, 11, 29)
    after = dict(Race.objects.values_list("provider_race_id", "version"))
    assert all(after[race] > version for race, version in versions.items())


@pytest.mark.django_db(transaction=True)
def test_a_track_under_another_name_is_a_change_of_its_races() -> None:
    store_reports(report("r1", FIRST, number=1))
    version = Race.objects.get().version
    renamed = report("r1", FIRST, number=1)
    assert renamed.meeting is not None
    Meeting.objects.update(name="Old Name")
    store_reports(renamed)
    assert Race.objects.get().version == version + 1
    store_reports(renamed)
    assert Race.objects.get().version == version + 1


@pytest.mark.django_db
def test_two_meetings_of_one_track_differ_by_their_days() -> None:
    store_reports(report("r1", FIRST, number=2), report("r2", FIRST + timedelta(days=1), meeting="m2", number=2))
    assert [str(race) for race in Race.objects.order_by("pk")] == ["Karewa Downs R2, 28 Nov", "Karewa Downs R2, 29 Nov"]
    assert names_of(list(Race.objects.order_by("pk")), now=FIRST) == "Karewa Downs R2, Karewa Downs R2, 29 Nov"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("now", "name"),
    [
        (datetime(2026, 11, 28, 5, 0, tzinfo=UTC), "Karewa Downs R2"),  # its midnight
        (datetime(2026, 11, 28, 4, 59, tzinfo=UTC), "Karewa Downs R2, 28 Nov"),
        (datetime(2026, 11, 29, 4, 59, tzinfo=UTC), "Karewa Downs R2"),
        (datetime(2026, 11, 29, 5, 0, tzinfo=UTC), "Karewa Downs R2, 28 Nov"),
    ],
)
def test_a_name_carries_the_day_where_it_is_not_today_at_the_track(now: datetime, name: str) -> None:
    store_reports(report("r1", FIRST, number=2))
    assert Race.objects.select_related("meeting").get().name_at(now) == name


def test_a_race_without_a_meeting_has_the_day_of_its_start() -> None:
    race = Race(provider="tab", number=None, advertised_start=FIRST)
    assert (str(race), race.name_at(FIRST)) == ("tab R?, 28 Nov", "tab R?")
