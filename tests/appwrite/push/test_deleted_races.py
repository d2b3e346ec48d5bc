"""Races that are gone from Django, and rows that are gone from Appwrite."""

from datetime import timedelta

import pytest

from polling.appwrite import checkpoints, sync_state
from polling.appwrite.push import run as push
from polling.errors import Unavailable
from polling.models import SyncConflict, SyncState
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, conflicts, pulled, pushed, state_of
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=1)


def test_the_row_of_a_race_that_is_gone_goes_with_it(appwrite: Appwrite) -> None:
    stays, goes = make_race(), make_race()
    pushed()
    goes.delete()
    appwrite.forget()
    assert pushed().races.deleted == 1
    assert (len(appwrite.asked("GET")), len(appwrite.asked("DELETE")), len(appwrite.asked())) == (1, 1, 2)
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
    [conflict] = SyncConflict.objects.all()
    assert (conflict.field, conflict.chosen, conflict.race_id) == ("$id", "remote", None)
    assert conflict.row == f"{race}, row {appwrite.row()['$id']}"


def test_a_row_that_was_never_agreed_on_is_only_dropped_here(appwrite: Appwrite) -> None:
    race = make_race()
    appwrite.fault("drop")
    assert push.run(now=NOW).error
    race.delete()
    appwrite.forget()
    assert pushed(LATER).races.deleted == 0
    assert len(appwrite.asked()) == 1, "whether it was made all the same"
    assert not SyncState.objects.exists()


def test_a_race_whose_create_was_lost_and_landed_stays_deleted(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(3)]
    appwrite.fault("drop_after_commit")
    assert push.run(now=NOW).error
    appwrite.edit(state_of(races[0]).remote_id, staff_note="keep it")
    Race.objects.all().delete()
    appwrite.forget()
    assert pushed(LATER).races.deleted == 2
    assert (len(appwrite.asked("GET")), len(appwrite.asked("DELETE"))) == (1, 2)
    pulled(LATER)
    assert Race.objects.get().staff_note == "keep it", "an edit wins over a deletion"
    assert [field for field, *_ in conflicts()] == ["$id"]


def test_the_log_of_conflicts_outlives_the_race_and_its_row(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, name="theirs")
    pulled()
    pushed()
    race.delete()
    pushed()
    assert not SyncState.objects.exists()
    assert SyncConflict.objects.get().row.startswith(f"{race}, row ")


def test_more_deletions_than_usual_wait_for_a_person(appwrite: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    races = [make_race() for _ in range(40)]
    pushed()
    Race.objects.filter(pk__in=[race.pk for race in races[:21]]).delete()
    assert push.preview(now=NOW)[-1].startswith("waits for a person: 21 of 40 rows are to go")
    for _ in range(2):
        assert pushed().races.deleted == 0
    checkpoint = checkpoints.existing("races")
    assert checkpoint and checkpoint.deletion_guard.startswith("21 of 40 rows are to go")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert len(appwrite.rows()) == 40
    checkpoints.release_deletions("races")
    assert pushed().races.deleted == 21
    Race.objects.filter(pk__in=[race.pk for race in races[21:23]]).delete()
    assert pushed().races.deleted == 2


def test_deletions_that_come_while_the_guard_is_on_are_counted_when_it_is_released(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(60)]
    pushed()
    for some in (races[:21], races[21:45]):
        Race.objects.filter(pk__in=[race.pk for race in some]).delete()
        pushed()
    checkpoints.release_deletions("races")
    pushed()
    checkpoint = checkpoints.existing("races")
    assert checkpoint and checkpoint.deletion_guard.startswith("24 of 60 rows are to go")
    assert len(appwrite.rows()) == 60


def test_an_outage_however_long_gives_up_no_deletion(appwrite: Appwrite) -> None:
    make_race()
    pushed()
    Race.objects.all().delete()
    appwrite.fault("status", status=500, method="DELETE", times=1000)
    for number in range(sync_state.MOST_ATTEMPTS + 2):
        assert push.run(now=NOW + number * timedelta(hours=1)).error
    state = SyncState.objects.get()
    assert (state.dead_since, state.attempts) == (None, sync_state.MOST_ATTEMPTS_IN_OUTAGE)


def test_a_deletion_that_is_refused_or_fails_for_long_while_others_go_is_given_up(appwrite: Appwrite) -> None:
    bad, _ = make_race(), make_race()
    pushed()
    row_id = state_of(bad).remote_id
    SyncState.objects.filter(remote_id=row_id).update(attempts=sync_state.MOST_ATTEMPTS - 1)
    Race.objects.all().delete()
    appwrite.fault("status", status=500, method="DELETE", path_contains=row_id, times=1000)
    done = pushed()
    assert (done.races.deleted, done.races.dead) == (1, 1)
    assert SyncState.objects.get().dead_since
    appwrite.heal()
    sync_state.requeue_dead()
    appwrite.fault("status", status=400, method="DELETE")
    assert pushed(LATER + timedelta(days=1)).races.dead == 1
    assert SyncState.objects.get().dead_since


def test_a_deletion_waits_while_the_server_fails(appwrite: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    races = [make_race() for _ in range(20)]
    pushed()
    Race.objects.all().delete()
    appwrite.fault("status", status=503, method="DELETE", times=100)
    done = push.run(now=NOW)
    assert isinstance(done.error, Unavailable)
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
    assert push.run(now=NOW).races.waiting == 1
    change(other, name="Plate")
    done = pushed(LATER)
    assert (done.races.deleted, done.races.changed) == (1, 1)


def test_a_row_that_the_sweep_found_deleted_is_recreated(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    appwrite.delete(state_of(race).remote_id)
    found = {"base": {}, "base_updated_at": "", "base_sequence": "", "remote_deleted_at": NOW}
    SyncState.objects.update(**found, pushed_version=0)
    assert push.preview(now=NOW) == [f"re-create {state_of(race).remote_id}: {race}"]
    assert pushed().races.created == 1
    state = state_of(race)
    assert (state.remote_deleted_at, state.base_updated_at) == (None, appwrite.row()["$updatedAt"])
