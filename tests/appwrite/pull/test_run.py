"""Pulling what changed in Appwrite into Django, over real HTTP to the stand-in."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from polling.appwrite import mapping
from polling.appwrite.api import rows
from polling.appwrite.pull import run as pull
from polling.appwrite.pull.run import Pulled
from polling.errors import Blocked, Unavailable
from polling.models import SyncCheckpoint, SyncConflict, UnmatchedRow
from races.models import Race
from tests.appwrite.conftest import NOW, PATIENCE, Appwrite, change, conflicts, edit, pulled, pushed, state_of
from tests.appwrite.gate import Gate
from tests.factories import make_race
from tests.sandbox.appwrite_api import Client, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
FAR_AHEAD = "2099-01-01T00:00:00.000+00:00"


def test_nothing_changed_costs_one_read_and_no_write(appwrite: Appwrite, race: Race) -> None:
    assert pulled() == Pulled()
    pushed()
    assert appwrite.asked() == [f"GET {appwrite.path}"]


def test_echoes_of_our_own_writes_are_not_even_read(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(20)]
    pushed()
    for race in races:
        change(race, provider_status="Closed")
    pushed()
    appwrite.forget()
    assert pulled() == Pulled()
    assert appwrite.asked() == [f"GET {appwrite.path}"]


def test_a_notification_brings_just_its_rows_and_leaves_the_checkpoint(appwrite: Appwrite, race: Race) -> None:
    other = make_race()
    pushed()
    pulled()
    for some in (race, other):
        edit(appwrite, some, staff_note="x")
    before = SyncCheckpoint.objects.values().get(table="races")
    appwrite.forget()
    row_id = state_of(race).remote_id
    done = pull.run(row_ids=[row_id, row_id, "no-such-row", "../x", "", "a" * 40], now=NOW)
    assert (done.changed, done.taken, done.error) == (1, 1, None)
    assert appwrite.asked() == [f"GET {appwrite.path}"]
    assert pull.run(row_ids=[row_id], now=NOW).changed == 0
    assert SyncCheckpoint.objects.values().get(table="races") == before
    assert [Race.objects.get(pk=some.pk).staff_note for some in (race, other)] == ["x", ""]
    assert pulled().taken == 1


def test_a_notification_of_our_own_new_row_makes_no_second_race(appwrite: Appwrite, gate: Gate) -> None:
    """The webhook of a create may come before its reply has been noted."""
    for race_id in ("r1", ""):
        make_race(provider_race_id=race_id, meeting=None)
    notified: list[Pulled] = []

    def notify() -> None:
        notified.append(pull.run(row_ids=[row["$id"] for row in appwrite.rows()], now=NOW))
        connection.close()

    gate.after["POST"] = notify
    pushed()
    assert notified[0].changed == 2
    assert (Race.objects.count(), len(appwrite.rows())) == (2, 2)
    assert not SyncConflict.objects.exists()
    pushed()
    assert appwrite.asked("PATCH") == []


def test_a_notification_without_appwrite_or_with_it_down_raises_nothing(
    appwrite: Appwrite, race: Race, settings: Any
) -> None:
    appwrite.fault("drop")
    assert isinstance(pull.run(row_ids=[state_of(race).remote_id], now=NOW).error, Unavailable)
    settings.APPWRITE_ENDPOINT = ""
    assert pull.run(row_ids=["x"], now=NOW) == Pulled()


# --- how far it has got ---------------------------------------------------------------------------------------------


def test_the_first_pull_of_an_empty_table_starts_from_nothing(appwrite: Appwrite) -> None:
    assert pulled() == Pulled()
    checkpoint = SyncCheckpoint.objects.get(table="races")
    assert (checkpoint.updated_at, checkpoint.row_id, checkpoint.pulled_at) == ("", "", NOW)


def test_pages_by_values_lose_nothing_of_rows_that_share_an_instant(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGE_ROWS", 7)
    for _ in range(35):
        make_race()
    pushed()
    appwrite.edit_all(staff_note="x")
    SyncCheckpoint.objects.all().delete()
    assert pulled().taken == 35, "five pages that are just full"
    assert len({row["$updatedAt"] for row in appwrite.rows()}) == 1


def test_a_row_committed_late_behind_the_checkpoint_is_found(appwrite: Appwrite, race: Race) -> None:
    other = make_race()
    pushed()
    edit(appwrite, other, staff_note="on time")
    pulled()
    reached = SyncCheckpoint.objects.get(table="races").updated_at
    stamp = mapping.instant(datetime.fromisoformat(state_of(race).base_updated_at) + timedelta(milliseconds=1))
    assert stamp and stamp < reached
    edit(appwrite, race, staff_note="late", **{"$updatedAt": stamp})
    assert pulled().taken == 1
    assert SyncCheckpoint.objects.get(table="races").updated_at == reached


def test_a_write_that_waited_for_its_lock_is_found_behind_the_checkpoint(
    appwrite: Appwrite, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stamps a write before it gets the lock of the row; here it waits for as long as the machine takes."""
    monkeypatch.setattr(pull, "OVERLAP", PATIENCE)
    other = make_race()
    pushed()
    appwrite.fault("hold", method="PATCH")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(edit_apart, appwrite.port, f"{appwrite.path}/{state_of(race).remote_id}")
        wait_until(lambda: appwrite.api.control("GET", "held").json()["total"] == 1)
        edit(appwrite, other, staff_note="on time")
        assert pulled().taken == 1
        appwrite.api.control("POST", "release")
        assert waiting.result() == 200
    assert pulled().taken == 1
    assert SyncCheckpoint.objects.get(table="races").overlap_hits == 1
    assert Race.objects.get(pk=race.pk).staff_note == "late"


def edit_apart(port: int, path: str) -> int:
    """Over a connection of its own."""
    return Client(port).call("PATCH", path, {"data": {"staff_note": "late"}}).status_code


def test_a_stamp_from_the_future_does_not_carry_the_checkpoint_along(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, staff_note="from the future", **{"$updatedAt": FAR_AHEAD})
    assert pulled().taken == 1
    assert SyncCheckpoint.objects.get(table="races").updated_at < FAR_AHEAD
    other = make_race()
    pushed()
    edit(appwrite, other, staff_note="from now")
    assert pulled().taken == 1


def test_an_answer_that_comes_late_does_not_undo_a_newer_base(appwrite: Appwrite, gate: Gate, settings: Any) -> None:
    """A pull reads the row whole; before it can merge it, the race changes and is pushed in another thread."""
    race = make_race()
    pushed()
    edit(appwrite, race, staff_note="older")
    listings = []

    def push_meanwhile() -> None:
        listings.append(True)
        if len(listings) == 2:  # the thin list, then the whole rows
            change(race, staff_note="newer")
            pushed()
            connection.close()

    gate.after["GET"] = push_meanwhile
    done = pulled()
    assert (done.changed, done.taken) == (1, 0)
    gate.after.clear()
    pushed()
    pulled()
    assert appwrite.row()["staff_note"] == Race.objects.get().staff_note == "newer"
    assert conflicts() == [("staff_note", "newer", "older", "local")]


def test_a_page_that_is_cut_off_is_read_again(appwrite: Appwrite, race: Race) -> None:
    """The checkpoint moves after the rows, each of which is committed by itself; read again it changes nothing."""
    edit(appwrite, race, staff_note="x")
    before = SyncCheckpoint.objects.get(table="races").updated_at

    def killed(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and "synccheckpoint" in sql:
            raise SystemExit
        return execute(sql, *args)

    with pytest.raises(SystemExit), connection.execute_wrapper(killed):
        pulled()
    assert SyncCheckpoint.objects.get(table="races").updated_at == before
    assert Race.objects.get().staff_note == "x"
    version = Race.objects.get().version
    assert pulled().taken == 0
    assert Race.objects.get().version == version
    assert SyncCheckpoint.objects.get(table="races").updated_at > before


def test_counters_keep_echoes_apart_from_what_only_looking_back_has_found(appwrite: Appwrite, race: Race) -> None:
    def counted() -> tuple[int, int]:
        checkpoint = SyncCheckpoint.objects.get(table="races")
        return checkpoint.echoes, checkpoint.overlap_hits

    assert counted() == (1, 0)
    pulled()
    assert counted() == (1, 0), "a row that is listed again is no echo"
    change(race, name="Plate")
    pushed()
    pulled()
    assert counted() == (2, 0)
    stamp = mapping.instant(datetime.fromisoformat(state_of(race).base_updated_at) - timedelta(milliseconds=1))
    late = {"provider": "sandbox", "provider_race_id": "r9", "advertised_start": "2026-11-23T03:00:00Z"}
    appwrite.create("late", **late, **{"$updatedAt": stamp})
    pulled()
    pulled()
    assert counted() == (2, 1)


def test_two_pulls_at_once_never_move_the_checkpoint_back(appwrite: Appwrite, gate: Gate, race: Race) -> None:
    """The slower one has listed its page when another one gets ahead of it."""
    edit(appwrite, race, staff_note="x")
    reached: list[str] = []

    def overtake() -> None:
        gate.after.clear()
        other = make_race()
        pushed()
        edit(appwrite, other, staff_note="y")
        pulled()
        reached.append(SyncCheckpoint.objects.get(table="races").updated_at)
        connection.close()

    gate.after["GET"] = overtake
    pulled()
    assert SyncCheckpoint.objects.get(table="races").updated_at == reached[0]


def test_a_preview_says_what_a_pull_would_do_and_does_nothing(appwrite: Appwrite, race: Race) -> None:
    row_id = state_of(race).remote_id
    edit(appwrite, race, staff_note="x", name="Cup")
    appwrite.create("made", provider="sandbox", provider_race_id="r9", advertised_start="2026-11-23T03:00:00Z")
    appwrite.create_many({"$id": "a/b", "name": "bulk"})
    before = SyncCheckpoint.objects.values().get(table="races")
    assert pull.preview(now=NOW) == [
        f"row {row_id} ({race}): take staff_note; keep ours and log name",
        "row made: becomes a race",
        "row a/b: stays out: its id is one that Appwrite takes in bulk alone",
    ]
    assert SyncCheckpoint.objects.values().get(table="races") == before
    assert Race.objects.get().staff_note == ""
    assert not UnmatchedRow.objects.exists()


# --- errors ---------------------------------------------------------------------------------------------------------


def test_while_appwrite_is_down_nothing_escapes_and_the_edges_are_logged(
    appwrite: Appwrite, race: Race, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    edit(appwrite, race, staff_note="x")
    up = settings.APPWRITE_ENDPOINT
    with caplog.at_level(logging.INFO, logger="polling"):
        settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
        assert isinstance(pull.run(now=NOW).error, Unavailable)
        assert isinstance(pull.run(now=NOW).error, Unavailable)
        settings.APPWRITE_ENDPOINT = up
        assert pulled().taken == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"kind": "html", "status": 200}, Blocked, id="a login page"),
        pytest.param({"kind": "redirect"}, Blocked, id="a redirect"),
        pytest.param({"kind": "status", "status": 401}, Blocked, id="a revoked key"),
        pytest.param({"kind": "drop"}, Unavailable, id="no answer"),
        pytest.param({"kind": "html"}, Unavailable, id="a gateway's page"),
    ],
)
def test_a_fault_leaves_the_checkpoint_and_the_next_pull_goes_on(
    appwrite: Appwrite, race: Race, fault: dict[str, Any], error: type[Exception]
) -> None:
    edit(appwrite, race, staff_note="x")
    appwrite.fault(**fault)
    assert isinstance(pull.run(now=NOW).error, error)
    assert Race.objects.get().staff_note == ""
    assert pulled().taken == 1


def test_without_appwrite_nothing_happens_and_it_says_so(settings: Any) -> None:
    assert pull.run(now=NOW) == Pulled()
    assert not SyncCheckpoint.objects.exists()
