"""What the server can do: asked before the first write, remembered, and a server that loses edits not written to."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from polling.appwrite import server_probe
from polling.appwrite.api import capabilities
from polling.appwrite.api.client import SyncClient, connect
from polling.appwrite.pull import run as pull
from polling.appwrite.push import run as push
from polling.errors import Blocked, PollingError
from polling.models import SyncServer, SyncState, UnmatchedRow
from races.models import Race
from tests.appwrite.conftest import DATABASE, NOW, TARGET, Appwrite, pulled, pushed
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LOGS = f"/tablesdb/{DATABASE}/tables/poll_logs/rows"
CANARY = f"{LOGS}/{capabilities.CANARY}"
ASKED = ["GET /health/version", f"POST {LOGS}", f"PATCH {CANARY}", f"DELETE {CANARY}"]


@pytest.fixture
def unknown(appwrite: Appwrite) -> Appwrite:
    """A server that Django has not asked yet."""
    SyncServer.objects.all().delete()
    return appwrite


def server() -> SyncServer:
    return SyncServer.objects.get()


def client() -> SyncClient:
    client = connect()
    assert client is not None
    return client


def test_the_first_push_asks_and_later_ones_do_not(unknown: Appwrite) -> None:
    make_race()
    pushed()
    assert unknown.asked()[:4] == ASKED
    assert (server().version, server().compares_and_sets, server().probed_at) == ("1.9.6", True, server().probed_at)
    assert server().problem == ""
    unknown.forget()
    make_race()
    pushed(NOW + timedelta(minutes=59))
    assert len(unknown.asked()) == 1


def test_the_row_it_asks_with_is_gone_afterwards_and_no_race(unknown: Appwrite) -> None:
    make_race()
    pushed()
    assert Appwrite(unknown.api, "poll_logs").rows() == []
    pulled()
    assert (Race.objects.count(), UnmatchedRow.objects.count(), len(unknown.rows())) == (1, 0, 1)


def test_at_rest_nothing_is_asked_however_long_ago_the_last_time_was(unknown: Appwrite) -> None:
    pushed(NOW + timedelta(days=9))
    assert unknown.asked() == []


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"version": "1.8.1", "probed_at": NOW}, id="another version"),
        pytest.param({"version": "1.9.6", "probed_at": NOW - timedelta(hours=1)}, id="an hour ago"),
        pytest.param({"version": "1.9.6", "probed_at": None}, id="in vain"),
    ],
)
def test_it_is_asked_again_after(unknown: Appwrite, known: dict[str, Any]) -> None:
    SyncServer.objects.create(target=TARGET, compares_and_sets=True, **known)
    make_race()
    pushed()
    assert unknown.asked()[:4] == ASKED
    assert server().version == "1.9.6"


def test_a_row_left_by_a_probe_that_was_killed_is_used_and_removed(unknown: Appwrite) -> None:
    Appwrite(unknown.api, "poll_logs").create(capabilities.CANARY, message="left")
    assert server_probe.run(client(), now=NOW).compares_and_sets is True
    assert Appwrite(unknown.api, "poll_logs").rows() == []


def test_two_that_probe_at_once_do_not_mislead_each_other(gate: Any, appwrite: Appwrite) -> None:
    """The other one removes the row before our write."""

    def other() -> None:
        del gate.before["PATCH"]
        assert appwrite.api.call("DELETE", CANARY).status_code == 204

    gate.before["PATCH"] = other
    assert server_probe.run(client(), now=NOW).compares_and_sets is True


def test_1_8_is_written_to_and_a_warning_says_once_that_it_is_read_back(
    old_appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    SyncServer.objects.all().delete()
    for hours in range(3):
        make_race()
        pushed(NOW + timedelta(hours=hours))
    assert (server().version, server().compares_and_sets, server().problem) == ("1.8.1", True, "")
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warned == [f"Appwrite 1.8.1: {capabilities.RACY_COMPARE_AND_SET}"]


def test_a_server_without_compare_and_set_is_not_pushed_to(
    careless: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    make_race()
    for minutes in (0, 2, 4):
        error = push.run(now=NOW + timedelta(minutes=minutes)).error
        assert isinstance(error, Blocked) and "no compare-and-set" in str(error)
    assert [request.method for request, _ in careless.log] == ["GET", "POST", "PATCH", "DELETE"]
    assert (server().compares_and_sets, "no compare-and-set" in server().problem) == (False, True)
    assert [record.levelname for record in caplog.records if record.name == server_probe.__name__] == ["ERROR"]
    assert not SyncState.objects.exists()
    careless.clear_log()
    push.run(now=NOW + timedelta(minutes=6))
    assert len(careless.log) == 4, "somebody may have corrected it"


FAULTS: list[Any] = [
    pytest.param({"kind": "key_revoked"}, "POST", "APPWRITE_API_KEY is not, or no longer, accepted", id="key revoked"),
    pytest.param({"kind": "html", "status": 200}, "POST", "answers with a web page: a login page", id="portal"),
    pytest.param({"kind": "html", "status": 200}, "GET", "answers with a web page: a login page", id="portal at once"),
    pytest.param({"kind": "redirect"}, "POST", "redirects to 127.0.0.1", id="redirect"),
    pytest.param({"kind": "redirect"}, "GET", "APPWRITE_ENDPOINT must name the final address", id="redirect at once"),
]


@pytest.mark.parametrize(("fault", "method", "words"), FAULTS)
def test_what_stands_in_the_way_is_stored_and_logged_once_and_again_when_it_is_over(
    unknown: Appwrite, fault: dict[str, Any], method: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_race()
    unknown.fault(**fault, method=method, times=2)
    for minutes in (0, 2):
        assert words in str(push.run(now=NOW + timedelta(minutes=minutes)).error)
        assert words in server().problem
        assert "\n" not in server().problem
    assert (server().probed_at, unknown.rows()) == (None, [])
    pushed(NOW + timedelta(minutes=4))
    assert (server().problem, len(unknown.rows())) == ("", 1)
    levels = [record.levelname for record in caplog.records if record.name == server_probe.__name__]
    assert levels == ["ERROR", "INFO"]


def test_a_database_that_was_deleted_is_named(unknown: Appwrite, settings: Any) -> None:
    settings.APPWRITE_DATABASE_ID = "deleted"
    make_race()
    assert "does not have the database of APPWRITE_DATABASE_ID" in str(push.run(now=NOW).error)
    assert "run `manage.py appwrite_schema apply`" in server().problem
    assert isinstance(pull.run(now=NOW).error, Blocked)


def test_a_table_that_lacks_its_columns_is_named(unknown: Appwrite, settings: Any) -> None:
    settings.APPWRITE_DATABASE_ID = "bare"
    for path, body in (("/tablesdb", {"databaseId": "bare"}), ("/tablesdb/bare/tables", {"tableId": "poll_logs"})):
        unknown.api.call("POST", path, {**body, "name": "x"})
    with pytest.raises(Blocked, match="the table poll_logs lacks columns of ours; run `manage.py appwrite_schema"):
        server_probe.run(client(), now=NOW)


@pytest.mark.parametrize("ask", [server_probe.run, server_probe.ensure])
def test_a_server_that_is_away_stays_what_it_was_known_to_be(
    unknown: Appwrite, settings: Any, ask: Callable[..., object]
) -> None:
    SyncServer.objects.create(target=TARGET, version="1.9.6", compares_and_sets=True)
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
    with pytest.raises(PollingError, match="127.0.0.1:1"):
        ask(client(), now=NOW)
    assert (server().version, server().compares_and_sets) == ("1.9.6", True)
