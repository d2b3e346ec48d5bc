"""Which answers count: none that is older than what is stored, unless the provider has set its clock back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from races import ingest
from races.snapshots import (
    Scope,
)
from races.status import RaceStatus
from tests.factories import START
from tests.races.answers import NOW, full, race, status

pytestmark = pytest.mark.django_db


def test_an_answer_older_than_the_last_is_dropped() -> None:
    ingest.apply([full(source_time=NOW, distance_m=1200)], now=NOW)
    ingest.apply([full(source_time=NOW - timedelta(seconds=5), distance_m=1000)], now=NOW)
    assert race().distance_m == 1200


def changes_after(
    seconds: int, *, behind: timedelta = timedelta(), scope: Scope = Scope.FULL, **facts: Any
) -> ingest.Changes:
    """Applies an answer that comes so long after NOW, and was generated `behind` earlier."""
    at = NOW + timedelta(seconds=seconds)
    answer = full(**facts) if scope is Scope.FULL else status(**facts)
    return ingest.apply([replace(answer, observed_at=at, source_time=at - behind)], now=at)


TWO_MINUTES = timedelta(minutes=2)


@pytest.mark.parametrize("scope", Scope)
def test_answers_of_a_cache_that_lags_behind_never_count_however_often_they_alternate(scope: Scope) -> None:
    changes_after(0, distance_m=1200, status=RaceStatus.IN_PROGRESS, provider_status="Closed")
    version = race().version
    for turn in range(6):
        closed: dict[str, Any] = {"status": RaceStatus.IN_PROGRESS, "provider_status": "Closed"}
        assert not changes_after(30 * turn + 15, behind=TWO_MINUTES, scope=scope, distance_m=1000).changed
        assert not changes_after(30 * turn + 30, distance_m=1200, **closed).changed
    assert (race().distance_m, race().status, race().version) == (1200, "in_progress", version)


def test_an_older_answer_is_reported_as_refused_and_the_answers_that_followed_unchanged_count_for_its_age() -> None:
    changes_after(0)
    changes_after(60)
    assert race().source_time == NOW + timedelta(seconds=60)
    refused = changes_after(75, behind=timedelta(seconds=30), distance_m=1000)
    assert (refused.refused, refused.races) == ({race().pk}, {race().key: race().pk})
    assert race().older_answers == 1
    assert not changes_after(90).refused
    assert race().older_answers == 0


def test_answers_count_again_once_the_provider_has_set_its_clock_back_for_good() -> None:
    changes_after(0, distance_m=1200)
    behind = timedelta(hours=1)
    refused = [bool(changes_after(15 * turn, behind=behind, distance_m=1000).refused) for turn in range(1, 7)]
    assert refused == [True, True, True, True, False, False]
    assert (race().distance_m, race().source_time) == (1000, NOW + timedelta(seconds=90) - behind)


def test_a_provider_whose_clock_runs_ahead_is_ordered_by_its_own_clock() -> None:
    ahead = -timedelta(minutes=20)
    changes_after(0, behind=ahead, distance_m=1200)
    assert changes_after(15, behind=ahead + TWO_MINUTES, distance_m=1000).refused
    assert race().distance_m == 1200


def test_one_time_far_ahead_does_not_make_later_answers_look_old() -> None:
    ingest.apply([full(source_time=START + timedelta(days=9999), distance_m=1200)], now=NOW)
    ingest.apply([full(source_time=NOW + timedelta(seconds=15), distance_m=1000)], now=NOW + timedelta(seconds=15))
    assert race().distance_m == 1000
