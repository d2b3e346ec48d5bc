"""Races that are gone from Django, and rows that are gone from Appwrite."""

from datetime import timedelta

import pytest

from polling.appwrite import push
from polling.errors import Unavailable
from polling.models import SyncState
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, pushed, state_of
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=1)


def test_the_row_of_a_race_that_is_gone_goes_with_it(appwrite: Appwrite) -> None:
    stays, goes = make_race(), make_race()
    pushed()
    goes.delete()
    appwrite.forget()
    assert pushed().races.deleted == 1
    assert len(appwrite.asked()) == 1
    assert appwrite.row()["$id"] == state_of(stays).remote_id
    assert SyncState.objects.count() == 1


def test_a_row_that_went_in_appwrite_too_is_done_with(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    appwrite.delete(state_of(race).remote_id)
    race.delete()
    assert pushed().races.deleted == 1
    assert not SyncState.objects.exists()


def test_a_row_edited_meanwhile_stays_and_belongs_to_nobody(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="keep it")
    race.delete()
    done = pushed()
    assert (done.races.deleted, done.races.merged) == (0, 1)
    assert appwrite.row()["staff_note"] == "keep it"
    assert not SyncState.objects.exists(), "so that it can become a race again"


def test_a_row_that_was_never_agreed_on_is_only_forgotten(appwrite: Appwrite) -> None:
    race = make_race()
    appwrite.fault("drop")
    assert push.run(now=NOW).trouble
    race.delete()
    appwrite.forget()
    assert pushed(LATER).races.deleted == 0
    assert appwrite.asked() == []
    assert not SyncState.objects.exists()


def test_a_deletion_waits_while_the_server_is_in_trouble(appwrite: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    races = [make_race() for _ in range(20)]
    pushed()
    Race.objects.all().delete()
    appwrite.fault("status", status=503, method="DELETE", times=100)
    done = push.run(now=NOW)
    assert isinstance(done.trouble, Unavailable)
    assert done.races.waiting == len(races)
    assert len(appwrite.asked("DELETE")) <= 16, "the other threads give up too"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    appwrite.heal()
    assert pushed(LATER).races.deleted == len(races)
    assert appwrite.rows() == []


def test_a_lost_reply_to_a_deletion_is_done_with_the_next_time(appwrite: Appwrite) -> None:
    make_race().delete()
    race, other = make_race(), make_race()
    pushed()
    race.delete()
    appwrite.fault("drop_after_commit", method="DELETE")
    assert pushed().races.waiting == 1
    change(other, name="Plate")
    done = pushed(LATER)
    assert (done.races.deleted, done.races.changed) == (1, 1)


def test_a_row_that_the_sweep_found_deleted_is_made_again(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    appwrite.delete(state_of(race).remote_id)
    found = {"base": {}, "base_updated_at": "", "base_sequence": "", "remote_deleted_at": NOW}
    SyncState.objects.update(**found, pushed_version=0)
    assert push.preview(now=NOW) == [f"re-create {state_of(race).remote_id}: {race}"]
    assert pushed().races.created == 1
    state = state_of(race)
    assert (state.remote_deleted_at, state.base_updated_at) == (None, appwrite.row()["$updatedAt"])
