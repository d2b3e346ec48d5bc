"""Which polls ask for a race's detail."""

from datetime import timedelta

import pytest

from polling.request_policy import wants_detail
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
    assert wants_detail(START, has_detail=True, wanted=False, **options) is expected  # type: ignore[arg-type]
    assert wants_detail(START, has_detail=False, wanted=False, **options)  # type: ignore[arg-type]
    assert wants_detail(START, has_detail=True, wanted=True, **options)  # type: ignore[arg-type]


def test_races_are_held_for_ten_minutes_by_default() -> None:
    assert timedelta(minutes=10) == settings.POLL_HOLD
