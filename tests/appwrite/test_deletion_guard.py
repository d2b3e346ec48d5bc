"""The deletion guard stands before the pushes, too: from the first row that is found gone."""

from datetime import timedelta

import pytest

from polling.appwrite import checkpoints, deletion_guard, status
from polling.appwrite.push import run as push
from polling.errors import Unavailable
from polling.models import SyncConflict, SyncState
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, conflicts, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.factories import make_races

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(minutes=11)


def agreed(count: int) -> list[Race]:
    races = make_races(count)
    assert pushed().races.created == count
    return races


def delete(appwrite: Appwrite, *races: Race) -> None:
    for race in races:
        appwrite.delete(state_of(race).remote_id)


def guard() -> str:
    return checkpoints.checkpoint_of("races").deletion_guard


def test_pushes_of_changing_races_recreate_none_of_many_deleted_rows(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    races = agreed(60)
    delete(appwrite, *races[:40])
    for number, race in enumerate(races):
        change(race, name=f"Plate {number}")
        if number % 6 == 0:
            pushed(NOW + timedelta(seconds=number))
    pushed(NOW + timedelta(seconds=61))
    assert len(appwrite.rows()) == 20
    assert {row["name"] for row in appwrite.rows()} == {f"Plate {number}" for number in range(40, 60)}
    assert guard().startswith("40 of 60 rows were deleted since the last sweep")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert status.numbers(now=NOW).tables[0].missing == 40
    assert conflicts() == []


def test_once_it_is_released_all_of_them_are_recreated(appwrite: Appwrite) -> None:
    races = agreed(30)
    delete(appwrite, *races[:25])
    change(races[0], name="Plate")
    pushed()
    assert guard()
    checkpoints.release_deletions("races")
    change(races[1], name="Plate")
    pushed(NOW + timedelta(seconds=30))
    assert not guard(), "what has been released is not counted again"
    assert swept(LATER).deleted == 25
    assert pushed(LATER).races.created == 25
    assert len(appwrite.rows()) == 30
    assert not guard()


def test_a_sweep_that_comes_before_the_release_changes_nothing(appwrite: Appwrite) -> None:
    races = agreed(30)
    delete(appwrite, *races[:25])
    change(races[0], name="Plate")
    pushed()
    assert swept(LATER).deleted == 0
    checkpoints.release_deletions("races")
    assert swept(LATER + timedelta(minutes=10)).deleted == 25


def test_a_few_deleted_rows_are_recreated_at_once_and_logged(appwrite: Appwrite) -> None:
    races = agreed(60)
    delete(appwrite, *races[:3])
    change(races[0], name="Plate")
    appwrite.forget()
    assert pushed().races.created == 1
    assert (len(appwrite.asked("GET")), len(appwrite.asked())) == (3, 4), "the row, how many are gone, which; recreated"
    assert len(appwrite.rows()) == 58
    assert [policy for *_, policy in SyncConflict.objects.values_list("field", "policy")] == [deletion_guard.RECREATED]


def test_rows_that_are_deleted_little_by_little_are_counted_together(appwrite: Appwrite) -> None:
    races = agreed(60)
    swept(NOW - timedelta(minutes=1))
    made = 0
    for number, race in enumerate(races[:40]):
        delete(appwrite, race)
        change(race, name="Plate")
        made += pushed(NOW + timedelta(seconds=number)).races.created
    assert made == 20
    assert guard()


def test_what_was_recreated_before_the_last_sweep_is_not_counted(appwrite: Appwrite) -> None:
    races = agreed(60)
    for some, minutes in ((races[:15], 0), (races[15:30], 20)):
        delete(appwrite, *some)
        for race in some:
            change(race, name="Plate")
        assert pushed(NOW + timedelta(minutes=minutes)).races.created == 15
        swept(NOW + timedelta(minutes=minutes + 10))
    assert not guard()


def test_a_row_that_goes_between_the_read_and_the_write_is_asked_about_too(appwrite: Appwrite, gate: Gate) -> None:
    races = agreed(30)
    change(races[0], name="Plate")

    def delete_many() -> None:
        gate.before.pop("PATCH", None)
        delete(appwrite, *races[:25])

    gate.before["PATCH"] = delete_many
    pushed()
    assert guard()
    assert len(appwrite.rows()) == 5


def test_nothing_is_recreated_while_nobody_can_say_how_many_are_gone(appwrite: Appwrite) -> None:
    races = agreed(30)
    delete(appwrite, *races[:25])
    change(races[0], name="Plate")
    appwrite.fault("status", status=503, after=1)
    assert isinstance(push.run(now=NOW).error, Unavailable)
    assert (len(appwrite.rows()), guard()) == (5, "")
    pushed(LATER)
    assert (len(appwrite.rows()), bool(guard())) == (5, True)


def test_rows_that_are_there_under_other_capitals_are_not_gone(appwrite: Appwrite) -> None:
    races = agreed(30)
    for row in appwrite.rows()[:25]:
        appwrite.delete(row["$id"])
        values = {name: value for name, value in row.items() if not name.startswith("$")}
        appwrite.create(row["$id"].upper(), **values)
    gone = next(
        race for race in races if not any(state_of(race).remote_id == row["$id"] for row in appwrite.rows()[:5])
    )
    delete(appwrite, gone)
    change(gone, name="Plate")
    assert pushed().races.created == 1
    assert not guard()


def test_an_edit_of_a_row_that_is_held_comes_in_when_the_row_is_back(appwrite: Appwrite) -> None:
    races = agreed(30)
    rows = {row["$id"]: row for row in appwrite.rows()}
    delete(appwrite, *races[:25])
    change(races[0], name="Plate")
    pushed()
    back = state_of(races[0]).remote_id
    values = {name: value for name, value in rows[back].items() if not name.startswith("$")}
    appwrite.create(back, **{**values, "staff_note": "restored"})
    pulled(LATER)
    swept(LATER)
    pushed(LATER)
    races[0].refresh_from_db()
    assert races[0].staff_note == "restored"
    assert next(row for row in appwrite.rows() if row["$id"] == back)["name"] == "Plate"
    assert SyncState.objects.get(remote_id=back).remote_deleted_at is None
