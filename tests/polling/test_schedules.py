"""The schedule rows: made by migrate, resolvable, and kept as the table says."""

import pydoc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from croniter import croniter
from django_q.models import Schedule

from polling import clock, schedules

pytestmark = pytest.mark.django_db


def test_migrate_has_made_every_row() -> None:
    assert set(Schedule.objects.values_list("name", "func")) == {(row.name, row.func) for row in schedules.rows()}


@pytest.mark.parametrize("row", schedules.rows(), ids=lambda row: row.name)
def test_every_task_path_leads_to_a_function(row: schedules.ScheduleRow) -> None:
    assert callable(pydoc.locate(row.func))


def test_the_tick_falls_on_every_slot_of_the_clock() -> None:
    tick = Schedule.objects.get(name="master tick")
    with time_machine.travel(datetime(2026, 11, 23, 3, 0, 1, tzinfo=UTC), tick=False):
        assert tick.calculate_next_run() == datetime(2026, 11, 23, 3, 0, 15, tzinfo=UTC)


def test_a_row_that_was_changed_by_hand_is_set_right_and_keeps_its_next_run() -> None:
    before = Schedule.objects.get(name="master tick")
    Schedule.objects.filter(pk=before.pk).update(func="os.getcwd", repeats=0)
    schedules.ensure()
    after = Schedule.objects.get(name="master tick")
    assert (after.func, after.repeats, after.next_run) == ("polling.tasks.master_tick", -1, before.next_run)


def test_a_row_left_far_ahead_by_a_wrong_clock_is_due_at_once() -> None:
    Schedule.objects.update(next_run=datetime(2099, 1, 1, tzinfo=UTC))
    schedules.ensure()
    soon = clock.now() + timedelta(seconds=1)
    assert all(row.next_run and row.next_run <= soon for row in Schedule.objects.all())


@pytest.mark.parametrize(("minutes", "following"), [(1, 1), (10, 10), (59, 59), (60, 60), (90, 60), (720, 720)])
def test_the_sweep_comes_every_so_many_minutes(minutes: int, following: int, settings: Any) -> None:
    settings.APPWRITE_SWEEP_MINUTES = minutes
    [cron] = [row.cron for row in schedules.rows() if row.name == "sweep Appwrite"]
    midnight = datetime(2026, 11, 23, 0, 0, 50, tzinfo=UTC)
    assert croniter(cron, midnight).get_next(datetime) == midnight + timedelta(minutes=following)


NOON = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)


def test_after_a_clock_was_set_back_every_row_comes_back_to_its_next_instant() -> None:
    with time_machine.travel(NOON + timedelta(hours=2), tick=False):
        for row in Schedule.objects.all():
            row.next_run = row.calculate_next_run()
            row.save()
    assert schedules.move_back(now=NOON) == len(schedules.rows())
    assert {row.name: row.next_run for row in Schedule.objects.all()} == {
        "master tick": NOON.replace(second=15),
        "sync with Appwrite": NOON.replace(second=15),
        "watch Appwrite's webhook": NOON.replace(second=35),
        "sweep Appwrite": NOON.replace(second=50),
        "import the card": NOON.replace(second=5),
        "flag races that do not end": NOON.replace(second=20),
        "look for changes past the sync": NOON.replace(second=40),
        "ping the monitor": NOON.replace(second=10),
        "delete old rows": NOON.replace(second=25),
    }


def test_rows_that_are_due_or_on_time_stay() -> None:
    Schedule.objects.update(next_run=NOON - timedelta(minutes=5))
    Schedule.objects.filter(name="master tick").update(next_run=NOON.replace(second=15))
    before = dict(Schedule.objects.values_list("name", "next_run"))
    assert schedules.move_back(now=NOON) == 0
    assert dict(Schedule.objects.values_list("name", "next_run")) == before
