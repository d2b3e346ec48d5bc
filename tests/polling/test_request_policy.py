"""Which polls ask for a race by a request of its own."""

from datetime import timedelta
from itertools import product

import pytest

from polling.request_policy import BatchScope, asks_singly
from racepoll_site import settings
from tests.factories import START


@pytest.mark.parametrize(
    ("seconds", "waiting", "policy", "expected"),
    [
        pytest.param(-1, True, "until_start", True, id="before the start"),
        pytest.param(-1, False, "until_start", True, id="closed before the start"),
        pytest.param(0, True, "until_start", True, id="waiting at the start"),
        pytest.param(3600, True, "until_start", True, id="waiting for an hour, past any hold"),
        pytest.param(0, False, "until_start", False, id="jumped"),
        pytest.param(-1, True, "changed", False, id="only what moved"),
        pytest.param(3600, False, "always", True, id="always"),
    ],
)
def test_the_odds_are_asked_for_until_the_race_has_jumped(
    seconds: int, waiting: bool, policy: str, expected: bool
) -> None:
    now = START + timedelta(seconds=seconds)
    options = {"waiting": waiting, "policy": policy, "now": now}
    assert asks_singly(BatchScope.STATUS, START, has_detail=True, wanted=False, **options) is expected  # type: ignore[arg-type]
    assert asks_singly(BatchScope.STATUS, START, has_detail=False, wanted=False, **options)  # type: ignore[arg-type]
    assert asks_singly(BatchScope.STATUS, START, has_detail=True, wanted=True, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["always", "until_start", "changed"])
@pytest.mark.parametrize(("scope", "expected"), [(BatchScope.NONE, True), (BatchScope.FULL, False)])
def test_without_a_list_every_race_is_asked_singly_and_none_where_the_list_answers_all(
    scope: BatchScope, expected: bool, policy: str
) -> None:
    for has_detail, wanted, waiting in product((False, True), repeat=3):
        options = {"waiting": waiting, "has_detail": has_detail, "wanted": wanted}
        assert asks_singly(scope, START, policy=policy, now=START, **options) is expected


def test_races_are_held_for_ten_minutes_by_default() -> None:
    assert timedelta(minutes=10) == settings.POLL_HOLD
