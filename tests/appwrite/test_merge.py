"""The three-way merge: a table of cases, and what must hold for any three states."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polling.appwrite.mapping import RACE_FIELDS, Values, complete
from polling.appwrite.merge import OWNERS, Owner, Side, landed, merge, outgoing

EARLY, LATE, LATER = (f"2026-11-23T{hour}:00:00.000+00:00" for hour in ("01", "02", "03"))
BASE = complete({"name": "Cup", "status": "scheduled", "sync_version": 3, "last_poll_time": EARLY})


@pytest.mark.parametrize(
    ("field", "base", "local", "remote", "taken", "pushed", "chosen"),
    [
        pytest.param("name", "A", "A", "A", False, False, None, id="nobody moved"),
        pytest.param("name", "A", "B", "A", False, True, None, id="Django moved its own field"),
        pytest.param("name", "A", "A", "B", False, True, Side.LOCAL, id="Appwrite moved Django's field: undone"),
        pytest.param("name", "A", "B", "C", False, True, Side.LOCAL, id="both moved Django's field: undone"),
        pytest.param("name", "A", "B", "B", False, False, None, id="both moved to one value"),
        pytest.param("advertised_start", EARLY, EARLY, LATE, False, True, Side.LOCAL, id="a start the console shifted"),
        pytest.param("runners", "[1]", "[1]", None, False, True, Side.LOCAL, id="runners wiped out"),
        pytest.param("staff_note", None, None, "hi", True, False, None, id="a note made in Appwrite"),
        pytest.param("staff_note", "a", "a", None, True, False, None, id="a note removed in Appwrite"),
        pytest.param("staff_note", None, "hi", None, False, True, None, id="a note made in Django"),
        pytest.param("staff_note", "a", "b", "c", False, True, Side.LOCAL, id="two notes: Django's is kept"),
        pytest.param("staff_note", "a", None, "c", False, True, Side.LOCAL, id="a removal against an edit"),
        pytest.param("polling_paused", False, False, True, True, False, None, id="paused in Appwrite"),
        pytest.param("polling_paused", True, True, False, True, False, None, id="resumed in Appwrite"),
        pytest.param("polling_paused", False, True, True, False, False, None, id="paused on both sides"),
        pytest.param("status", "scheduled", "scheduled", "finalized", True, False, None, id="ended in Appwrite"),
        pytest.param(
            "status", "scheduled", "in_progress", "finalized", True, False, Side.REMOTE,
            id="ended in Appwrite while Django saw it start",
        ),
        pytest.param("status", "finalized", "in_progress", "finalized", False, True, None, id="re-opened by staff"),
        pytest.param("status", "finalized", "finalized", "in_progress", False, True, Side.LOCAL, id="a step back"),
        pytest.param("status", "scheduled", "scheduled", "in_progress", False, True, Side.LOCAL, id="started there"),
        pytest.param("status", "in_progress", "in_progress", None, False, True, Side.LOCAL, id="a status wiped out"),
        pytest.param("poll_requested_at", None, None, EARLY, True, False, None, id="a first request"),
        pytest.param("poll_requested_at", EARLY, EARLY, LATE, True, False, None, id="a newer request"),
        pytest.param("poll_requested_at", LATE, LATE, EARLY, False, True, Side.LOCAL, id="an older request"),
        pytest.param("poll_requested_at", LATE, LATE, None, False, True, Side.LOCAL, id="a request taken back"),
        pytest.param("last_poll_time", EARLY, LATE, EARLY, False, False, None, id="a poll alone is no reason to write"),
        pytest.param("last_poll_time", EARLY, EARLY, LATE, False, False, Side.LOCAL, id="a poll time made up there"),
    ],
)  # fmt: skip
def test_each_field_goes_by_its_owner(
    field: str, base: Any, local: Any, remote: Any, taken: bool, pushed: bool, chosen: Side | None
) -> None:
    plan = merge(BASE | {field: base}, BASE | {field: local}, BASE | {field: remote})
    assert plan.take == ({field: remote} if taken else {})
    assert plan.push == ({field: local} if pushed else {})
    assert [(clash.field, clash.base, clash.local, clash.remote, clash.chosen) for clash in plan.clashes] == (
        [(field, base, local, remote, chosen)] if chosen else []
    )


def test_edits_of_different_fields_on_both_sides_both_survive() -> None:
    plan = merge(BASE, BASE | {"name": "Plate"}, BASE | {"staff_note": "soft track"})
    assert (plan.take, plan.push, plan.clashes) == ({"staff_note": "soft track"}, {"name": "Plate"}, ())


def test_what_travels_goes_along_with_a_real_change() -> None:
    local = BASE | {"name": "Plate", "last_poll_time": LATE, "sync_version": 4}
    assert outgoing(BASE, local) == {"name": "Plate", "last_poll_time": LATE, "sync_version": 4}


FIRST = {"name": "Plate", "last_poll_time": LATE, "sync_version": 4}
AGAIN = FIRST | {"last_poll_time": LATER}
SECOND = {"staff_note": "b", "name": "Plate", "sync_version": 5}
UNDOING = {"name": "Cup", "status": "scheduled", "sync_version": 3}


@pytest.mark.parametrize(
    ("sent", "base", "remote", "ours"),
    [
        pytest.param([], BASE, BASE | FIRST, {}, id="nothing was sent"),
        pytest.param([FIRST], BASE, BASE, {}, id="it did not land"),
        pytest.param([FIRST], BASE, BASE | FIRST, FIRST, id="it landed"),
        pytest.param([FIRST], BASE, BASE | FIRST | {"name": "Theirs"}, FIRST, id="they wrote over it"),
        pytest.param([FIRST, SECOND], BASE, BASE | FIRST, FIRST, id="the first of two landed"),
        pytest.param([FIRST, SECOND], BASE, BASE | SECOND, SECOND, id="the second of two landed"),
        pytest.param([FIRST, AGAIN], BASE, BASE | FIRST, FIRST, id="the first try of one version landed"),
        pytest.param([FIRST, AGAIN], BASE, BASE | AGAIN, AGAIN, id="the second try of one version landed"),
        pytest.param(
            [UNDOING], BASE | {"name": "Theirs"}, BASE | {"name": "Theirs"}, {"status": "scheduled", "sync_version": 3},
            id="what undoes their edit did not land",
        ),
        pytest.param([UNDOING], BASE | {"name": "Theirs"}, BASE, UNDOING, id="what undoes their edit landed"),
    ],
)  # fmt: skip
def test_a_write_whose_reply_was_lost_is_known_by_its_version(
    sent: list[Values], base: Values, remote: Values, ours: Values
) -> None:
    assert landed(base, sent, remote) == ours


def test_every_synced_field_has_an_owner_and_every_owner_a_rule() -> None:
    assert OWNERS.keys() == RACE_FIELDS.keys()
    for owner in Owner:
        plan = merge(BASE, BASE, BASE | {"name": "Plate"}, {"name": owner})
        assert bool(plan.take) != bool(plan.clashes)


# --- for any three states -------------------------------------------------------------------------------------------

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "status": st.sampled_from(["scheduled", "in_progress", "finalized", None]),
    "polling_paused": st.booleans(),
    "staff_note": st.sampled_from([None, "a", "b", "c"]),
    **dict.fromkeys(("poll_requested_at", "last_poll_time"), st.sampled_from([None, EARLY, LATE, LATER])),
    **dict.fromkeys(("name", "runners", "last_changed_at"), st.sampled_from([None, "x", "y"])),
    "sync_version": st.sampled_from([None, 1, 2]),
}
STATES = st.fixed_dictionaries(_VALUES).map(lambda values: {**complete({}), **values})
NOT_COMPARED = {field for field, owner in OWNERS.items() if owner is Owner.TRAVELS}


@given(base=STATES, local=STATES, remote=STATES)
def test_once_taken_and_pushed_both_sides_are_equal_and_nothing_is_left_to_do(
    base: Values, local: Values, remote: Values
) -> None:
    plan = merge(base, local, remote)
    ours, theirs = {**local, **plan.take}, {**remote, **plan.push}
    assert {field for field in ours if ours[field] != theirs[field]} <= NOT_COMPARED
    again = merge(theirs, ours, theirs)
    assert (again.take, again.push, again.clashes) == ({}, {}, ())


@given(base=STATES, local=STATES, remote=STATES)
def test_a_merge_done_again_before_its_push_takes_and_logs_nothing(base: Values, local: Values, remote: Values) -> None:
    plan = merge(base, local, remote)
    again = merge(remote, {**local, **plan.take}, remote)
    assert (again.take, again.push, again.clashes) == ({}, plan.push, ())


@given(base=STATES, local=STATES, remote=STATES)
def test_no_edit_is_lost_each_is_in_the_result_or_in_the_conflicts(base: Values, local: Values, remote: Values) -> None:
    plan = merge(base, local, remote)
    result = {**local, **plan.take}
    logged = {clash.field: (clash.local, clash.remote) for clash in plan.clashes}
    for field, owner in OWNERS.items():
        for side in (remote,) if owner is Owner.APPWRITE else (local, remote):
            edited = side[field] != base[field]
            assert not edited or side[field] == result[field] or side[field] in logged[field]


@given(base=STATES, local=STATES)
def test_a_row_that_appwrite_left_alone_takes_nothing_and_logs_nothing(base: Values, local: Values) -> None:
    plan = merge(base, local, base)
    assert (plan.take, plan.push, plan.clashes) == ({}, outgoing(base, local), ())


@given(base=STATES, local=STATES, remote=STATES)
def test_an_end_never_steps_back_but_by_django(base: Values, local: Values, remote: Values) -> None:
    plan = merge(base, local, remote)
    result = {**local, **plan.take}["status"]
    if local["status"] == "finalized":
        assert result == "finalized", "Appwrite re-opens nothing"
    if remote["status"] == "finalized" != base["status"]:
        assert result == "finalized", "an end set in Appwrite counts"


COMMUTING = sorted({"name", "runners", "staff_note", "polling_paused", "status"})


@given(
    base=STATES, edits=st.fixed_dictionaries({}, optional={name: _VALUES[name] for name in COMMUTING}), remote=STATES
)
def test_the_result_is_the_same_whether_the_row_is_read_before_or_after_an_edit_of_ours(
    base: Values, edits: Values, remote: Values
) -> None:
    """But for an end, which an edit made before it was known cannot have meant to take back."""
    edits = {name: value for name, value in edits.items() if value != base[name]}
    if base["status"] == "finalized" or remote["status"] == "finalized":
        edits.pop("status", None)

    edited = {**base, **edits}
    edited_first = {**edited, **merge(base, edited, remote).take}
    read = {**base, **merge(base, base, remote).take}
    read_first = {**read, **edits}
    read_first |= merge(remote, read_first, remote).take
    assert edited_first == read_first
