"""Poll logs that Appwrite has lost are found and sent again, and nothing is read or written beyond that."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django_q.models import OrmQ

from polling import clock, tasks
from polling.appwrite import status
from polling.appwrite.api.client import connect
from polling.appwrite.api.rows import Rows
from polling.appwrite.lease import Lease
from polling.appwrite.push import run as push
from polling.appwrite.push.logs import TABLE, UnsentLogs
from polling.appwrite.schema import provision as schema
from polling.appwrite.sweep import logs as sweep_logs
from polling.appwrite.sweep import run as sweep
from polling.errors import Blocked
from polling.models import PollLog, PollState
from races.models import Race
from tests.appwrite.conftest import DATABASE, NOW, Appwrite, pushed, swept
from tests.factories import make_log, make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(minutes=15)


@pytest.fixture
def logs(appwrite: Appwrite, settings: Any) -> Appwrite:
    """The table of poll logs, which all logs go to."""
    settings.APPWRITE_POLL_LOGS = "all"
    return Appwrite(appwrite.api, "poll_logs")


def send(count: int, **values: Any) -> Race:
    """So many logs of a race, which Appwrite has."""
    race = make_race()
    PollLog.objects.bulk_create(_log(race, number, values) for number in range(count))
    assert pushed().logs == count
    return race


def _log(race: Race, number: int, values: dict[str, Any]) -> PollLog:
    at = NOW - timedelta(hours=1, seconds=number)
    plain = {"trigger": "slot", "state": PollState.OK.value, "started_at": at, "finished_at": at}
    return PollLog(race=race, slot_at=at, **plain | values)


def logs_status() -> status.TableStatus:
    return status.numbers(now=LATER).tables[1]


def is_equal(logs: Appwrite) -> bool:
    return {row["$id"] for row in logs.rows()} == {log.public_id.hex for log in PollLog.objects.all()}


def test_logs_that_were_deleted_in_appwrite_are_sent_again(logs: Appwrite) -> None:
    send(30)
    pushed(NOW + timedelta(minutes=10))  # so the search for unsent logs begins behind these
    for row in logs.rows()[:3]:
        logs.delete(row["$id"])
    assert swept(LATER).logs == 3
    assert (logs_status().in_sync, logs_status().dirty, logs_status().repairs) == (27, 3, 3)
    assert pushed(LATER).logs == 3
    assert is_equal(logs)
    assert (logs_status().in_sync, logs_status().dirty) == (30, 0)
    assert swept(LATER + timedelta(minutes=15)).logs == 0


def test_a_table_that_was_deleted_and_made_again_is_filled_again(
    logs: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    send(250)
    path = f"/tablesdb/{DATABASE}/tables/poll_logs"
    assert logs.api.call("DELETE", path).status_code == 204
    client = connect()
    assert client is not None
    schema.apply(client)
    assert swept(LATER).logs == 250
    assert [record.getMessage() for record in caplog.records] == [
        "250 poll logs were gone from Appwrite and are sent again"
    ]
    assert pushed(LATER).logs == 250
    assert len(logs.rows()) == 250


def test_a_lost_table_is_noticed_in_the_first_range_and_read_to_its_end_at_once(
    logs: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_logs, "RANGE", 10)
    monkeypatch.setattr(sweep_logs, "RANGES_A_RUN", 2)
    send(95)
    logs.delete_all()
    assert swept(LATER).logs == 95


def test_a_sweep_looks_at_a_few_ranges_and_the_next_one_at_the_following(
    logs: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_logs, "RANGE", 10)
    monkeypatch.setattr(sweep_logs, "RANGES_A_RUN", 2)
    send(60)
    last = max(row["$id"] for row in logs.rows())
    logs.delete(last)
    for minutes, found in ((0, 0), (10, 0), (20, 1)):
        logs.forget()
        assert swept(LATER + timedelta(minutes=minutes)).logs == found
        assert len(logs.asked("GET", logs.path)) <= 3
    assert logs_status().swept_at is not None


def test_rows_that_are_not_ours_change_nothing(logs: Appwrite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polling.appwrite.api.rows.SWEEP_ROWS", 5)
    send(4)
    logs.create_many(*({"$id": f"{number:x}" * 8, "message": "not ours"} for number in range(16)))
    gone = sorted(log.public_id.hex for log in PollLog.objects.all())[2]
    logs.delete(gone)
    assert swept(LATER).logs == 1
    assert PollLog.objects.get(pushed_at=None).public_id.hex == gone


def test_in_the_mode_for_errors_only_errors_are_sent_again(logs: Appwrite, settings: Any) -> None:
    race = send(5)
    make_log(race, slot_at=NOW, state=PollState.FAILED, starts_incident=True)
    pushed()
    settings.APPWRITE_POLL_LOGS = "errors"
    logs.delete_all()
    assert swept(LATER).logs == 1
    assert pushed(LATER).logs == 1
    assert [row["state"] for row in logs.rows()] == ["failed"]
    settings.APPWRITE_POLL_LOGS = "none"
    logs.delete_all()
    assert swept(LATER).logs == 0


def test_logs_that_are_about_to_leave_by_age_are_not_sent_again(logs: Appwrite) -> None:
    send(3)
    logs.delete_all()
    assert swept(NOW + settings.RETENTION["POLL_LOGS"] - timedelta(minutes=30)).logs == 0


def test_a_push_that_looks_on_meanwhile_does_not_hide_what_was_found(logs: Appwrite) -> None:
    """The push has seen that there is nothing to send when the sweep finds lost logs, and ends after it."""
    send(3)
    pushed(NOW + timedelta(minutes=10))
    client = connect()
    assert client is not None
    waiting = UnsentLogs(Rows.within(client, TABLE, timedelta(minutes=1)), Lease(TABLE, now=LATER))
    logs.delete_all()
    swept(LATER)
    PollLog.objects.update(pushed_at=NOW)
    assert not waiting.has_more()
    PollLog.objects.update(pushed_at=None)
    assert pushed(LATER + timedelta(minutes=5)).logs == 3


def test_what_is_found_asks_for_a_push(logs: Appwrite) -> None:
    make_log(make_race(), slot_at=clock.now())
    pushed(clock.now())
    logs.delete_all()
    OrmQ.objects.all().delete()
    tasks.sweep()
    assert [task.func() for task in OrmQ.objects.all()] == ["polling.tasks.push"]


def test_a_table_that_is_gone_is_one_problem_and_races_are_swept_all_the_same(
    logs: Appwrite, appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    race = send(2)
    appwrite.edit(appwrite.row()["$id"], **{"staff_note": "hidden", "$updatedAt": "2020-01-01T00:00:00.000+00:00"})
    path = f"/tablesdb/{DATABASE}/tables/poll_logs"
    logs.api.call("DELETE", path)
    make_log(race, slot_at=NOW)
    assert isinstance(push.run(now=NOW).error, Blocked)
    for _ in range(2):
        done = sweep.run(now=LATER)
        assert isinstance(done.error, Blocked)
    assert (done.finished, Race.objects.get().staff_note) == (True, "hidden")
    assert [record.levelno for record in caplog.records if record.levelno >= logging.WARNING] == [logging.ERROR]
    client = connect()
    assert client is not None
    schema.apply(client)
    assert swept(LATER).logs == 2
    assert pushed(LATER).logs == 3
