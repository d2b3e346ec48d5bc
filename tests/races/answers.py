"""Answers of a provider for the tests of races: a status, a full answer, and the race that they make."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from races.models import Race
from races.snapshots import (
    MeetingSnapshot,
    RaceSnapshot,
    RunnerSnapshot,
    Scope,
)
from races.status import Outcome, RaceStatus, ResultState
from tests.factories import START

NOW = START - timedelta(minutes=30)
MEETING = MeetingSnapshot("sandbox", "m1", "Kowhai Park", "NZ", "NZ", "thoroughbred", START.date(), "Pacific/Auckland")


def status(race_id: str = "r1", **facts: Any) -> RaceSnapshot:
    """A status-only answer."""
    base = RaceSnapshot(
        provider="sandbox",
        provider_race_id=race_id,
        scope=Scope.STATUS,
        observed_at=NOW,
        meeting=MEETING,
        number=1,
        name="Maiden",
        advertised_start=START,
        status=RaceStatus.SCHEDULED,
        provider_status="Open",
    )
    return replace(base, **facts)


def full(race_id: str = "r1", **facts: Any) -> RaceSnapshot:
    """A whole answer with three runners."""
    runners = tuple(
        RunnerSnapshot(number, f"Horse {number}", barrier=number, fixed_win=Decimal("2.50")) for number in (1, 2, 3)
    )
    return replace(
        status(race_id),
        **{"scope": Scope.FULL, "runners": runners, "results": (), "dividends": ()} | facts,
    )


def ended(scope: Scope, outcome: Outcome = Outcome.RESULTED) -> dict[str, Any]:
    """What an answer says of a race that is over."""
    return {
        "scope": scope,
        "status": RaceStatus.FINALIZED,
        "provider_status": "Final" if outcome is Outcome.RESULTED else "Abandoned",
        "outcome": outcome,
        "result_state": ResultState.FINAL if outcome is Outcome.RESULTED else None,
    }


def race() -> Race:
    """The one race, as stored."""
    return Race.objects.get()
