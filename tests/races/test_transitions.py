"""The table of transitions: one for everything that can be stored and reported, and what each comes to."""

from datetime import timedelta
from itertools import product

import pytest

from races.status import FinalizedBy, Outcome, RaceStatus, ResultState
from races.transitions import (
    CONFIRMS_AFTER,
    TABLE,
    Reported,
    Stored,
    Transition,
    find_transition,
    is_proven,
    is_same_outcome,
    reported_as,
    stored_as,
)
from tests.factories import START

D, R, S = Transition, Reported, Stored

EXPECTED = {
    # nothing, open, under way, interim, listed Final, unproven Final, proven Final, called off
    S.SCHEDULED: (D.KEEP, D.MOVE, D.MOVE, D.MOVE, D.WAIT, D.WAIT, D.END, D.END),
    S.IN_PROGRESS: (D.KEEP, D.MOVE, D.MOVE, D.MOVE, D.WAIT, D.WAIT, D.END, D.END),
    S.RESULTED: (D.KEEP, D.REOPEN, D.REOPEN, D.REOPEN, D.KEEP, D.KEEP, D.KEEP, D.CORRECT),
    S.CALLED_OFF: (D.KEEP, D.REOPEN, D.REOPEN, D.REOPEN, D.WAIT, D.WAIT, D.CORRECT, D.CORRECT),
    S.DECIDED: (D.KEEP, *[D.DISPUTE] * 7),
}


def test_every_pair_of_stored_and_reported_has_its_transition() -> None:
    assert set(TABLE) == set(Stored) == set(EXPECTED)
    assert {stored: set(row) for stored, row in TABLE.items()} == {stored: set(Reported) for stored in Stored}
    for stored, expected in EXPECTED.items():
        assert tuple(find_transition(stored, reported, same_outcome=False) for reported in Reported) == expected, stored


@pytest.mark.parametrize("stored", Stored)
@pytest.mark.parametrize("reported", Reported)
def test_an_answer_that_ends_a_race_as_it_is_stored_corrects_and_disputes_nothing(
    stored: Stored, reported: Reported
) -> None:
    transition = find_transition(stored, reported, same_outcome=True)
    assert transition not in (Transition.CORRECT, Transition.DISPUTE)
    if stored is Stored.DECIDED and reported is not Reported.NOTHING:
        assert transition is Transition.AGREE


def test_what_staff_or_appwrite_ended_is_never_moved() -> None:
    moving = {Transition.MOVE, Transition.END, Transition.REOPEN, Transition.CORRECT, Transition.WAIT}
    for reported, same in product(Reported, (True, False)):
        assert find_transition(Stored.DECIDED, reported, same_outcome=same) not in moving


def test_a_status_alone_never_ends_a_race_with_a_result() -> None:
    assert {find_transition(stored, Reported.LISTED_FINAL, same_outcome=False) for stored in Stored} & {
        D.END,
        D.CORRECT,
    } == set()


def test_every_stored_race_and_every_answer_has_its_place_in_the_table() -> None:
    places = {
        stored_as(status, by, outcome)
        for status, by, outcome in product(RaceStatus, ["", *FinalizedBy], ["", *Outcome])
    }
    assert places == set(Stored)
    answers = {
        reported_as(status, outcome, state, is_detail=detail, is_proven=proven)
        for status, outcome, state, detail, proven in product(
            [None, *RaceStatus], [None, *Outcome], [None, *ResultState], (True, False), (True, False)
        )
    }
    assert answers == set(Reported)


@pytest.mark.parametrize(
    ("has_placing", "seconds", "unproven_for", "expected"),
    [
        pytest.param(True, 300, None, True, id="a result after the start"),
        pytest.param(True, 0, None, True, id="a result at the start"),
        pytest.param(True, -1, None, False, id="a result before the start"),
        pytest.param(False, 300, None, False, id="no placing"),
        pytest.param(True, -1, 15, True, id="before the start, a slot later again"),
        pytest.param(False, 300, 15, True, id="no placing, a slot later again"),
        pytest.param(False, 300, 1, False, id="no placing, again in the same slot"),
    ],
)
def test_a_final_counts_with_a_placing_after_the_start_or_when_it_is_repeated_a_slot_later(
    has_placing: bool, seconds: float, unproven_for: float | None, expected: bool
) -> None:
    now = START + timedelta(seconds=seconds)
    since = None if unproven_for is None else now - timedelta(seconds=unproven_for)
    assert is_proven(has_placing=has_placing, advertised_start=START, unproven_since=since, now=now) is expected
    assert timedelta(seconds=8) < CONFIRMS_AFTER < timedelta(seconds=15)


@pytest.mark.parametrize("stored", ["", *Outcome])
@pytest.mark.parametrize("reported", [None, *Outcome])
def test_an_end_without_an_outcome_agrees_with_every_end(stored: str, reported: Outcome | None) -> None:
    assert is_same_outcome(stored, reported) is (reported is not None and stored in ("", reported))
