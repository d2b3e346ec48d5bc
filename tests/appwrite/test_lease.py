"""One push per table at a time: who has the lease works, the others go away, and no request is lost."""

from datetime import timedelta
from typing import Any

import pytest

from polling.appwrite.lease import Lease, clear_wait, push_of
from polling.appwrite.push import run as push
from polling.models import SyncLease
from tests.appwrite.conftest import NOW, Appwrite, change, pushed
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
RACES = push_of("races")


def test_a_second_pusher_goes_away(appwrite: Appwrite) -> None:
    make_race()
    other = Lease(RACES, now=NOW)
    assert other.take()
    assert push.run(now=NOW).busy
    assert appwrite.asked() == []
    other.release()
    assert pushed().races.created == 1


def test_a_lease_whose_holder_died_is_taken_over(appwrite: Appwrite) -> None:
    make_race()
    assert Lease(RACES, now=NOW).take()
    assert push.run(now=NOW + timedelta(seconds=59)).busy
    assert pushed(NOW + timedelta(seconds=61)).races.created == 1


def test_a_request_that_finds_the_lease_held_is_not_lost(appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A race changes after the last look of a push, and the push that it asks for finds the lease held."""
    race = make_race()
    release = Lease.release
    found: list[bool] = []

    def just_before(self: Lease, **kwargs: Any) -> None:
        if not found:
            found.append(True)
            change(race, name="Plate")
            assert push.run(now=NOW).busy
        release(self, **kwargs)

    monkeypatch.setattr(Lease, "release", just_before)
    pushed()
    assert appwrite.row()["name"] == "Plate"


def test_a_lease_that_was_lost_is_not_renewed() -> None:
    mine, theirs = Lease(RACES, now=NOW), Lease(RACES, now=NOW + timedelta(minutes=2))
    assert mine.take()
    assert theirs.take()
    assert not mine.renew()
    mine.release()
    assert SyncLease.objects.get(work=RACES).holder != ""


def test_a_lease_that_is_released_with_a_wait_is_free_when_the_wait_is_over_or_cleared() -> None:
    first = Lease(RACES, now=NOW)
    assert first.take()
    first.release(wait=timedelta(minutes=1))
    assert not Lease(RACES, now=NOW + timedelta(seconds=50)).take()
    late = Lease(RACES, now=NOW + timedelta(seconds=70))
    assert late.take()
    clear_wait(RACES)
    assert late.renew(), "a lease that is held is no wait"
    late.release(wait=timedelta(minutes=1))
    clear_wait(RACES)
    assert Lease(RACES, now=NOW + timedelta(seconds=80)).take()
