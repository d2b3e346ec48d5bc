"""The sweep: what no pull can see, found by comparing every row, over real HTTP to the stand-in."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from polling import tasks
from polling.appwrite import checkpoints, row_compare, status
from polling.appwrite.api import rows
from polling.appwrite.api.client import connect
from polling.appwrite.lease import SWEEP, Lease
from polling.appwrite.pull import run as pull
from polling.appwrite.push import run as push
from polling.appwrite.schema.provision import apply
from polling.appwrite.sweep import run as sweep
from polling.appwrite.sweep.run import Swept
from polling.errors import Blocked, Unavailable
from polling.models import SyncCheckpoint, SyncConflict, SyncState
from races.models import Race
from tests.appwrite.conftest import NOW, PATIENCE, Appwrite, change, conflicts, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = "2020-01-01T00:00:00.000+00:00"


@pytest.fixture
def race(appwrite: Appwrite) -> Race:
    """A race that both sides agree on."""
    [race] = agreed(appwrite, 1)
    return race


def agreed(appwrite: Appwrite, number: int) -> list[Race]:
    races = [make_race() for _ in range(number)]
    pushed()
    pulled()
    appwrite.forget()
    return races


def checkpoint() -> SyncCheckpoint:
    return SyncCheckpoint.objects.get(table="races")


def small_pages(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for module in (rows, row_compare):
        monkeypatch.setattr(module, "SWEEP_ROWS", number)


def test_a_sweep_that_finds_nothing_costs_one_read_a_page_and_one_of_long_texts(appwrite: Appwrite, race: Race) -> None:
    assert swept() == Swept(rows=1, finished=True)
    assert appwrite.asked() == [f"GET {appwrite.path}"] * 2
    assert (checkpoint().swept_at, checkpoint().sweep_began_at, checkpoint().repairs) == (NOW, None, 0)
    assert pushed().races.changed == 0


# --- deletions --------------------------------------------------------------------------------------------------------


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


@pytest.fixture
def doomed(appwrite: Appwrite, race: Race) -> Iterator[Race]:
    """A race whose database may be deleted; it is created again afterwards."""
    yield race
    client = connect()
    assert client
    apply(client)


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
    assert [words in line for line in response.context["told"].problems] == [True]
    assert words in response.content.decode()


# --- writes that no pull finds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stamp",
    [
        pytest.param(LONG_AGO, id="back-dated"),
        pytest.param("", id="under the stamp that was read"),
    ],
)
def test_a_write_that_hides_from_pulls_is_merged(appwrite: Appwrite, race: Race, stamp: str) -> None:
    state = state_of(race)
    appwrite.edit(state.remote_id, **{"staff_note": "hidden", "$updatedAt": stamp or state.base_updated_at})
    assert pulled().taken == 0
    assert swept().taken == 1
    race.refresh_from_db()
    assert race.staff_note == "hidden"
    assert state_of(race).base_updated_at == (stamp or state.base_updated_at)
    assert (swept().taken, checkpoint().repairs) == (0, 1)


def test_after_a_back_dated_write_both_sides_go_on_as_before(appwrite: Appwrite, race: Race) -> None:
    row_id = state_of(race).remote_id
    appwrite.edit(row_id, **{"staff_note": "hidden", "$updatedAt": LONG_AGO})
    swept()
    change(Race.objects.get(), name="Plate")
    pushed()
    appwrite.edit(row_id, staff_note="seen")
    pulled()
    assert (Race.objects.get().staff_note, appwrite.row()["name"]) == ("seen", "Plate")
    assert not SyncConflict.objects.exists()


def test_an_older_answer_that_comes_late_is_not_taken_for_a_back_dated_write(
    appwrite: Appwrite, gate: Gate, race: Race
) -> None:
    """The sweep has read the row when the race changes and is pushed, before the sweep can merge what it read."""
    appwrite.edit(state_of(race).remote_id, **{"staff_note": "older", "$updatedAt": LONG_AGO})
    readings = []

    def push_meanwhile() -> None:
        readings.append(True)
        if len(readings) == 2:  # the listing, then the whole row
            change(race, staff_note="newer")
            push.run(now=NOW)
        connection.close()

    gate.after["GET"] = push_meanwhile
    assert swept().taken == 0
    gate.after.clear()
    swept()
    pushed()
    assert appwrite.row()["staff_note"] == Race.objects.get().staff_note == "newer"


def test_a_row_made_behind_the_checkpoint_becomes_a_race(appwrite: Appwrite, race: Race) -> None:
    values = {"provider": "sandbox", "provider_race_id": "r9", "advertised_start": "2026-11-23T03:00:00Z"}
    appwrite.create("made-there", **values, **{"$updatedAt": LONG_AGO})
    assert pulled().changed == 0
    assert swept().taken == 1
    assert Race.objects.filter(provider_race_id="r9").exists()


def test_a_recreated_row_keeps_our_values_and_is_merged_alone(appwrite: Appwrite) -> None:
    first, second = agreed(appwrite, 2)
    change(first, staff_note="ours")
    pushed()
    pulled()
    row_id = state_of(first).remote_id
    appwrite.delete(row_id)
    appwrite.create(row_id, polling_paused=True, **{"$updatedAt": LONG_AGO})
    before = checkpoint()
    assert swept().taken == 1
    first.refresh_from_db()
    assert (first.staff_note, first.polling_paused) == ("ours", True)
    assert (checkpoint().table_generation, checkpoint().updated_at) == (before.table_generation, before.updated_at)
    pushed()
    made = {row["$id"]: row for row in appwrite.rows()}[row_id]
    assert (made["staff_note"], made["name"]) == ("ours", first.name)
    assert not SyncConflict.objects.exists(), "what the new row lacks was not deleted by anybody"
    assert pulled().taken == 0
    assert state_of(second).base_sequence


def test_a_row_made_again_in_another_form_of_its_id_is_the_same_row(appwrite: Appwrite, race: Race) -> None:
    row_id = state_of(race).remote_id
    row = appwrite.row()
    appwrite.delete(row_id)
    values = {name: value for name, value in row.items() if name[0] != "$" and value is not None}
    appwrite.create(row_id.upper(), **{**values, "staff_note": "respelt"})
    assert pulled().left == 1
    swept()
    race.refresh_from_db()
    assert (race.staff_note, state_of(race).remote_id) == ("respelt", row_id.upper())
    change(race, name="Plate")
    pushed()
    assert appwrite.row()["name"] == "Plate"
    assert swept() == Swept(rows=1, finished=True)


def test_on_a_server_of_1_8_a_sweep_finds_nothing_where_nothing_is(old_appwrite: Appwrite) -> None:
    [race] = agreed(old_appwrite, 1)
    assert swept() == Swept(rows=1, finished=True)
    old_appwrite.edit(state_of(race).remote_id, **{"staff_note": "hidden", "$updatedAt": LONG_AGO})
    assert swept().taken == 1


# --- pages, budgets, company ------------------------------------------------------------------------------------------


def test_pages_that_are_just_full_lose_nothing(appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pages(monkeypatch, 3)
    races = agreed(appwrite, 15)
    for race in races:
        appwrite.edit(state_of(race).remote_id, **{"staff_note": "hidden", "$updatedAt": LONG_AGO})
    done = swept()
    assert (done.rows, done.taken) == (15, 15)
    appwrite.forget()
    assert swept().rows == 15
    assert len(appwrite.asked("GET")) == 7, "five full pages, the empty one behind them, and the long texts"


def test_a_sweep_that_is_cut_off_goes_on_where_it_ended(appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pages(monkeypatch, 4)
    races = agreed(appwrite, 10)
    gone = sorted(state_of(race).remote_id for race in races)[1]
    appwrite.delete(gone)
    appwrite.fault("status", status=503, after=3)  # two pages and a closer look pass
    assert isinstance(sweep.run(now=NOW).error, Unavailable)
    assert checkpoint().sweep_after_id == sorted(state_of(race).remote_id for race in races)[8]
    assert not SyncConflict.objects.exists(), "what was deleted is acted upon at the end"
    later = NOW + timedelta(minutes=10)
    done = swept(later)
    assert (done.rows, done.deleted) == (1, 1)
    assert checkpoint().swept_at == later
    assert swept(later).rows == 9


def test_a_sweep_without_time_reads_on_the_next_time(
    appwrite: Appwrite, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    appwrite.edit(state_of(race).remote_id, **{"staff_note": "hidden", "$updatedAt": LONG_AGO})
    with monkeypatch.context() as patched:
        patched.setattr(sweep, "SECONDS_PER_STEP", 2 * PATIENCE.total_seconds())
        done = sweep.run(now=NOW, budget=PATIENCE)
    assert (done.error, done.finished, done.taken) == (None, False, 0)
    assert swept().taken == 1


def test_only_one_sweep_runs_at_a_time(appwrite: Appwrite, race: Race) -> None:
    other = Lease(SWEEP, now=NOW)
    assert other.take()
    assert sweep.run(now=NOW) == Swept(busy=True)
    other.release()
    assert swept().rows == 1


def test_a_key_that_is_revoked_midway_is_an_error_and_the_next_sweep_goes_on(
    appwrite: Appwrite, race: Race, caplog: pytest.LogCaptureFixture
) -> None:
    appwrite.edit(state_of(race).remote_id, **{"staff_note": "hidden", "$updatedAt": LONG_AGO})
    appwrite.fault("key_revoked", after=1)
    assert isinstance(sweep.run(now=NOW).error, Blocked)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert swept().taken == 1


def test_a_sweep_that_fails_again_and_again_says_so_once_though_pulls_go_well(
    appwrite: Appwrite, race: Race, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="polling.appwrite"):
        for _ in range(3):
            appwrite.fault("status", status=503)
            assert isinstance(sweep.run(now=NOW).error, Unavailable)
            pulled()
        assert "the sweep" in status.numbers(now=NOW).problems[0]
        swept()
        assert status.numbers(now=NOW).problems == []
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_table_without_our_columns_is_an_error_that_says_what_to_do(
    appwrite: Appwrite, doomed: Race, caplog: pytest.LogCaptureFixture
) -> None:
    path = appwrite.path.replace("/rows", "/columns/staff_note")
    assert appwrite.api.call("DELETE", path).status_code == 204
    done = sweep.run(now=NOW)
    assert isinstance(done.error, Blocked)
    assert "lacks columns" in str(done.error)


def test_without_appwrite_nothing_is_swept(settings: Any) -> None:
    assert sweep.run(now=NOW) == Swept()
    with pytest.raises(Blocked):
        sweep.preview(now=NOW)


def test_a_preview_says_what_a_sweep_would_do_and_does_nothing(appwrite: Appwrite) -> None:
    hidden, deleted, same = agreed(appwrite, 3)
    ids = {race: state_of(race).remote_id for race in (hidden, deleted, same)}
    appwrite.edit(ids[hidden], **{"staff_note": "hidden", "$updatedAt": LONG_AGO})
    appwrite.delete(ids[deleted])
    appwrite.create("nameless", name="Cup")
    appwrite.forget()
    before = list(SyncCheckpoint.objects.values()) + list(SyncState.objects.values())
    assert sweep.preview(now=NOW) == [
        "row nameless: stays out: advertised_start is missing",
        f"row {ids[hidden]} ({hidden}): take staff_note",
        f"row {ids[deleted]} ({deleted}): deleted in Appwrite: recreated",
    ]
    assert list(SyncCheckpoint.objects.values()) + list(SyncState.objects.values()) == before
    assert not SyncConflict.objects.exists()
    assert {line.split()[0] for line in appwrite.asked()} == {"GET"}


def test_what_a_sweep_found_deleted_is_written_again_at_once(appwrite: Appwrite, race: Race) -> None:
    appwrite.delete(state_of(race).remote_id)
    OrmQ.objects.all().delete()
    tasks.sweep()
    assert [task.func() for task in OrmQ.objects.all()] == ["polling.tasks.push"]
    tasks.push()
    assert appwrite.row()["$id"] == state_of(race).remote_id
