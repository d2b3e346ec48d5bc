"""Equal means equal: no odd value, and no odd `$updatedAt`, leaves the two sides different without a word."""

from datetime import timedelta
from typing import Any

import pytest

from polling.appwrite import conflict_resolution, sync_state
from polling.appwrite.api.client import connect
from polling.appwrite.mapping import instant
from polling.appwrite.merge import OWNERS, Owner
from polling.appwrite.pull import run as pull
from polling.appwrite.reconcile import FAR_AHEAD, local_values
from polling.appwrite.schema import provision as schema
from polling.appwrite.webhook.calls import RowChange
from polling.appwrite.webhook.change_notifications import note
from polling.models import PollLog, SyncConflict
from races.decisions import COMMAND
from races.models import Race
from tests.appwrite.conftest import DATABASE, NOW, Appwrite, change, conflicts, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(minutes=11)
FAR = "2099-01-01T00:00:00.000+00:00"
ODD: dict[str, Any] = {
    "poll_requested_at": FAR,
    "last_poll_time": FAR,
    "last_changed_at": None,
    "sync_version": 0,
    "runners": "[]",
    "results": "not JSON",
    "dividends": "[1]",
    "actual_start": "1000-01-01T00:00:00.000+00:00",
    "advertised_start": "9998-12-31T23:59:59.999+00:00",
    "race_number": -1,
    "distance_m": 2**40,
    "result_version": 7,
    "code": None,
    "status": None,
    "track": "",
}


@pytest.fixture
def race(appwrite: Appwrite) -> Race:
    """A race on which both sides agree, polled a while ago."""
    race = make_race(last_poll_time=NOW - timedelta(hours=2), last_changed_at=NOW - timedelta(hours=3))
    pushed()
    return race


def freeze(appwrite: Appwrite, race: Race, **values: Any) -> None:
    """An app that reads a row, changes it and writes back what it has read, with an API key."""
    state = state_of(race)
    appwrite.edit(state.remote_id, **values, **{"$updatedAt": state.base_updated_at})


def is_equal(appwrite: Appwrite) -> bool:
    race = Race.objects.select_related("meeting").prefetch_related("runners").get()
    row, ours = appwrite.row(), local_values(race)
    return {field: row[field] or None for field in ours} == {field: value or None for field, value in ours.items()}


# --- odd values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ODD)
def test_an_odd_value_of_any_field_is_taken_or_undone_and_logged(appwrite: Appwrite, race: Race, field: str) -> None:
    appwrite.edit(state_of(race).remote_id, **{field: ODD[field]})
    pulled()
    pushed()
    assert is_equal(appwrite)
    assert [field for field, *_ in conflicts()] == [field]
    appwrite.forget()
    pulled(LATER)
    pushed(LATER)
    assert len(appwrite.asked()) == 1, "at rest it is read once, and nothing is written"


def test_the_odd_values_cover_every_field_that_is_no_reason_to_write_by_itself() -> None:
    assert {field for field, owner in OWNERS.items() if owner in (Owner.TRAVELS, Owner.APPWRITE)} <= ODD.keys()


def test_an_odd_value_is_undone_though_another_edit_comes_in_before_the_push(appwrite: Appwrite, race: Race) -> None:
    appwrite.edit(state_of(race).remote_id, last_changed_at=FAR)
    pulled()
    appwrite.edit(state_of(race).remote_id, staff_note="seen")
    pulled()
    pushed()
    assert is_equal(appwrite)
    assert appwrite.row()["staff_note"] == "seen"


def test_a_request_from_far_ahead_polls_once_and_its_instant_is_put_right(appwrite: Appwrite, race: Race) -> None:
    appwrite.edit(state_of(race).remote_id, poll_requested_at=FAR)
    pulled()
    pulled()
    pushed()
    assert PollLog.objects.count() == 1
    assert appwrite.row()["poll_requested_at"] == instant(NOW)
    [conflict] = SyncConflict.objects.all()
    assert (conflict.field, conflict.remote, conflict.policy) == ("poll_requested_at", FAR, FAR_AHEAD)


def test_a_request_a_little_ahead_is_only_a_clock_that_goes_fast(appwrite: Appwrite, race: Race) -> None:
    soon = instant(NOW + timedelta(seconds=50))
    appwrite.edit(state_of(race).remote_id, poll_requested_at=soon)
    pulled()
    pushed()
    race.refresh_from_db()
    assert appwrite.row()["poll_requested_at"] == instant(race.poll_requested_at) == soon
    assert conflicts() == []


def test_a_request_from_far_ahead_gives_way_to_one_made_before_the_next_push(appwrite: Appwrite, race: Race) -> None:
    appwrite.edit(state_of(race).remote_id, poll_requested_at=FAR)
    pulled()
    later = instant(NOW + timedelta(minutes=5))
    appwrite.edit(state_of(race).remote_id, poll_requested_at=later)
    PollLog.objects.update(state="ok")
    pushed(NOW + timedelta(minutes=5))
    assert PollLog.objects.count() == 2
    assert appwrite.row()["poll_requested_at"] == later


@pytest.mark.parametrize(
    ("field", "value"), [("staff_note", "a\x00b"), ("staff_note", "\ud800"), ("polling_paused", "maybe")]
)
def test_a_field_that_cannot_be_read_is_undone_and_the_other_edits_are_taken(
    appwrite: Appwrite, gate: Gate, race: Race, field: str, value: Any
) -> None:
    row_id = state_of(race).remote_id
    appwrite.edit(row_id, polling_paused=True, staff_note="x")

    def spoiled(body: dict[str, Any]) -> dict[str, Any]:
        whole = [row for row in body["rows"] if row.get("staff_note") == "x"]
        for row in whole:
            row[field] = value
        return body

    gate.answer["GET"] = spoiled
    assert pulled().conflicts == 1
    gate.answer.clear()
    race.refresh_from_db()
    assert (race.staff_note, race.polling_paused) == (("", True) if field == "staff_note" else ("x", False))
    [conflict] = SyncConflict.objects.all()
    assert (conflict.field, conflict.policy) == (field, "it cannot be read: undone")
    assert conflict_resolution.objections_to_theirs([conflict], may=lambda _: True) == {
        conflict.pk: "it cannot be read"
    }
    assert sync_state.dirty(now=NOW).exists(), "it is written back"


def test_a_column_that_was_deleted_in_appwrite_empties_nothing_here(appwrite: Appwrite, settings: Any) -> None:
    settings.APPWRITE_DATABASE_ID = "lacks-a-column"
    client = connect()
    assert client is not None
    schema.apply(client)
    there = Appwrite(appwrite.api)
    there.path = there.path.replace(DATABASE, "lacks-a-column")
    pushes, pulls, leaves = (make_race(staff_note="ours") for _ in range(3))
    pushed()
    assert there.api.call("DELETE", there.path.replace("/rows", "/columns/staff_note")).status_code == 204
    change(pushes, name="Plate")
    there.edit(state_of(pulls).remote_id, polling_paused=True)
    leaves.delete()
    pulled()
    assert pushed().races.deleted == 1
    assert list(Race.objects.values_list("staff_note", "polling_paused").order_by("pk")) == [
        ("ours", False),
        ("ours", True),
    ]
    assert conflicts() == []


# --- edits that compare-and-set cannot see ---------------------------------------------------------------------------


@pytest.mark.parametrize("updated_at", ["unchanged", "older"])
def test_an_edit_under_an_old_time_is_merged_before_its_field_is_written(
    appwrite: Appwrite, race: Race, updated_at: str
) -> None:
    stamp = state_of(race).base_updated_at if updated_at == "unchanged" else instant(NOW - timedelta(days=700))
    appwrite.edit(state_of(race).remote_id, staff_note="theirs", **{"$updatedAt": stamp})
    change(race, staff_note="ours")
    pushed()
    assert appwrite.row()["staff_note"] == "ours"
    assert conflicts() == [("staff_note", "ours", "theirs", "local")]


def test_an_edit_under_an_old_time_of_another_field_comes_in_with_the_push(appwrite: Appwrite, race: Race) -> None:
    freeze(appwrite, race, staff_note="theirs")
    change(race, provider_status="Closed")
    pushed()
    race.refresh_from_db()
    assert race.staff_note == "theirs"
    assert is_equal(appwrite)


def test_an_edit_under_an_old_time_wins_over_the_deletion_of_its_race(appwrite: Appwrite, race: Race) -> None:
    freeze(appwrite, race, staff_note="keep it")
    race.delete()
    done = pushed()
    assert (done.races.deleted, done.races.merged) == (0, 1)
    assert appwrite.row()["staff_note"] == "keep it"
    swept()
    assert Race.objects.get().staff_note == "keep it"


@pytest.mark.parametrize("field", [field for field in ODD if field != "code"])
def test_a_sweep_finds_an_edit_of_any_field_under_an_unchanged_time(appwrite: Appwrite, race: Race, field: str) -> None:
    freeze(appwrite, race, **{field: ODD[field]})
    swept()
    pushed()
    assert is_equal(appwrite)
    assert [field for field, *_ in conflicts()] == [field]


def test_the_texts_that_a_sweep_leaves_out_of_its_list_are_looked_at_in_turn(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polling.appwrite.sweep.run.TEXTS_A_SWEEP", 2)
    races = [make_race(number=number) for number in range(1, 6)]
    pushed()
    for race in races:
        freeze(appwrite, race, runners='[{"number":99}]')
    for minutes in range(3):
        swept(NOW + timedelta(minutes=10 * minutes))
        pushed()
    assert {row["runners"] for row in appwrite.rows()} == {None}
    assert len(conflicts()) == 5


def test_a_notification_of_an_edit_under_an_unchanged_time_is_followed(appwrite: Appwrite, race: Race) -> None:
    freeze(appwrite, race, staff_note="theirs")
    row = appwrite.row()
    assert note(RowChange(row["$id"], row["$updatedAt"], row=row), now=NOW)
    assert pull.run(row_ids=[row["$id"]], now=NOW).taken == 1
    race.refresh_from_db()
    assert race.staff_note == "theirs"
    assert not note(RowChange(row["$id"], row["$updatedAt"], row=row), now=NOW), "now it is known"


def test_a_write_of_twenty_races_of_which_two_were_edited_reads_those_first(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(20)]
    pushed()
    for race in races[:2]:
        freeze(appwrite, race, staff_note="theirs")
    for race in races:
        change(race, provider_status="Closed")
    appwrite.forget()
    done = pushed().races
    assert (done.changed, done.merged) == (20, 2)
    assert (len(appwrite.asked("GET")), len(appwrite.asked("PATCH"))) == (2, 20)
    assert Race.objects.filter(staff_note="theirs").count() == 2


def test_a_decision_of_staff_after_an_unseen_edit_is_kept_and_the_edit_logged(appwrite: Appwrite, race: Race) -> None:
    from polling import staff

    freeze(appwrite, race, polling_paused=True, staff_note="theirs")
    staff.annotate([race.pk], note="ours", by=COMMAND, now=NOW)
    pushed()
    race.refresh_from_db()
    assert (race.staff_note, race.polling_paused) == ("ours", True)
    assert conflicts() == [("staff_note", "ours", "theirs", "local")]
