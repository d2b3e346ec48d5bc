"""Pushing races, over real HTTP to the stand-in."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connections

from polling import staff
from polling.appwrite import sync_state
from polling.appwrite.push import run as push
from polling.appwrite.push.run import Pushed
from polling.models import SyncConflict, SyncState
from races.decisions import COMMAND
from races.models import Runner
from tests.appwrite.conftest import NOW, Appwrite, change, pulled, pushed, state_of
from tests.appwrite.gate import Gate, gate_before
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)

# --- what is written ------------------------------------------------------------------------------------------------


def test_250_new_races_go_in_three_bulk_creates(appwrite: Appwrite) -> None:
    for _ in range(250):
        make_race()
    assert pushed().races.created == 250
    assert appwrite.asked() == [f"POST {appwrite.path}"] * 3
    assert len(appwrite.rows()) == 250


def test_only_the_changed_fields_are_sent(appwrite: Appwrite) -> None:
    race = make_race(name="Cup", distance_m=1200)
    pushed()
    before = state_of(race)
    change(race, name="Plate", last_poll_time=NOW)
    appwrite.forget()
    assert pushed().races.changed == 1
    assert appwrite.asked() == [f"GET {appwrite.path}", f"PATCH {appwrite.path}/{before.remote_id}"]
    row = appwrite.row()
    assert (row["name"], row["distance_m"], row["sync_version"]) == ("Plate", 1200, 2)
    assert row["last_poll_time"] == "2026-11-23T02:30:00.000+00:00"
    assert (state_of(race).base_updated_at, state_of(race).pushed_version) == (row["$updatedAt"], 2)


def test_twenty_changed_races_cost_one_read_and_twenty_writes(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(20)]
    pushed()
    for race in races:
        change(race, provider_status="Closed")
    appwrite.forget()
    assert pushed().races.changed == 20
    assert (len(appwrite.asked("GET")), len(appwrite.asked("PATCH")), len(appwrite.asked())) == (1, 20, 21)
    assert {row["provider_status"] for row in appwrite.rows()} == {"Closed"}


def test_nothing_changed_costs_no_call(appwrite: Appwrite) -> None:
    make_race()
    pushed()
    appwrite.forget()
    assert pushed() == Pushed()
    assert appwrite.asked() == []


@pytest.mark.parametrize("content", ["version alone", "last_poll_time"])
def test_a_version_without_new_content_is_noted_without_a_call(appwrite: Appwrite, content: str) -> None:
    race = make_race()
    pushed()
    change(race, **({"last_poll_time": NOW, "last_changed_at": NOW} if content == "last_poll_time" else {}))
    appwrite.forget()
    assert pushed().races.unchanged == 1
    assert appwrite.asked() == []
    assert state_of(race).pushed_version == 2


def test_odds_that_moved_are_pushed(appwrite: Appwrite) -> None:
    race = make_race()
    runner = Runner.objects.create(race=race, number=4, name="Pūkeko", fixed_win="3.40")
    pushed()
    Runner.objects.filter(pk=runner.pk).update(fixed_win="3.2")
    change(race)
    pushed()
    assert appwrite.row()["runners"] == '[{"fixed_win":"3.20","name":"Pūkeko","number":4}]'


def test_a_race_without_a_meeting_or_a_provider_is_pushed_too(appwrite: Appwrite) -> None:
    make_race(meeting=None, provider="", provider_race_id="")
    pushed()
    assert (appwrite.row()["track"], appwrite.row()["provider_race_id"]) == (None, None)


def test_a_value_taken_away_is_null_in_the_row(appwrite: Appwrite) -> None:
    race = make_race(staff_note="soft")
    pushed()
    staff.annotate([race.pk], note="", by=COMMAND, now=NOW)
    pushed()
    assert appwrite.row()["staff_note"] is None


def test_what_changed_last_goes_first(appwrite: Appwrite) -> None:
    for minutes in (3, 1, 2):
        make_race(number=minutes, last_changed_at=NOW + timedelta(minutes=minutes))
    make_race(number=4)
    assert [race.number for race in sync_state.dirty(now=NOW)] == [3, 2, 1, 4]


def test_another_project_starts_from_nothing(appwrite: Appwrite, settings: Any) -> None:
    make_race()
    pushed()
    settings.APPWRITE_TARGET = "another/racepoll@elsewhere"
    assert pushed().races.merged == 1, "the row is there already: it is merged, not doubled"
    assert len(appwrite.rows()) == 1
    assert SyncState.objects.count() == 2


def test_no_transaction_is_open_while_it_talks(appwrite: Appwrite, gate: Gate) -> None:
    database = connections["default"]  # of this thread; the gate looks at it from another
    seen: list[tuple[str, bool]] = []

    def look(method: str) -> None:
        seen.append((method, database.in_atomic_block))

    for method in ("POST", "PATCH", "GET"):
        gate.before[method] = partial(look, method)
    race = make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="theirs")
    change(race, name="Plate")
    pushed()
    pulled()
    assert [method for method, _ in seen] == ["POST", "GET", "GET", "PATCH", "GET"]
    assert not any(is_open for _, is_open in seen)


def test_without_appwrite_nothing_happens_and_it_says_so(settings: Any) -> None:
    make_race()
    assert settings.APPWRITE_ENDPOINT == ""
    assert push.run(now=NOW) == Pushed()
    assert not SyncState.objects.exists()


# --- somebody else writes too ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["appwrite", "old_appwrite"])
def test_an_edit_made_there_between_base_and_push_survives_and_so_does_ours(
    version: str, request: pytest.FixtureRequest
) -> None:
    appwrite: Appwrite = request.getfixturevalue(version)
    race = make_race(name="Cup")
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="soft track")
    change(race, name="Plate")
    assert pushed().races.merged == 1
    race.refresh_from_db()
    assert (race.name, race.staff_note) == ("Plate", "soft track")
    assert (appwrite.row()["name"], appwrite.row()["staff_note"]) == ("Plate", "soft track")
    assert not SyncConflict.objects.exists()
    appwrite.forget()
    pushed()
    assert appwrite.asked() == [], "when nothing is in flight nothing is written"


def test_on_an_old_server_a_writer_that_raced_us_is_seen_by_reading_back(old_appwrite: Appwrite, settings: Any) -> None:
    """Both passed compare-and-set: the other one's write landed after ours, before our answer."""
    race = make_race(name="Cup")
    pushed()
    row_id = state_of(race).remote_id
    change(race, name="Plate")

    def race_once() -> None:
        gate.after.clear()
        old_appwrite.edit(row_id, staff_note="soft", name="Theirs")

    with gate_before(old_appwrite.port) as (gate, port):
        settings.APPWRITE_ENDPOINT = f"http://127.0.0.1:{port}/v1"
        gate.after["PATCH"] = race_once
        pushed()
    race.refresh_from_db()
    assert (race.name, race.staff_note) == ("Plate", "soft")
    assert (old_appwrite.row()["name"], old_appwrite.row()["staff_note"]) == ("Plate", "soft")
    assert [(entry.field, entry.remote) for entry in SyncConflict.objects.all()] == [("name", "Theirs")]


def test_two_edits_of_one_note_keep_ours_and_log_theirs(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="theirs")
    staff.annotate([race.pk], note="ours", by=COMMAND, now=NOW)
    pushed()
    assert appwrite.row()["staff_note"] == "ours"
    conflict = SyncConflict.objects.get()
    assert (conflict.field, conflict.local, conflict.remote, conflict.chosen) == (
        "staff_note",
        "ours",
        "theirs",
        "local",
    )


def test_a_row_deleted_there_is_recreated_when_the_race_changes(appwrite: Appwrite) -> None:
    race = make_race(name="Cup")
    pushed()
    appwrite.delete(state_of(race).remote_id)
    change(race, name="Plate")
    assert pushed().races.created == 1
    assert appwrite.row()["name"] == "Plate"
    assert SyncConflict.objects.get().policy == "deleted in Appwrite, but the race is here: recreated"


def test_a_row_that_is_there_already_is_merged_and_the_rest_of_the_batch_made(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(5)]
    pushed()
    SyncState.objects.filter(local_pk__in=[race.pk for race in races[:2]]).delete()
    make_race()
    assert pushed().races.merged == 2
    assert len(appwrite.rows()) == 6
    assert SyncState.objects.filter(pushed_version=1).count() == 6
    assert not SyncConflict.objects.exists()


def test_a_row_that_changes_under_every_try_is_left_for_later(appwrite: Appwrite, gate: Gate) -> None:
    """An impatient other writer: it edits the row before each of our writes."""
    race = make_race()
    pushed()
    row_id, notes = state_of(race).remote_id, iter("abcdefgh")
    gate.before["PATCH"] = lambda: appwrite.edit(row_id, staff_note=next(notes))
    change(race, name="Plate")
    done = pushed()
    assert (done.races.merged, done.races.waiting) == (5, 1)
    race.refresh_from_db()
    assert race.staff_note == "e"
    gate.before.clear()
    assert pushed(NOW + timedelta(minutes=10)).races.changed == 1
    assert (appwrite.row()["name"], appwrite.row()["staff_note"]) == ("Plate", "e")
