"""Rows that belong to no race, cannot be read or have columns of others: none stops the pull of the rest."""

import logging
from typing import Any

import pytest

from polling.models import SyncConflict
from races.models import Race
from tests.appwrite.conftest import Appwrite, edit, pulled, pushed, state_of
from tests.appwrite.gate import Gate
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_row_made_there_is_matched_by_the_providers_id(appwrite: Appwrite) -> None:
    race = make_race(name="Cup")
    appwrite.create(
        "made-there", provider=race.provider, provider_race_id=race.provider_race_id,
        advertised_start="2026-11-23T03:00:00Z", staff_note="by hand",
    )  # fmt: skip
    assert pulled().taken == 1
    pushed()
    race.refresh_from_db()
    assert race.staff_note == "by hand"
    assert (appwrite.row()["$id"], appwrite.row()["name"]) == ("made-there", "Cup")
    assert not SyncConflict.objects.exists()


def test_a_second_row_of_a_race_and_a_row_of_no_race_are_left_and_logged_once(
    appwrite: Appwrite, race: Race, caplog: pytest.LogCaptureFixture
) -> None:
    appwrite.create("second", provider=race.provider, provider_race_id=race.provider_race_id)
    appwrite.create("unknown", provider="sandbox", provider_race_id="no-such-race")
    appwrite.create("nameless", staff_note="who am I?")
    with caplog.at_level(logging.INFO, logger="polling"):
        assert [pulled().unmatched, pulled().unmatched] == [3, 0], "they are looked at again when they change"
    assert len(caplog.records) == 3
    assert (Race.objects.count(), len(appwrite.rows())) == (1, 4)


def test_columns_of_others_are_left_alone(appwrite: Appwrite, race: Race) -> None:
    state = state_of(race)
    assert "$permissions" not in state.base
    edit(appwrite, race, staff_note="x")
    pulled()
    assert state_of(race).base.keys() == state.base.keys()


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"$updatedAt": None}, id="no time of change"),
        pytest.param({"$updatedAt": "soon"}, id="a time of change that is none"),
    ],
)
def test_a_row_that_cannot_be_read_does_not_stop_the_page(
    appwrite: Appwrite, gate: Gate, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    bad, good = make_race(), make_race()
    pushed()
    pulled()
    for race in (bad, good):
        edit(appwrite, race, staff_note="x")
    bad_row = state_of(bad).remote_id

    def spoiled(body: dict[str, Any]) -> dict[str, Any]:
        """Only whole rows are spoiled: the thin list goes by."""
        whole = [row for row in body["rows"] if row["$id"] == bad_row and "provider" in row]
        for row in whole:
            row |= wrong
        return body

    gate.answer["GET"] = spoiled
    done = pulled()
    assert (done.taken, done.unreadable) == (1, 1)
    assert pulled().unreadable == 1
    assert Race.objects.get(pk=good.pk).staff_note == "x"
    assert "ValueError" in state_of(bad).error
    assert len(caplog.records) == 1, "what is wrong is logged once"
    gate.answer.clear()
    edit(appwrite, bad, staff_note="y")
    assert pulled().taken == 1
    assert state_of(bad).error == ""
