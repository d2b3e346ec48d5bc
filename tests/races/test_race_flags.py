"""What staff should notice about a race: each flag alone, and none for an ordinary race."""

from typing import Any

import pytest

from races.models import Race
from races.race_flags import RaceFlag, flags_of
from tests.factories import START

ENDED = {"status": "finalized", "finalized_by": "provider", "finalized_at": START}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({}, [], id="nothing to notice"),
        pytest.param({"protest": True}, [RaceFlag.PROTEST], id="a protest"),
        pytest.param({"protest": True, **ENDED}, [], id="a protest that is decided"),
        pytest.param({"escalation": "late"}, [RaceFlag.LATE], id="no end after an hour"),
        pytest.param({"escalation": "overdue"}, [RaceFlag.OVERDUE], id="no end after six hours"),
        pytest.param({"escalation": "no_result"}, [RaceFlag.NO_RESULT], id="a Final whose result never came"),
        pytest.param({"unproven_final_at": START}, [RaceFlag.UNCONFIRMED], id="a Final that nothing confirms"),
        pytest.param({"unproven_final_at": START, **ENDED}, [], id="a Final that counts"),
        pytest.param({"polling_paused": True}, [RaceFlag.PAUSED], id="paused"),
        pytest.param({"off_card_since": START}, [RaceFlag.OFF_CARD], id="not on the card"),
        pytest.param({"off_card_since": START, **ENDED}, [], id="ended and not on the card"),
        pytest.param({"left_out": {"runners": 1}}, [RaceFlag.INCOMPLETE], id="a runner that could not be read"),
        pytest.param({"left_out": {"runners reported twice": 1}}, [], id="a runner that was reported twice"),
        pytest.param(
            {"off_card_since": START, "polling_paused": True}, [RaceFlag.PAUSED, RaceFlag.OFF_CARD], id="in order"
        ),
    ],
)
def test_a_race_has_the_flags_of_its_facts(facts: dict[str, Any], expected: list[RaceFlag]) -> None:
    assert flags_of(Race(**facts), is_unknown=False, is_disputed=False) == expected


def test_a_provider_that_lost_a_race_or_reports_another_end_is_a_flag() -> None:
    assert flags_of(Race(), is_unknown=True, is_disputed=True) == [RaceFlag.UNKNOWN, RaceFlag.DISPUTED]
