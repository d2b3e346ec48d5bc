"""Changes that nobody reported: found by their content."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from polling import tasks
from polling.appwrite import sync_state
from polling.appwrite.push import full_scan
from polling.models import SyncState
from races.models import Race, Runner
from tests.appwrite.conftest import NOW, Appwrite, change, pulled, pushed, state_of
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + full_scan.EVERY


def rename(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE races_race SET name = %s", [name])


def test_a_change_by_raw_sql_is_pushed(appwrite: Appwrite) -> None:
    race = make_race(name="Cup")
    pushed()
    rename("Plate")
    assert pushed().races.changed == 0, "no version shows it"
    assert full_scan.run(now=NOW) == 1
    assert pushed().races.changed == 1
    assert appwrite.row()["name"] == "Plate"
    assert full_scan.run(now=LATER) == 0
    assert state_of(race).pushed_version == race.version


def test_a_runner_changed_past_its_race_is_found(appwrite: Appwrite) -> None:
    race = make_race()
    Runner.objects.create(race=race, number=4, name="Rata")
    pushed()
    Runner.objects.update(name="Kea")
    assert full_scan.run(now=NOW) == 1


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"dead_since": NOW}, id="was given up"),
        pytest.param({"remote_deleted_at": NOW}, id="was deleted in Appwrite"),
        pytest.param({"base": {"sync_version": 9}}, id="was written by a newer database of ours"),
    ],
)
def test_a_row_is_left_alone_that(appwrite: Appwrite, state: dict[str, Any]) -> None:
    make_race()
    pushed()
    rename("Plate")
    SyncState.objects.update(**state)
    assert full_scan.run(now=NOW) == 0


def test_the_last_poll_alone_is_no_difference(appwrite: Appwrite) -> None:
    make_race()
    pushed()
    Race.objects.update(last_poll_time=NOW)
    assert full_scan.run(now=NOW) == 0


def test_a_pass_goes_on_where_it_ended_and_begins_again_after_ten_minutes(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_scan, "CHUNK", 2)
    for _ in range(5):
        make_race()
    pushed()
    rename("Plate")
    found = [full_scan.run(now=NOW + timedelta(minutes=minute), budget=timedelta()) for minute in range(4)]
    assert found == [2, 2, 1, 0]
    assert not sync_state.states().filter(pushed_version=1).exists()
    pushed()
    rename("Cup")
    assert full_scan.run(now=LATER + timedelta(minutes=2)) == 5


def test_it_costs_no_more_queries_for_more_races(appwrite: Appwrite) -> None:
    make_race()
    full_scan.run(now=NOW)

    def queries(now: Any) -> int:
        rename(f"Plate {now}")
        with CaptureQueriesContext(connection) as seen:
            assert full_scan.run(now=now)
        return len(seen)

    pushed()
    one = queries(LATER)
    for _ in range(20):
        make_race()
    pushed()
    assert queries(2 * full_scan.EVERY + LATER) == one


def test_what_it_finds_asks_for_a_push(appwrite: Appwrite) -> None:
    make_race()
    pushed()
    rename("Plate")
    tasks.scan_for_changes()
    assert [entry.func() for entry in OrmQ.objects.all()] == ["polling.tasks.push"]


def test_without_appwrite_there_is_nothing_to_look_for() -> None:
    make_race()
    assert full_scan.run(now=NOW) == 0


def test_a_race_that_came_back_by_its_row_wipes_nothing_of_it_before_it_is_polled(appwrite: Appwrite) -> None:
    race = make_race()
    change(race, provider_status="Interim", last_poll_time=NOW)
    pushed()
    appwrite.edit(state_of(race).remote_id, polling_paused=True)
    Race.objects.all().delete()
    pushed()
    pulled(NOW + timedelta(minutes=1))
    pulled(NOW + timedelta(minutes=2))
    back = Race.objects.get()
    assert (back.polling_paused, back.version, back.provider_status) == (True, appwrite.row()["sync_version"], "")
    assert full_scan.run(now=LATER) == 0
    pushed(LATER)
    assert appwrite.row()["provider_status"] == "Interim"
