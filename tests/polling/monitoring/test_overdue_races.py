"""Races that do not end: flagged, reported once for each stage, polled on, and never ended by us."""

import logging
from datetime import datetime, timedelta

import pytest

from polling import planning, tick
from polling.models import Tick
from polling.monitoring.overdue_races import escalate, escalation
from races.models import Race
from races.status import Escalation, RaceStatus
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "past", "stage"),
    [
        (RaceStatus.SCHEDULED, -HOUR, Escalation.NONE),
        (RaceStatus.IN_PROGRESS, HOUR - timedelta(seconds=1), Escalation.NONE),
        (RaceStatus.IN_PROGRESS, HOUR, Escalation.LATE),
        (RaceStatus.SCHEDULED, 6 * HOUR - timedelta(seconds=1), Escalation.LATE),
        (RaceStatus.SCHEDULED, 6 * HOUR, Escalation.OVERDUE),
        (RaceStatus.IN_PROGRESS, 60 * HOUR, Escalation.OVERDUE),
        (RaceStatus.FINALIZED, 60 * HOUR, Escalation.NONE),
    ],
)
def test_the_stage_follows_from_status_and_time(status: RaceStatus, past: timedelta, stage: Escalation) -> None:
    assert escalation(status, START, now=START + past) is stage


def stages(*races: Race, now: datetime) -> list[str]:
    escalate(now=now)
    return [Race.objects.get(pk=race.pk).escalation for race in races]


def test_each_stage_is_reported_once_the_last_as_an_alert(caplog: pytest.LogCaptureFixture) -> None:
    races = [make_race() for _ in range(7)]
    for hours in (0.9, 1, 1.5, 6, 7, 30):
        stages(*races, now=START + hours * HOUR)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert "7 races" in caplog.text and "and 2 more" in caplog.text
    assert {race.escalation for race in Race.objects.all()} == {"overdue"}


def test_a_race_that_ends_or_whose_start_moves_loses_its_flag() -> None:
    ended, moved, late = make_race(), make_race(), make_race()
    assert stages(ended, moved, late, now=START + 2 * HOUR) == ["late"] * 3
    values = {"status": "finalized", "finalized_by": "provider", "finalized_at": START}
    Race.objects.filter(pk=ended.pk).update(**values)
    Race.objects.filter(pk=moved.pk).update(advertised_start=START + 3 * HOUR)
    assert stages(ended, moved, late, now=START + 2 * HOUR) == ["", "", "late"]


def test_a_race_that_does_not_end_is_polled_on_every_five_minutes_for_days() -> None:
    race = make_race(status="in_progress")
    planning.replan([race.pk], now=START + 2 * HOUR)
    for hours in (2, 7, 24, 72):
        slot = START + hours * HOUR + timedelta(minutes=5)
        assert isinstance(tick.run(now=slot), Tick)
        assert race.poll_logs.filter(slot_at=slot, state="claimed").exists()
        assert Race.objects.get(pk=race.pk).next_poll_at == slot + timedelta(minutes=5)
    race.refresh_from_db()
    assert race.status == "in_progress"


def test_old_races_of_a_card_just_imported_are_not_late_before_they_were_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = START + 7 * HOUR
    waiting, asked, unasked = make_race(), make_race(last_attempt_at=now), make_race()
    Race.objects.update(next_poll_at=now + timedelta(minutes=4))
    Race.objects.filter(pk=unasked.pk).update(next_poll_at=now - HOUR)
    assert stages(waiting, asked, unasked, now=now) == ["", "overdue", "overdue"]
    assert str(waiting) not in caplog.text
