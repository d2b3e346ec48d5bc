"""The sweep: what no pull can see, found by comparing every row, over real HTTP to the stand-in."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django_q.models import OrmQ

from polling import tasks
from polling.appwrite import row_compare, status
from polling.appwrite.api import rows
from polling.appwrite.lease import SWEEP, Lease
from polling.appwrite.push import run as push
from polling.appwrite.sweep import run as sweep
from polling.appwrite.sweep.run import Swept
from polling.errors import Blocked, Unavailable
from polling.models import SyncCheckpoint, SyncConflict, SyncState
from races.models import Race
from tests.appwrite.conftest import NOW, PATIENCE, Appwrite, agreed, change, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = "2020-01-01T00:00:00.000+00:00"


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
    assert pulled().unmatched == 1
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
