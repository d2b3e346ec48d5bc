"""Rows deleted in Appwrite, and tables that are gone: what a sweep makes of them, and when it waits."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.urls import reverse

from polling.appwrite import checkpoints
from polling.appwrite.pull import run as pull
from polling.appwrite.push import run as push
from polling.appwrite.sweep import run as sweep
from polling.appwrite.sweep.run import Swept
from polling.errors import Blocked
from polling.models import SyncCheckpoint, SyncConflict, SyncState
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, agreed, change, conflicts, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)


def checkpoint() -> SyncCheckpoint:
    return SyncCheckpoint.objects.get(table="races")


def test_a_row_deleted_there_is_made_again_and_logged(appwrite: Appwrite, race: Race) -> None:
    row_id = state_of(race).remote_id
    appwrite.delete(row_id)
    assert swept().deleted == 1
    assert conflicts() == [("$id", row_id, None, "local")]
    assert state_of(race).remote_deleted_at == NOW
    assert pushed().races.created == 1
    assert appwrite.row()["name"] == race.name
    assert state_of(race).remote_deleted_at is None
    assert (swept().deleted, checkpoint().repairs) == (0, 1)


def test_a_race_and_its_row_that_are_both_deleted_leave_nothing_behind(appwrite: Appwrite, race: Race) -> None:
    appwrite.delete(state_of(race).remote_id)
    race.delete()
    assert swept().deleted == 0
    pushed()
    assert not SyncState.objects.exists()
    assert appwrite.rows() == []


def test_a_row_that_is_pushed_while_the_sweep_reads_is_not_taken_for_deleted(
    appwrite: Appwrite, gate: Gate, race: Race
) -> None:
    appwrite.delete(state_of(race).remote_id)
    listings = []

    def push_meanwhile() -> None:
        """Between the listing that lacks the row and the confirmation that it is gone."""
        listings.append(True)
        if len(listings) == 1:
            change(race, name="Plate")
            push.run(now=NOW)
            push.run(now=NOW)
        connection.close()

    gate.after["GET"] = push_meanwhile
    assert swept().deleted == 0
    assert appwrite.row()["name"] == "Plate"
    assert state_of(race).remote_deleted_at is None


def test_a_race_made_while_the_sweep_reads_is_not_taken_for_deleted(appwrite: Appwrite, gate: Gate) -> None:
    made: list[Race] = []

    def make_one() -> None:
        if not made:
            made.append(make_race())
            push.run(now=NOW)
        connection.close()

    gate.after["GET"] = make_one
    assert swept().deleted == 0
    assert not SyncConflict.objects.exists()


def test_more_deletions_than_usual_wait_for_a_person(appwrite: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    races = agreed(appwrite, 22)
    for race in races[:21]:
        appwrite.delete(state_of(race).remote_id)
    why = "21 of 22 rows were deleted since the last sweep, more than 20"
    for minutes in (0, 10):
        done = swept(NOW + timedelta(minutes=minutes))
        assert (done.deleted, done.deletion_guard, checkpoint().deletion_guard) == (0, why, why)
    change(races[0], name="Plate")
    pushed()
    assert len(appwrite.rows()) == 1, "nothing is recreated"
    assert not SyncConflict.objects.exists()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert checkpoints.release_deletions("races")
    assert not checkpoints.release_deletions("races")
    assert swept(NOW + timedelta(minutes=20)).deleted == 21
    assert pushed().races.created == 21
    assert swept() == Swept(rows=22, finished=True)
    assert {row["name"] for row in appwrite.rows()} >= {"Plate"}


def test_while_the_deletion_guard_is_on_it_says_what_later_sweeps_have_found(appwrite: Appwrite) -> None:
    races = agreed(appwrite, 30)
    for minutes, number in ((0, 21), (10, 5)):
        for race in races[:number]:
            appwrite.delete(state_of(race).remote_id)
        del races[:number]
        swept(NOW + timedelta(minutes=minutes))
    assert checkpoint().deletion_guard == "26 of 30 rows were deleted since the last sweep, more than 20"


def test_as_many_deletions_as_usual_are_made_again(appwrite: Appwrite) -> None:
    for race in agreed(appwrite, 21)[:20]:
        appwrite.delete(state_of(race).remote_id)
    assert swept().deleted == 20


def test_while_the_deletion_guard_is_on_edits_come_in_and_rows_that_are_back_are_no_deletions(
    appwrite: Appwrite,
) -> None:
    races = agreed(appwrite, 22)
    kept = {row["$id"]: row for row in appwrite.rows()}
    appwrite.delete_all()
    assert swept().deletion_guard
    for row in kept.values():
        values = {name: value for name, value in row.items() if name[0] != "$" and value is not None}
        appwrite.create(row["$id"], **values)
    appwrite.edit(state_of(races[0]).remote_id, staff_note="restored")
    generation = checkpoint().table_generation
    assert swept().deletion_guard
    assert (checkpoint().table_generation, checkpoint().pass_began_at) == (generation + 1, ""), (
        "the table was recreated"
    )
    checkpoints.release_deletions("races")
    assert swept().deleted == 0
    races[0].refresh_from_db()
    assert races[0].staff_note == "restored"
    assert not SyncConflict.objects.exists()


def test_a_table_that_is_emptied_by_a_mishap_is_no_deletion_of_races(appwrite: Appwrite) -> None:
    agreed(appwrite, 21)
    appwrite.fault("table_recreated", path_contains="/tables/races/")
    assert swept().deletion_guard.startswith("21 of 21 rows")
    assert Race.objects.count() == 21


@pytest.mark.parametrize("whole", ["database_deleted", "table"])
def test_a_database_or_table_that_is_gone_is_an_error_and_deletes_nothing(
    appwrite: Appwrite, doomed: Race, whole: str, caplog: pytest.LogCaptureFixture
) -> None:
    if whole == "table":
        assert appwrite.api.call("DELETE", appwrite.path.removesuffix("/rows")).status_code == 204
    else:
        appwrite.fault(whole, path_contains="/tables/races/")
    done = sweep.run(now=NOW)
    assert isinstance(done.error, Blocked)
    assert "appwrite_schema apply" in str(done.error)
    assert (done.finished, done.deleted, state_of(doomed).remote_deleted_at) == (False, 0, None)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param("key_revoked", "Blocked: ", id="the key is revoked"),
        pytest.param("database_deleted", "appwrite_schema apply", id="the database is deleted"),
    ],
)
def test_the_sync_page_says_what_befell_appwrite(
    appwrite: Appwrite, doomed: Race, admin_client: Client, fault: str, words: str
) -> None:
    page = reverse("sync")
    with time_machine.travel(NOW, tick=False):
        assert "nothing waits for a decision" in admin_client.get(page).content.decode()
    appwrite.fault(fault, path_contains="/tables/races/")
    assert isinstance(pull.run(now=NOW).error, Blocked)
    response = admin_client.get(page)
    assert [words in line for line in response.context["sync_status"].problems] == [True]
    assert words in response.content.decode()
