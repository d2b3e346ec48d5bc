"""Five situations that a replication by checkpoint and whole-row writes does not survive."""

from datetime import datetime, timedelta

import pytest

from polling import staff
from polling.appwrite import mapping
from polling.models import SyncConflict
from races.decisions import COMMAND
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("count", [30, 100, 130])
def test_more_changed_rows_than_a_listing_or_a_query_holds_are_all_pushed(appwrite: Appwrite, count: int) -> None:
    """25 is the server's default of rows in a listing, 4,096 characters the limit of a query, 100 that of a batch."""
    races = [make_race() for _ in range(count)]
    pushed()
    for race in races:
        change(race, provider_status="changed")
    pushed()
    assert [row["provider_status"] for row in appwrite.rows()] == ["changed"] * count


def test_an_edit_of_another_field_between_our_reading_and_our_writing_survives(appwrite: Appwrite, gate: Gate) -> None:
    race = make_race()
    pushed()
    change(race, provider_status="changed")

    def they_are_quicker() -> None:
        del gate.before["PATCH"]
        appwrite.edit(state_of(race).remote_id, staff_note="soft track")

    gate.before["PATCH"] = they_are_quicker
    pushed()
    race.refresh_from_db()
    assert race.staff_note == "soft track"
    row = appwrite.row()
    assert (row["provider_status"], row["staff_note"]) == ("changed", "soft track")


def test_a_row_deleted_there_comes_back_and_takes_edits_again(appwrite: Appwrite) -> None:
    race = make_race(provider_status="before")
    pushed()
    appwrite.delete(state_of(race).remote_id)
    later = NOW + timedelta(minutes=10)
    swept(later)
    change(race, provider_status="changed")
    pushed(later)
    assert appwrite.row()["provider_status"] == "changed"
    assert SyncConflict.objects.filter(state__local_pk=race.pk).exists(), "that it was deleted is reported"


def test_a_row_that_was_committed_late_under_an_older_time_is_pulled(appwrite: Appwrite) -> None:
    late, race = make_race(), make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="in time")
    pulled()
    [row] = [row for row in appwrite.rows() if row["$id"] == state_of(race).remote_id]
    before = datetime.fromisoformat(row["$updatedAt"]) - timedelta(milliseconds=1)
    appwrite.edit(state_of(late).remote_id, staff_note="late", **{"$updatedAt": mapping.instant(before)})
    pulled()
    assert Race.objects.get(pk=late.pk).staff_note == "late"


def test_edits_of_different_fields_on_both_sides_both_survive(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, polling_paused=True)
    staff.annotate([race.pk], note="ours", by=COMMAND, now=NOW)
    pulled()
    pushed()
    race.refresh_from_db()
    row = appwrite.row()
    assert (race.polling_paused, race.staff_note) == (row["polling_paused"], row["staff_note"]) == (True, "ours")
