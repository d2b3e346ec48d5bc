"""Many changes at once ask for one push, and none of them is lost."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django_q.models import OrmQ

from polling import dispatch, sync_queue, tasks
from polling.appwrite.pull import run as pull
from polling.appwrite.push import races as push_races
from polling.appwrite.push import run as push
from polling.appwrite.schema import table_faults
from tests.appwrite.conftest import NOW, Appwrite, change, pushed
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)


def test_twenty_changes_in_a_second_queue_one_push(appwrite: Appwrite) -> None:
    for _ in range(20):
        sync_queue.request_push()
    assert [entry.func() for entry in OrmQ.objects.all()] == ["polling.tasks.push"]


def test_a_change_after_the_push_began_queues_another(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    sync_queue.request_push()
    tasks.push()
    change(race, name="Plate")
    sync_queue.request_push()
    assert OrmQ.objects.count() == 2


def test_one_pass_waits_however_many_ask_for_it_until_it_begins(appwrite: Appwrite) -> None:
    for _ in range(3):
        sync_queue.request_sync()
    assert [entry.func() for entry in OrmQ.objects.all()] == ["polling.tasks.sync"]
    tasks.sync()
    sync_queue.request_sync()
    assert OrmQ.objects.count() == 2


def test_a_push_that_the_queue_lost_is_asked_for_again(appwrite: Appwrite) -> None:
    with time_machine.travel(NOW, tick=False):
        sync_queue.request_push()
    with time_machine.travel(NOW + dispatch.claim_lease() + timedelta(seconds=1), tick=False):
        sync_queue.request_push()
        sync_queue.request_push()
    assert OrmQ.objects.count() == 2


def test_without_appwrite_none_is_queued() -> None:
    sync_queue.request_push()
    assert not OrmQ.objects.exists()


def test_what_may_last_beyond_a_deadline_still_ends_before_the_task_is_killed(settings: Any) -> None:
    longest_push = push.BUDGET.total_seconds() + max(table_faults.DIAGNOSIS_SECONDS, push_races.READ_BACK_SECONDS)
    longest_pull = pull.BUDGET.total_seconds() + pull.FETCH_SECONDS
    assert max(longest_push, longest_pull) < settings.POLL_TASK_TIMEOUT.total_seconds()
    assert longest_push + longest_pull < sync_queue.SYNC_SECONDS


def test_a_pass_that_a_person_asks_for_has_the_time_of_the_scheduled_one(appwrite: Appwrite) -> None:
    sync_queue.request_sync()
    [entry] = OrmQ.objects.all()
    assert entry.task["timeout"] == sync_queue.SYNC_SECONDS
