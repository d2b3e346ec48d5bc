"""A failure is written only for what it was found with: not on rows that somebody has reconciled meanwhile."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from polling.appwrite import sync_state
from polling.appwrite.pull import run as pull
from polling.appwrite.push import run as push
from polling.errors import Unavailable
from tests.appwrite.conftest import NOW, TOO_EARLY, Appwrite, change, pushed, state_of
from tests.appwrite.gate import Gate
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=1)
NOTHING = (0, None, None, "")


def failure_of(race: Any) -> tuple[Any, ...]:
    state = state_of(race)
    return state.attempts, state.next_try_at, state.dead_since, state.error


def lost(body: Any) -> bytes:
    """An answer that cannot be read."""
    return b"{"


def test_a_row_that_a_pull_reconciled_meanwhile_keeps_no_failure(appwrite: Appwrite, gate: Gate) -> None:
    """The write lands and its answer is lost; before the failure is noted a pull sees the row."""
    race = make_race()
    pushed()
    change(race, name="Plate")

    def pull_first() -> None:
        del gate.after["PATCH"]
        assert pull.run(now=NOW).error is None

    gate.after["PATCH"] = pull_first
    gate.answer["PATCH"] = lost
    push.run(now=NOW)
    assert appwrite.row()["name"] == "Plate"
    assert failure_of(race) == NOTHING
    assert state_of(race).pushed_version == 2


def test_a_refusal_of_an_older_version_does_not_give_up_the_newer_one(appwrite: Appwrite, gate: Gate) -> None:
    race = make_race()
    pushed()
    change(race, actual_start=TOO_EARLY)

    def mended() -> None:
        gate.before.clear()
        change(race, actual_start=None, name="Plate")

    gate.before["PATCH"] = mended
    assert pushed().races.dead == 0
    assert failure_of(race) == NOTHING
    assert appwrite.row()["name"] == "Plate"


def test_a_row_that_failed_and_is_in_sync_hides_no_later_outage(
    appwrite: Appwrite, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stale, race = make_race(), make_race()
    pushed()
    past = NOW - timedelta(minutes=5)
    sync_state.states().filter(local_pk=stale.pk).update(attempts=3, error="Unavailable: gone", next_try_at=past)
    change(race, name="Plate")
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
    with caplog.at_level(logging.WARNING, logger="polling"):
        for minutes in range(3):
            assert isinstance(push.run(now=NOW + timedelta(minutes=10 * minutes)).error, Unavailable)
    assert len([record for record in caplog.records if "wait to be pushed" in record.getMessage()]) == 1
    assert failure_of(stale) == NOTHING
    assert state_of(race).attempts > 0


def test_a_row_that_waits_for_its_next_try_is_no_stale_one(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    change(race, name="Plate")
    appwrite.fault("status", status=500, method="PATCH", times=2)
    assert push.run(now=NOW).error
    assert sync_state.clear_stale_failures(now=LATER) == 0
    assert push.run(now=LATER).error
    assert state_of(race).attempts == 2


def test_a_heartbeat_that_fails_is_no_stale_failure(appwrite: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    race = make_race(last_poll_time=NOW - timedelta(minutes=2))
    pushed(NOW - timedelta(minutes=1, seconds=30))
    type(race).objects.filter(pk=race.pk).update(last_poll_time=NOW)
    appwrite.fault("status", status=500, method="PATCH", times=100)
    for minutes in range(3):
        push.run(now=NOW + timedelta(minutes=6 * minutes))
    assert len([record for record in caplog.records if "wait to be pushed" in record.getMessage()]) == 1
    assert state_of(race).attempts == 3


def test_deletions_fail_as_they_were_found(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    row = state_of(race)
    race.delete()
    appwrite.fault("status", status=500, method="DELETE")
    assert push.run(now=NOW).error
    assert sync_state.states().get(pk=row.pk).attempts == 1
    assert pushed(LATER).races.deleted == 1
