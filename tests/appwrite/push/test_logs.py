"""Pushing poll logs: which, how many at a time, and never twice."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from polling.appwrite.api.client import connect
from polling.appwrite.mapping import race_row_id
from polling.appwrite.push import run as push
from polling.appwrite.schema import provision as schema
from polling.errors import Ambiguous, Blocked
from polling.models import PollLog, PollState, SyncCheckpoint
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, pushed
from tests.factories import make_log, make_race
from tests.sandbox.appwrite_api import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(minutes=2)


@pytest.fixture
def logs(appwrite: Appwrite) -> Appwrite:
    """The table of poll logs."""
    return Appwrite(appwrite.api, "poll_logs")


@pytest.fixture
def race(logs: Appwrite) -> Race:
    """A race that Appwrite has already."""
    race = make_race()
    pushed()
    logs.forget()
    return race


def make_logs(race: Race, count: int, **values: Any) -> list[PollLog]:
    start = NOW - timedelta(seconds=count)
    return [make_log(race, slot_at=start + timedelta(seconds=number), **values) for number in range(count)]


@pytest.mark.parametrize(("mode", "sent"), [("errors", ["failed"]), ("all", ["failed", "failed", "ok"]), ("none", [])])
def test_the_setting_says_which_logs_go(logs: Appwrite, race: Race, settings: Any, mode: str, sent: list[str]) -> None:
    settings.APPWRITE_POLL_LOGS = mode
    make_log(race, slot_at=NOW - timedelta(seconds=3))
    make_log(race, slot_at=NOW - timedelta(seconds=2), state=PollState.FAILED, starts_incident=True)
    make_log(race, slot_at=NOW - timedelta(seconds=1), state=PollState.FAILED)
    make_log(race, slot_at=NOW, state=PollState.RUNNING)
    assert pushed().logs == len(sent)
    assert sorted(row["state"] for row in logs.rows()) == sent


def test_a_log_shows_what_went_wrong(logs: Appwrite, race: Race) -> None:
    log = make_log(
        race, slot_at=NOW, state=PollState.FAILED, starts_incident=True,
        http_status=503, error_class="Unavailable", message="no answer",
    )  # fmt: skip
    pushed()
    row = logs.row()
    assert (row["$id"], row["race_id"]) == (log.public_id.hex, race_row_id(race))
    assert (row["trigger"], row["http_status"], row["error_class"], row["message"]) == (
        "slot",
        503,
        "Unavailable",
        "no answer",
    )
    log.refresh_from_db()
    assert log.pushed_at is not None


def test_a_log_names_the_row_that_its_race_was_matched_with(appwrite: Appwrite, logs: Appwrite) -> None:
    from polling.appwrite.pull import run as pull

    race = make_race()
    appwrite.create("made-there", provider=race.provider, provider_race_id=race.provider_race_id)
    pull.run(now=NOW)
    make_log(race, slot_at=NOW, state=PollState.FAILED, starts_incident=True)
    pushed()
    assert logs.row()["race_id"] == "made-there"


def test_logs_go_in_hundreds_and_never_again(logs: Appwrite, race: Race, settings: Any) -> None:
    settings.APPWRITE_POLL_LOGS = "all"
    make_logs(race, 230)
    assert pushed().logs == 230
    assert logs.asked() == [f"POST {logs.path}"] * 3
    logs.forget()
    assert pushed(LATER).logs == 0
    assert logs.asked() == []


def test_a_lost_reply_doubles_no_log(logs: Appwrite, race: Race, settings: Any) -> None:
    settings.APPWRITE_POLL_LOGS = "all"
    make_logs(race, 3)
    logs.fault("drop_after_commit")
    assert isinstance(push.run(now=NOW).error, Ambiguous)
    make_log(race, slot_at=NOW + timedelta(seconds=1))
    assert pushed(LATER).logs == 4
    assert len(logs.rows()) == 4
    assert not PollLog.objects.filter(pushed_at=None).exists()


def test_a_log_that_is_refused_is_named_and_the_others_go(
    logs: Appwrite, race: Race, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.APPWRITE_POLL_LOGS = "all"
    make_logs(race, 4)
    bad = make_log(race, slot_at=NOW, started_at=datetime(900, 1, 1, tzinfo=UTC))  # no year that Appwrite takes
    assert pushed().logs == 4
    [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert message.startswith(f"poll log {bad.pk} is not taken by Appwrite: ")
    bad.refresh_from_db()
    assert bad.pushed_at is not None, "it is done with"
    logs.forget()
    assert pushed().logs == 0
    assert logs.asked() == []


def test_a_table_that_lacks_a_column_is_the_set_up_and_no_log_is_given_up(
    appwrite: Appwrite, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.APPWRITE_DATABASE_ID, settings.APPWRITE_POLL_LOGS = "drifted-logs", "all"
    client = connect()
    assert client is not None
    schema.apply(client)
    appwrite.api.call("DELETE", "/tablesdb/drifted-logs/tables/poll_logs/columns/message")
    make_logs(make_race(), 3)
    assert isinstance(push.run(now=NOW).error, Blocked)
    assert len(caplog.records) == 1
    schema.apply(client)
    assert pushed(LATER).logs == 3


def test_logs_that_the_change_of_the_table_is_not_about_go_on(appwrite: Appwrite, settings: Any) -> None:
    """The column was made again with less room: what is too long for it waits, what comes after it goes too."""
    settings.APPWRITE_DATABASE_ID, settings.APPWRITE_POLL_LOGS = "narrow-logs", "all"
    client = connect()
    assert client is not None
    schema.apply(client)
    columns = "/tablesdb/narrow-logs/tables/poll_logs/columns"
    appwrite.api.call("DELETE", f"{columns}/message")
    appwrite.api.call("POST", f"{columns}/string", {"key": "message", "size": 5, "required": False})
    wait_until(lambda: appwrite.api.call("GET", f"{columns}/message").json()["status"] == "available")
    logs = make_logs(make_race(), 6)
    PollLog.objects.filter(pk=logs[2].pk).update(message="a long message")
    done = push.run(now=NOW)
    assert isinstance(done.error, Blocked)
    assert done.logs == 5
    assert list(PollLog.objects.filter(pushed_at=None)) == [logs[2]]


def test_a_failure_is_logged_once_and_so_is_its_end(
    appwrite: Appwrite, logs: Appwrite, race: Race, caplog: pytest.LogCaptureFixture
) -> None:
    make_log(race, slot_at=NOW, state=PollState.FAILED, starts_incident=True)
    logs.fault("status", status=401, times=100)
    with caplog.at_level(logging.INFO, logger="polling"):
        for minutes in (0, 2, 4):
            assert isinstance(push.run(now=NOW + timedelta(minutes=minutes)).error, Blocked)
        logs.heal()
        pushed(NOW + timedelta(minutes=6))
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert SyncCheckpoint.objects.get(table="poll_logs").error == ""
    assert len(logs.rows()) == 1


def test_logs_that_stay_here_are_not_read_again_and_again(logs: Appwrite, race: Race) -> None:
    """In the mode `errors` nearly all stay here. The search begins where the last one ended, by an index."""
    make_logs(race, 300)
    pushed()
    with CaptureQueriesContext(connection) as queries:
        pushed(NOW + timedelta(hours=1))
    [search] = [query["sql"] for query in queries if '"polling_polllog"' in query["sql"]]
    assert '"polling_polllog"."finished_at" >=' in search
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'' if connection.vendor == 'postgresql' else 'QUERY PLAN '}{search}")
        explained = " ".join(str(row) for row in cursor.fetchall())
    if connection.vendor == "sqlite":
        assert "poll_log_unpushed (finished_at>?)" in explained


def test_a_log_committed_late_is_found_all_the_same(logs: Appwrite, race: Race) -> None:
    pushed()
    make_log(race, slot_at=NOW - timedelta(minutes=2), state=PollState.FAILED, starts_incident=True)
    assert pushed(NOW + timedelta(minutes=1)).logs == 1


def test_rows_older_than_our_own_logs_go_once_a_day_and_by_their_ids(logs: Appwrite, race: Race) -> None:
    for days in (0, 1, 9):
        make_log(race, slot_at=NOW + timedelta(days=days), state=PollState.FAILED, starts_incident=True)
    pushed(NOW + timedelta(hours=1))
    assert len(logs.rows()) == 3
    logs.forget()
    pushed(NOW + timedelta(hours=20))
    assert logs.asked() == [], "a table that is new has nothing old"
    pushed(NOW + timedelta(days=9))
    assert [row["slot_at"][:10] for row in logs.rows()] == ["2026-12-02"]
    assert logs.asked("DELETE") == [f"DELETE {logs.path}"]
    logs.forget()
    pushed(NOW + timedelta(days=9, hours=23))
    assert logs.asked() == []


def test_rows_that_were_sent_leave_also_where_no_more_are_wanted(logs: Appwrite, race: Race, settings: Any) -> None:
    make_log(race, slot_at=NOW, state=PollState.FAILED, starts_incident=True)
    pushed(NOW + timedelta(hours=1))
    settings.APPWRITE_POLL_LOGS = "none"
    pushed(NOW + timedelta(days=1))
    assert len(logs.rows()) == 1
    pushed(NOW + timedelta(days=9))
    assert logs.rows() == []
