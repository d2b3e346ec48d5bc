"""A refusal that is the table's is one problem: one message, no row is given up, and all go once it is mended."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from polling.appwrite import sync_state
from polling.appwrite.api.client import connect
from polling.appwrite.api.errors import FOREIGN_SERVICE
from polling.appwrite.pull import run as pull
from polling.appwrite.push import run as push
from polling.appwrite.schema import provision as schema
from polling.appwrite.schema.table_faults import TableRefuses
from polling.errors import Blocked, Unavailable
from polling.models import PollLog, PollState, SyncCheckpoint, SyncServer
from races.models import Race
from tests.appwrite.conftest import DATABASE, NOW, TOO_EARLY, Appwrite, change, configuration, empty, probed
from tests.factories import make_race
from tests.sandbox.appwrite_api import Client, running, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
# Enough to sync with, and too little to read columns.
ROWS_ALONE = "sandbox:rows.read,rows.write"


@pytest.fixture
def appwrite(tmp_path: Path, settings: Any) -> Iterator[Appwrite]:
    """A stand-in of its own: its tables are changed."""
    with running(tmp_path) as api:
        for name, value in configuration(api.port).items():
            setattr(settings, name, value)
        client = connect()
        assert client is not None
        schema.apply(client)
        empty(api)
        probed("1.9.6")
        yield Appwrite(api)


def require(api: Client, table: str = "races", key: str = "published") -> None:
    path = f"/tablesdb/{DATABASE}/tables/{table}/columns"
    made = api.call("POST", f"{path}/boolean", {"key": key, "required": True})
    assert made.status_code == 202, made.text
    wait_until(lambda: api.call("GET", f"{path}/{key}").json()["status"] == "available")


def drop(api: Client, table: str = "races", key: str = "published") -> None:
    path = f"/tablesdb/{DATABASE}/tables/{table}/columns/{key}"
    assert api.call("DELETE", path).status_code == 204


def alerts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("key", ["sandbox", ROWS_ALONE])
def test_a_column_that_appears_and_is_required_is_one_message_and_gives_up_no_row(
    appwrite: Appwrite, settings: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    races = [make_race() for _ in range(63)]
    assert push.run(now=NOW).error is None
    require(appwrite.api)
    settings.APPWRITE_API_KEY = key
    for race in races:
        change(race, name="Plate")
    for minutes in range(0, 30, 3):
        done = push.run(now=NOW + minutes * MINUTE)
        assert isinstance(done.error, TableRefuses)
        assert done.races.dead == 0
    [alert] = alerts(caplog)
    assert "published" in alert
    assert alert.startswith("63 rows wait")
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["ERROR"]
    assert not sync_state.states().filter(dead_since__isnull=False).exists()
    drop(appwrite.api)
    assert push.run(now=NOW + HOUR).error is None
    assert {row["name"] for row in appwrite.rows()} == {"Plate"}
    assert not sync_state.failing().exists()


@pytest.mark.parametrize("key", ["sandbox", ROWS_ALONE])
def test_one_race_at_a_time_makes_one_message_too(
    appwrite: Appwrite, settings: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    races = [make_race() for _ in range(5)]
    assert push.run(now=NOW).error is None
    require(appwrite.api)
    settings.APPWRITE_API_KEY = key
    for number, race in enumerate(races):
        change(race, name="Plate")
        push.run(now=NOW + number * 2 * MINUTE)
    assert len(alerts(caplog)) == 1
    assert not sync_state.states().filter(dead_since__isnull=False).exists()


def test_new_races_wait_too_and_cost_few_calls(appwrite: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    require(appwrite.api)
    for _ in range(150):
        make_race()
    appwrite.forget()
    done = push.run(now=NOW)
    assert isinstance(done.error, TableRefuses)
    assert len(appwrite.asked()) < 10
    assert len(alerts(caplog)) == 1
    drop(appwrite.api)
    assert push.run(now=NOW + HOUR).races.created == 150


def test_rows_that_the_change_of_the_table_is_not_about_go_on(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    """A column was made again with less room: what is too long for it waits, the rest goes."""
    races = [make_race() for _ in range(6)]
    assert push.run(now=NOW).error is None
    drop(appwrite.api, key="staff_note")
    path = f"/tablesdb/{DATABASE}/tables/races/columns"
    appwrite.api.call("POST", f"{path}/string", {"key": "staff_note", "size": 5, "required": False})
    wait_until(lambda: appwrite.api.call("GET", f"{path}/staff_note").json()["status"] == "available")
    for number, race in enumerate(races):
        change(race, staff_note="a long note" if number < 2 else "short")
    done = push.run(now=NOW)
    assert (done.error, done.races.changed, done.races.waiting, done.races.dead) == (None, 4, 2, 0)
    [alert] = alerts(caplog)
    assert "staff_note has the size 5" in alert


def test_a_row_that_is_itself_at_fault_is_given_up_as_ever(appwrite: Appwrite) -> None:
    good, bad = make_race(), make_race()
    assert push.run(now=NOW).error is None
    change(good, name="Plate")
    change(bad, actual_start=TOO_EARLY)
    done = push.run(now=NOW)
    assert (done.error, done.races.changed, done.races.dead) == (None, 1, 1)


def test_rows_given_up_for_one_reason_make_one_message(appwrite: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    races = [make_race() for _ in range(8)]
    assert push.run(now=NOW).error is None
    for race in races:
        change(race, actual_start=TOO_EARLY)
    assert push.run(now=NOW).races.dead == 8
    assert len(alerts(caplog)) == 1


def test_a_table_that_is_gone_is_one_message_for_any_number_of_rows(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    races = [make_race() for _ in range(130)]
    assert push.run(now=NOW).error is None
    appwrite.api.call("DELETE", f"/tablesdb/{DATABASE}/tables/races")
    for race in races:
        change(race, name="Plate")
    for minutes in range(0, 10, 2):
        push.run(now=NOW + minutes * MINUTE)
        pull.run(now=NOW + minutes * MINUTE)
    [alert] = alerts(caplog)
    assert "does not have our tables" in alert


def test_a_key_that_is_revoked_is_one_message_from_all_of_the_sync(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    race = make_race()
    assert push.run(now=NOW).error is None
    SyncServer.objects.update(probed_at=NOW - HOUR)
    change(race, name="Plate")
    appwrite.fault("key_revoked", times=None)
    for minutes in range(0, 10, 2):
        assert isinstance(push.run(now=NOW + minutes * MINUTE).error, Blocked)
        assert isinstance(pull.run(now=NOW + minutes * MINUTE).error, Blocked)
    [alert] = alerts(caplog)
    assert "APPWRITE_API_KEY" in alert


def test_an_error_that_needs_attention_is_logged_amid_an_outage(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    race = make_race()
    assert push.run(now=NOW).error is None
    change(race, name="Plate")
    appwrite.fault("status", status=503, times=1)
    assert isinstance(push.run(now=NOW).error, Unavailable)
    appwrite.fault("key_revoked", times=None)
    assert isinstance(push.run(now=NOW + HOUR).error, Blocked)
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["WARNING", "ERROR"]


# --- poll logs --------------------------------------------------------------------------------------------------------


def make_logs(race: Race, number: int) -> None:
    for minutes in range(number):
        PollLog.objects.create(
            race=race, slot_at=NOW + minutes * MINUTE, state=PollState.FAILED.value, starts_incident=True,
            started_at=NOW, finished_at=NOW,
        )  # fmt: skip


@pytest.mark.parametrize("key", ["sandbox", ROWS_ALONE])
def test_poll_logs_wait_for_their_table_too(
    appwrite: Appwrite, settings: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    race = make_race()
    assert push.run(now=NOW).error is None
    require(appwrite.api, "poll_logs")
    settings.APPWRITE_API_KEY = key
    make_logs(race, 30)
    for minutes in range(0, 10, 2):
        assert isinstance(push.run(now=NOW + minutes * MINUTE).error, TableRefuses)
    [alert] = alerts(caplog)
    assert "published" in alert
    assert PollLog.objects.filter(pushed_at=None).count() == 30
    drop(appwrite.api, "poll_logs")
    assert push.run(now=NOW + HOUR).logs == 30


def test_the_look_at_what_the_server_can_do_names_the_column(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    make_race()
    require(appwrite.api, "poll_logs")
    SyncServer.objects.all().delete()
    for minutes in range(0, 6, 2):
        assert isinstance(push.run(now=NOW + minutes * MINUTE).error, TableRefuses)
    [alert] = alerts(caplog)
    assert "poll_logs.columns published is required" in alert
    assert Appwrite(appwrite.api, "poll_logs").rows() == []


# --- what stands before Appwrite --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 502, 403])
def test_a_proxys_answer_is_tried_again_and_only_then_another_service(
    appwrite: Appwrite, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    race = make_race()
    assert push.run(now=NOW).error is None
    change(race, name="Plate")
    appwrite.fault("html", status=status, times=None)
    for minutes in range(4):
        assert isinstance(pull.run(now=NOW + minutes * MINUTE).error, Unavailable)
        assert not isinstance(push.run(now=NOW + minutes * MINUTE).error, Blocked)
    assert "ERROR" not in [record.levelname for record in caplog.records]
    for minutes in range(6, 60, 6):
        appwrite.heal()
        appwrite.fault("html", status=status if minutes % 4 else 503, times=None)
        pull.run(now=NOW + minutes * MINUTE)
    [alert] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert FOREIGN_SERVICE in alert
    assert FOREIGN_SERVICE in SyncCheckpoint.objects.get(table="races").error
    appwrite.heal()
    assert pull.run(now=NOW + HOUR).error is None
    assert push.run(now=NOW + HOUR).races.changed == 1
    assert SyncCheckpoint.objects.get(table="races").failing_since is None


def test_an_upgrade_that_ends_in_time_alarms_nobody(appwrite: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    for round_ in range(5):
        began = NOW + round_ * HOUR
        appwrite.fault("html", status=404, times=None)
        for minutes in range(4):
            pull.run(now=began + minutes * MINUTE)
        appwrite.heal()
        assert pull.run(now=began + 5 * MINUTE).error is None
    assert "ERROR" not in [record.levelname for record in caplog.records]
