"""Passes over more rows than one pull has time for."""

from datetime import datetime, timedelta

import pytest

from polling import clock
from polling.appwrite import mapping, sync_state
from polling.appwrite.api import rows
from polling.appwrite.pull.run import Pulled
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, edit, pulled, pushed
from tests.appwrite.gate import Gate
from tests.factories import make_races

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 350


def pull_pages(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A pull that has time for so many pages of ten rows: it asks once before a page and once before its rows."""
    with monkeypatch.context() as patched:
        patched.setattr(rows, "PAGE_ROWS", 10)
        pull_with_time_for(patched, 2 * number)


def pull_with_time_for(monkeypatch: pytest.MonkeyPatch, looks: int, *, now: datetime = NOW) -> Pulled:
    """A pull that has time left so many times when it looks; then it has none."""
    time_left = iter([True] * looks)
    with monkeypatch.context() as patched:
        patched.setattr(rows.Rows, "has_time", lambda *_: next(time_left, False))
        return pulled(now)


def test_a_pull_goes_on_right_there_though_the_look_back_holds_more_than_one_has_time_for(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    races = make_races(60)
    pushed()
    pulled()
    edit(appwrite, races[0], staff_note="the newest")
    for _ in range(3):
        pull_pages(monkeypatch, 3)
    assert Race.objects.get(pk=races[0].pk).staff_note == "the newest"
    edit(appwrite, races[1], staff_note="newer still")
    for _ in range(3):
        pull_pages(monkeypatch, 3)
    assert Race.objects.get(pk=races[1].pk).staff_note == "newer still", "a pass that was cut off is followed by others"


def test_what_is_written_behind_a_pull_that_was_cut_off_comes_with_the_next_pass(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    races = make_races(40)
    pushed()
    pull_pages(monkeypatch, 2)
    first = min(sync_state.states(), key=lambda state: (state.base_updated_at, state.remote_id))
    stamp = mapping.instant(datetime.fromisoformat(first.base_updated_at) + timedelta(milliseconds=1))
    edit(appwrite, races[39], staff_note="late", **{"$updatedAt": stamp})
    for _ in range(4):
        pull_pages(monkeypatch, 2)
    assert Race.objects.get(pk=races[39].pk).staff_note == "late"


def test_a_bulk_edit_under_one_instant_arrives_over_several_pulls_and_then_a_pull_is_one_read_again(
    appwrite: Appwrite, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_races(MANY)
    while sync_state.dirty(now=NOW).exists():
        pushed()
    pulled()
    appwrite.edit_all(staff_note="all")
    taken: list[int] = []
    while sum(taken) < MANY:
        # Time for a page, and two hundred of its rows.
        taken.append(pull_with_time_for(monkeypatch, 3, now=clock.now()).taken)
    assert len(taken) > 1
    assert Race.objects.filter(staff_note="all").count() == MANY
    gate.ahead_seconds = 60
    for _ in range(2):
        pulled(clock.now() + timedelta(minutes=1))
    appwrite.forget()
    assert pulled(clock.now() + timedelta(minutes=1)) == Pulled()
    pushed()
    assert appwrite.asked() == [f"GET {appwrite.path}"], "they lie behind the look back by the server's own clock"


def test_a_date_that_is_ahead_of_those_who_stamp_rows_hides_no_edit(appwrite: Appwrite, gate: Gate, race: Race) -> None:
    gate.ahead_seconds = 3600
    pulled(clock.now())
    edit(appwrite, race, staff_note="x")
    assert pulled(clock.now()).taken == 1
