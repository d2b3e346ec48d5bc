"""Rows whose races were removed from Django by age leave Appwrite, too, and are no deletions."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from polling.appwrite import checkpoints, sync_state
from polling.appwrite.push import run as push
from polling.appwrite.push.expired_races import NOT_TAKEN, expire_races
from polling.models import SyncConflict, SyncState
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.appwrite.killing import run_until
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=1)


def remove_by_age(races: Sequence[Race]) -> None:
    """As the retention does it."""
    with transaction.atomic():
        expire_races([race.pk for race in races], now=NOW)
        Race.objects.filter(pk__in=[race.pk for race in races]).delete()


def test_rows_of_races_that_left_by_age_go_a_hundred_with_two_calls(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(230)]
    pushed()
    remove_by_age(races[:220])
    appwrite.forget()
    assert pushed().races.expired == 220
    assert len(appwrite.asked("GET")) == len(appwrite.asked("DELETE")) == 3
    assert len(appwrite.asked()) == 6
    assert len(appwrite.rows()) == SyncState.objects.count() == 10
    appwrite.forget()
    pushed()
    assert appwrite.asked() == []


def test_the_deletion_guard_counts_none_of_them_and_holds_none_back(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(60)]
    pushed()
    checkpoints.hold_deletions("races", "somebody deleted too much")
    remove_by_age(races[:50])
    swept()
    assert pushed().races.expired == 50
    checkpoints.release_deletions("races")
    swept(LATER)
    checkpoint = checkpoints.existing("races")
    assert checkpoint and not checkpoint.deletion_guard
    assert len(appwrite.rows()) == 10


def test_neither_pull_nor_sweep_makes_races_of_rows_that_are_about_to_go(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(3)]
    pushed()
    remove_by_age(races)
    for race_id in [row["$id"] for row in appwrite.rows()]:
        appwrite.edit(race_id, staff_note="much later")
    pulled()
    swept()
    assert not Race.objects.exists()
    assert not SyncConflict.objects.exists()


def test_an_edit_that_nobody_had_seen_goes_with_its_row_and_is_kept_as_a_conflict(appwrite: Appwrite) -> None:
    edited, untouched = make_race(), make_race()
    pushed()
    appwrite.edit(state_of(edited).remote_id, staff_note="much later", poll_requested_at=NOW.isoformat())
    name, row_id = str(edited), state_of(edited).remote_id
    remove_by_age([edited, untouched])
    assert pushed().races.expired == 2
    assert appwrite.rows() == []
    [conflict] = SyncConflict.objects.all()
    assert (conflict.field, conflict.remote, conflict.policy) == ("staff_note", "much later", NOT_TAKEN)
    assert conflict.row == f"{name}, row {row_id}"


def test_a_write_of_ours_whose_reply_was_lost_is_no_edit(appwrite: Appwrite) -> None:
    races = [make_race(), make_race()]
    pushed()
    change(races[0], name="Plate")
    appwrite.fault("drop_after_commit", method="PATCH")
    assert push.run(now=NOW).races.waiting == 1
    remove_by_age(races)
    assert pushed(LATER).races.expired == 2
    assert not SyncConflict.objects.exists()


def test_what_was_given_up_and_what_was_never_written_leave_as_well(appwrite: Appwrite) -> None:
    dead, unsent = make_race(), make_race()
    pushed()
    sync_state.states().filter(local_pk=dead.pk).update(
        dead_since=NOW, attempts=sync_state.MOST_ATTEMPTS, error="InvalidRequest: no"
    )
    sync_state.states().filter(local_pk=unsent.pk).update(base={}, base_updated_at="", sent=None)
    remove_by_age([dead, unsent])
    assert pushed().races.expired == 2
    assert not SyncState.objects.exists()


def test_a_race_that_comes_back_before_its_row_has_gone_gets_its_row_back(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    remove_by_age([race])
    again = make_race(provider_race_id=race.provider_race_id)
    done = pushed()
    assert (done.races.merged, done.races.expired) == (1, 0)
    assert appwrite.row()["$id"] == state_of(again).remote_id


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "drop_after_commit"}])
def test_rows_wait_while_the_server_fails_and_are_gone_afterwards(appwrite: Appwrite, fault: dict[str, Any]) -> None:
    races = [make_race() for _ in range(3)]
    pushed()
    remove_by_age(races)
    appwrite.fault(**fault, method="DELETE")
    assert push.run(now=NOW).races.waiting == 3
    appwrite.heal()
    assert pushed(LATER).races.expired == 3
    assert appwrite.rows() == []


def test_what_is_fresh_does_not_wait_for_rows_that_cannot_be_removed(appwrite: Appwrite) -> None:
    race, *old = [make_race() for _ in range(4)]
    pushed()
    remove_by_age(old)
    appwrite.fault("status", status=400, method="DELETE", times=100)
    done = push.run(now=NOW)
    assert (done.error, done.races.waiting, done.races.dead) == (None, 3, 0)
    change(race, name="Plate")
    assert pushed().races.changed == 1
    appwrite.heal()
    assert pushed(NOW + timedelta(hours=1)).races.expired == 3


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("call", [1, 2])
def test_a_push_that_is_killed_while_rows_leave_is_finished_by_the_next(
    appwrite: Appwrite, gate: Gate, call: int, answered: bool
) -> None:
    races = [make_race() for _ in range(3)]
    pushed()
    appwrite.edit(state_of(races[0]).remote_id, staff_note="much later")
    remove_by_age(races)
    assert run_until(gate, call, lambda: push.run(now=NOW), answered=answered)
    assert pushed(LATER).races.expired == 3
    assert appwrite.rows() == []
    assert [conflict.remote for conflict in SyncConflict.objects.all()] == ["much later"]


def test_a_race_that_is_still_here_keeps_its_row_though_it_was_marked(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    expire_races([race.pk], now=NOW)
    change(race, name="Plate")
    done = pushed()
    assert (done.races.changed, done.races.expired) == (1, 0)


def test_a_dry_run_names_what_leaves_by_age(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    row_id = state_of(race).remote_id
    remove_by_age([race])
    assert push.preview(now=NOW) == [f"delete {row_id}: its race left by age"]
