"""What Django wrote to Appwrite and no longer knows of: replies that were lost, and databases that are new."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django_q.models import OrmQ

from polling import staff
from polling.appwrite.pull import run as pull
from polling.appwrite.push import full_scan
from polling.appwrite.push import run as push
from polling.errors import Unavailable
from polling.models import PollLog, SyncCheckpoint, SyncConflict, SyncState, Trigger
from races.decisions import COMMAND
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, conflicts, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.appwrite.killing import run_until
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=1)
RESULT = [{"runner_number": 4, "position": 1, "code": "", "name": "Rata", "margin": None}]
ENDED: dict[str, Any] = {"status": "finalized", "finalized_by": "provider", "finalized_at": NOW, "outcome": "resulted"}


def test_a_new_database_neither_wipes_the_results_in_appwrite_nor_ends_its_races_by_them(appwrite: Appwrite) -> None:
    race = make_race(provider_race_id="r1", results=RESULT, version=9, **ENDED)
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="keep")
    Race.objects.all().delete()
    SyncState.objects.all().delete()
    race = make_race(provider_race_id="r1", status="in_progress")
    pushed()
    assert "Rata" in appwrite.row()["results"]
    stored = Race.objects.get(pk=race.pk)
    assert (stored.status, stored.staff_note) == ("in_progress", "keep")
    change(race, results=RESULT, staff_note="keep", **ENDED)
    pushed()
    assert (appwrite.row()["status"], appwrite.row()["outcome"]) == ("finalized", "resulted")


def test_a_restored_backup_undoes_nothing_that_was_written_since(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    race = make_race(staff_note="old")
    pushed()
    pulled()
    race_then, state_then = Race.objects.values().get(), SyncState.objects.values().get()
    change(race, results=RESULT, **ENDED)
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="new")
    Race.objects.update(**race_then)
    SyncState.objects.update(**state_then)
    assert pulled().taken == 1
    pushed()
    stored = Race.objects.get()
    assert (stored.status, stored.staff_note) == ("scheduled", "new"), "it is polled again, and not ended by the row"
    assert (appwrite.row()["status"], "Rata" in appwrite.row()["results"]) == ("finalized", True)
    assert conflicts() == [("sync_version", race_then["version"], race_then["version"] + 1, "remote")]
    assert PollLog.objects.get().race_id == race.pk
    assert "Appwrite has more than this database" in caplog.text
    pulled()
    swept()
    assert SyncConflict.objects.count() == PollLog.objects.count() == 1, "it is logged once"
    full_scan.run(now=NOW)
    assert pushed().races.changed == 0, "it waits for what the provider says"
    change(stored, results=RESULT, **ENDED)
    pushed()
    assert (appwrite.row()["status"], appwrite.row()["staff_note"]) == ("finalized", "new")


def test_a_version_raised_there_hides_no_edit_and_once_the_race_is_polled_both_sides_are_equal(
    appwrite: Appwrite,
) -> None:
    race = make_race(name="ours")
    pushed()
    pulled()
    appwrite.edit(state_of(race).remote_id, sync_version=2_000_000_000, name="theirs", status="finalized")
    assert pulled().taken == 1
    assert conflicts() == [("sync_version", 1, 2_000_000_000, "remote")]
    assert Race.objects.get().status == "finalized", "an end that came without a result is a person's"
    assert PollLog.objects.get().trigger == Trigger.REMOTE.value
    Race.objects.update(last_poll_time=NOW + timedelta(seconds=1))
    full_scan.run(now=NOW + timedelta(minutes=1))
    pushed(NOW + timedelta(minutes=1))
    row, race = appwrite.row(), Race.objects.get()
    assert (row["name"], row["status"], row["sync_version"]) == ("ours", "finalized", race.version)
    appwrite.edit(row["$id"], name="again")
    pulled(NOW + timedelta(minutes=2))
    pushed(NOW + timedelta(minutes=2))
    assert (appwrite.row()["name"], conflicts()[-1]) == ("ours", ("name", "ours", "again", "local"))


def test_an_end_of_ours_whose_reply_was_lost_does_not_undo_a_reopening(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    staff.finalize([race.pk], by=COMMAND, reason="by mistake", now=NOW)
    appwrite.fault("drop_after_commit", method="PATCH")
    push.run(now=NOW)
    assert appwrite.row()["status"] == "finalized"
    staff.reopen([race.pk], by=COMMAND, reason="sorry", now=NOW)
    later = NOW + timedelta(hours=1)
    pushed(later)
    pushed(later)
    assert Race.objects.get().status != "finalized"
    assert appwrite.row()["status"] == Race.objects.get().status


def test_a_resumption_stands_though_the_reply_to_the_pause_was_lost(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    staff.pause([race.pk], by=COMMAND, reason="a storm", now=NOW)
    appwrite.fault("drop_after_commit", method="PATCH")
    push.run(now=NOW)
    staff.resume([race.pk], by=COMMAND, reason="it is over", now=NOW)
    pulled(LATER)
    pushed(LATER)
    assert (Race.objects.get().polling_paused, appwrite.row()["polling_paused"]) == (False, False)
    assert not SyncConflict.objects.exists()


def test_a_note_taken_back_while_its_write_is_under_way_stays_taken_back(appwrite: Appwrite, gate: Gate) -> None:
    race = make_race(staff_note="old", provider_status="a")
    pushed()
    staff.annotate([race.pk], note="new", by=COMMAND, now=NOW)
    change(race, provider_status="b")

    def pull_amid() -> None:
        gate.after.pop("PATCH")
        staff.annotate([race.pk], note="old", by=COMMAND, now=NOW)
        change(race, provider_status="c")
        pull.run(row_ids=[state_of(race).remote_id], now=NOW)

    gate.after["PATCH"] = pull_amid
    pushed()
    assert (Race.objects.get().staff_note, appwrite.row()["staff_note"]) == ("old", "old")
    assert appwrite.row()["provider_status"] == "c"
    assert not SyncConflict.objects.exists()


def test_an_end_set_in_a_row_that_a_lost_write_of_ours_has_just_changed_counts(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    change(race, name="Plate")
    appwrite.fault("drop_after_commit", method="PATCH")
    push.run(now=NOW)
    appwrite.edit(state_of(race).remote_id, status="finalized")
    pulled(LATER)
    pushed(LATER)
    assert Race.objects.get().is_finalized


def test_of_several_lost_writes_the_one_that_landed_is_known(appwrite: Appwrite) -> None:
    """The second lands late, when the third has been sent, and is lost, too."""
    race = make_race(staff_note="old")
    pushed()
    row = state_of(race)
    for number, note in enumerate(("first", "second", "third")):
        staff.annotate([race.pk], note=note, by=COMMAND, now=NOW)
        appwrite.fault("drop", method="PATCH")
        push.run(now=NOW + number * (LATER - NOW))
    [_, second, _] = state_of(race).sent or []
    appwrite.edit(row.remote_id, **second)
    staff.annotate([race.pk], note="old", by=COMMAND, now=NOW)
    much_later = LATER + timedelta(hours=3)
    pulled(much_later)
    pushed(much_later)
    assert (Race.objects.get().staff_note, appwrite.row()["staff_note"]) == ("old", "old")
    assert not SyncConflict.objects.exists()


def test_a_write_whose_pusher_was_killed_is_no_edit_of_theirs(appwrite: Appwrite, gate: Gate) -> None:
    race = make_race(staff_note="old")
    pushed()
    staff.annotate([race.pk], note="new", by=COMMAND, now=NOW)
    assert run_until(gate, 1, lambda: push.run(now=NOW), answered=True)
    staff.annotate([race.pk], note="old", by=COMMAND, now=NOW)
    pulled(LATER)
    pushed(LATER)
    assert (Race.objects.get().staff_note, appwrite.row()["staff_note"]) == ("old", "old")
    assert not SyncConflict.objects.exists()


def test_a_race_that_comes_back_under_another_key_does_not_block_the_push(appwrite: Appwrite) -> None:
    make_race(provider_race_id="r1")
    pushed()
    Race.objects.all().delete()
    again, other = make_race(provider_race_id="r1"), make_race()
    pushed()
    assert state_of(again).base_updated_at
    assert state_of(other).base_updated_at
    assert len(appwrite.rows()) == 2


def test_a_base_ahead_of_the_servers_clock_costs_no_more_than_one_call(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    row = state_of(race).remote_id
    appwrite.edit(row, **{"staff_note": "n", "$updatedAt": "2099-01-01T00:00:00.000+00:00"})
    pulled()
    change(Race.objects.get(), name="Plate")
    appwrite.forget()
    pushed()
    assert len(appwrite.asked("PATCH")) == 1
    assert appwrite.row()["name"] == "Plate"


def test_what_comes_in_asks_for_no_push_of_its_own(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(5)]
    pushed()
    for race in races:
        appwrite.edit(state_of(race).remote_id, staff_note="seen")
    assert pulled().taken == 5
    assert not OrmQ.objects.exists()


def test_a_request_from_far_ahead_does_not_make_later_ones_look_old(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    row = state_of(race).remote_id
    appwrite.edit(row, poll_requested_at="2099-01-01T00:00:00.000+00:00")
    pulled()
    assert race.poll_logs.count() == 1
    race.poll_logs.update(state="ok")
    later = NOW + timedelta(minutes=5)
    appwrite.edit(row, poll_requested_at=later.isoformat())
    pull.run(now=later)
    assert race.poll_logs.count() == 2


def test_a_busy_database_ends_the_pull_and_the_row_is_read_again(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    pulled()
    appwrite.edit(state_of(race).remote_id, staff_note="x")
    before = SyncCheckpoint.objects.get(table="races").updated_at

    def deadlocked(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and "races_race" in sql:
            raise OperationalError("deadlock detected")
        return execute(sql, *args)

    with connection.execute_wrapper(deadlocked):
        assert isinstance(pull.run(now=NOW).error, Unavailable)
    assert SyncCheckpoint.objects.get(table="races").updated_at == before
    assert pulled().taken == 1
    assert SyncConflict.objects.count() == 0
