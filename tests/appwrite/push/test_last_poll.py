"""A race about to start shows in Appwrite that it is polled, though nothing else of it changes."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from polling.appwrite import lease, sync_state
from polling.appwrite.push import run as push
from polling.models import SyncConflict
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, pulled, pushed, state_of
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


def polled(race: Race, at: Any) -> None:
    Race.objects.filter(pk=race.pk).update(last_poll_time=at)


def test_a_poll_that_changed_nothing_is_shown_once_a_minute(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: 0.0))  # a push takes no time
    race = make_race()
    pushed()
    appwrite.forget()
    for quarter in range(1, 13):
        polled(race, NOW + quarter * MINUTE / 4)
        pushed(NOW + quarter * MINUTE / 4)
    assert (len(appwrite.asked("GET")), len(appwrite.asked("PATCH")), len(appwrite.asked())) == (3, 3, 6)
    assert appwrite.row()["last_poll_time"] == "2026-11-23T02:33:00.000+00:00"
    assert state_of(race).base["last_poll_time"] == "2026-11-23T02:33:00.000+00:00"


@pytest.mark.parametrize(
    "race",
    [
        pytest.param({"start": START + timedelta(hours=2)}, id="far from its start"),
        pytest.param({"status": "finalized", "finalized_by": "provider", "finalized_at": NOW}, id="ended"),
    ],
)
def test_a_poll_of_another_race_alone_is_no_reason_to_write(appwrite: Appwrite, race: dict[str, Any]) -> None:
    made = make_race(**race)
    pushed()
    polled(made, NOW + MINUTE)
    appwrite.forget()
    pushed(NOW + 2 * MINUTE)
    assert appwrite.asked() == []


def test_a_lost_reply_to_it_is_no_conflict(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    polled(race, NOW + MINUTE)
    appwrite.fault("drop_after_commit", method="PATCH")
    assert push.run(now=NOW + 2 * MINUTE).error
    polled(race, NOW + 3 * MINUTE)
    pulled(NOW + 4 * MINUTE)
    pushed(NOW + 10 * MINUTE)
    assert not SyncConflict.objects.exists()
    assert not sync_state.failing().exists()
