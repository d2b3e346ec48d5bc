"""Which status answers show that the stored detail of a race is outdated."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from races.detail_check import is_detail_outdated
from races.models import Race
from races.snapshots import RaceSnapshot, Scope
from races.status import RaceStatus, ResultState
from tests.factories import START

OPEN = RaceSnapshot(
    "sandbox", "r1", Scope.STATUS, START, advertised_start=START, status=RaceStatus.SCHEDULED, provider_status="Open"
)
ENDED = {"status": "finalized", "finalized_by": "provider", "finalized_at": START}


@pytest.mark.parametrize(
    ("stored", "reported", "expected"),
    [
        pytest.param({}, {}, False, id="nothing changed"),
        pytest.param(
            {}, {"status": None, "provider_status": None, "advertised_start": None}, False, id="nothing in it"
        ),
        pytest.param({}, {"provider_status": "Closed"}, True, id="another status"),
        pytest.param({}, {"protest": True}, True, id="a protest"),
        pytest.param({"protest": True}, {"protest": True}, False, id="the same protest"),
        pytest.param({}, {"advertised_start": START + timedelta(minutes=5)}, True, id="another start"),
        pytest.param({}, {"status": RaceStatus.FINALIZED}, True, id="an end"),
        pytest.param(ENDED, {"status": RaceStatus.FINALIZED}, False, id="an end that is stored"),
        pytest.param(ENDED, {}, True, id="an end that the provider takes back"),
        pytest.param({**ENDED, "finalized_by": "staff"}, {}, False, id="an end that staff decided"),
        pytest.param({}, {"result_state": ResultState.INTERIM}, True, id="an interim result that is not stored"),
        pytest.param(
            {"results": [{"position": 1}]}, {"result_state": ResultState.INTERIM}, False, id="a stored interim result"
        ),
    ],
)
def test_a_detail_is_outdated(stored: dict[str, Any], reported: dict[str, Any], expected: bool) -> None:
    race = Race(provider_start=START, provider_status="Open", **stored)
    assert is_detail_outdated(race, replace(OPEN, **reported)) is expected
