"""What a push does with a race, by the race and what is known of its row."""

from typing import Any

import pytest

from polling.appwrite import sync_state
from polling.appwrite.mapping import race_row_id
from polling.appwrite.push.race_push import Action, RacePush, pushes_of
from polling.appwrite.reconcile import local_values
from tests.appwrite.conftest import NOW
from tests.factories import make_race

pytestmark = pytest.mark.django_db
UPDATED_AT = "2026-11-23T02:00:00.000+00:00"


def push_of(base: dict[str, Any] | None = None, **state: Any) -> RacePush:
    """A race whose row was agreed on, but for what differs in `base` and in its state."""
    made = make_race(version=3)
    agreed = {"base": {**local_values(made), **(base or {})}, "base_updated_at": UPDATED_AT, "pushed_version": 3}
    return RacePush(made, sync_state.new_state(made.pk, race_row_id(made), **agreed | state))


NEVER_AGREED: dict[str, Any] = {"base": {}, "base_updated_at": "", "pushed_version": 0}


@pytest.mark.parametrize(
    ("base", "state", "action", "changes"),
    [
        pytest.param({}, {}, Action.UNCHANGED, [], id="equal"),
        pytest.param({}, {"pushed_version": 2}, Action.UNCHANGED, [], id="a version without new content"),
        pytest.param({"name": "Cup"}, {"pushed_version": 2}, Action.CHANGE, ["name"], id="a field that changed"),
        pytest.param(
            {"last_poll_time": UPDATED_AT}, {}, Action.CHANGE, ["last_poll_time"], id="a poll alone, to show it"
        ),
        pytest.param(
            {"last_poll_time": UPDATED_AT}, {"pushed_version": 2}, Action.UNCHANGED, [], id="a poll beside a version"
        ),
        pytest.param(
            {"last_changed_at": UPDATED_AT},
            {"undo_pending": True},
            Action.CHANGE,
            ["last_changed_at"],
            id="an edit to undo",
        ),
        pytest.param({"sync_version": 9}, {}, Action.CHANGE, ["sync_version"], id="a version above ours"),
        pytest.param({}, {"attempts": 1}, Action.READ, [], id="an earlier write failed"),
        pytest.param({}, {"sent": [{"sync_version": 2}]}, Action.READ, [], id="an earlier write was not answered"),
    ],
)
def test_what_is_done_with_a_known_row(
    base: dict[str, Any], state: dict[str, Any], action: Action, changes: list[str]
) -> None:
    push = push_of(base, **state)
    assert (push.action, [*push.changes]) == (action, changes)


def test_a_row_that_is_not_known_is_created_and_one_that_was_deleted_re_created() -> None:
    assert push_of(**NEVER_AGREED).action is Action.CREATE
    assert push_of(**NEVER_AGREED, remote_deleted_at=NOW).action is Action.RECREATE


def test_a_race_that_no_row_can_hold_is_given_up() -> None:
    [push] = pushes_of([make_race(results={"not": "a list"})])
    assert push.action is Action.GIVE_UP
    assert "is no text" in str(push.problem)


def test_writes_are_remembered_but_only_the_last_ones() -> None:
    push = push_of({"name": "Cup"}, sent=[{"sync_version": version} for version in range(4)])
    assert [write["sync_version"] for write in push.sending] == [1, 2, 3, 3]
    assert push.sending[-1]["name"] == push.race.name
