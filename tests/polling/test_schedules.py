"""The schedule rows: made by migrate, resolvable, and kept as the table says."""

import pydoc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django_q.models import Schedule

from polling import clock, schedules

pytestmark = pytest.mark.django_db


def test_migrate_has_made_every_row() -> None:
    assert set(Schedule.objects.values_list("name", "func")) == {(row.name, row.func) for row in schedules.rows()}


@pytest.mark.parametrize("row", schedules.rows(), ids=lambda row: row.name)
def test_every_task_path_leads_to_a_function(row: schedules.Row) -> None:
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


def test_a_row_left_far_ahead_by_a_wrong_clock_starts_anew() -> None:
    Schedule.objects.update(next_run=datetime(2099, 1, 1, tzinfo=UTC))
    schedules.ensure()
    soon = clock.now() + timedelta(seconds=1)
    assert all(row.next_run and row.next_run <= soon for row in Schedule.objects.all())


def test_a_task_is_not_delivered_again_while_it_may_still_run() -> None:
    queue: dict[str, Any] = settings.Q_CLUSTER
    assert queue["retry"] > queue["timeout"] * (2 + queue["queue_limit"] / queue["workers"])
