"""Late starts, early ones, starts that move, and races that do not end: real ticks and pollers, a driven clock."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from polling import dispatch, importing, planning, pollers
from polling.models import PollState, Trigger
from races.models import Race
from tests.factories import START
from tests.polling.conftest import ProviderBox
from tests.polling.driving import STEP, Driver, polled, ticks
from tests.polling.single_race import (
    MINUTE,
    SECOND,
    at,
    make_single_race,
    plan_from,
    since,
    status,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def race(provider: ProviderBox) -> Race:
    """Its polls begin at T-1."""
    return make_single_race(provider, first_poll_at=at(-1))


@pytest.fixture
def hold(settings: Any) -> Iterator[timedelta]:
    """Races that are late are held for three minutes."""
    settings.POLL_HOLD = 3 * MINUTE
    planning.default_cadence.cache_clear()
    yield settings.POLL_HOLD
    planning.default_cadence.cache_clear()


# --- late -------------------------------------------------------------------------------------------------------


def test_a_race_still_open_past_its_start_is_polled_every_15_s_for_the_hold_then_every_5_min(
    race: Race, driver: Driver, hold: timedelta
) -> None:
    driver.drive(at(-1), at(15))
    assert polled(race) == [
        *ticks(at(-1), START + hold),
        START + hold + 5 * MINUTE,
        START + hold + 10 * MINUTE,
    ]
    assert status(race) == "scheduled"


@pytest.mark.parametrize("word", ["Closed", "Live"])
def test_a_held_race_goes_over_to_5_min_as_soon_as_it_has_started(
    race: Race, driver: Driver, provider: ProviderBox, hold: timedelta, word: str
) -> None:
    driver.drive(at(-1), at(1, 15))
    provider.steer(race, status=word)
    driver.drive(at(1, 30), at(12))
    assert since(race, at(1)) == [1, 1.25, 1.5, 5, 10]
    assert status(race) == "in_progress"


@pytest.mark.usefixtures("hold")
def test_a_race_that_is_opened_again_goes_back_to_15_s_while_the_hold_lasts(
    race: Race, driver: Driver, provider: ProviderBox
) -> None:
    driver.drive(at(-1), at(0))
    provider.steer(race, status="Closed")
    driver.drive(at(0, 15), at(0, 45))
    assert status(race) == "in_progress"
    assert race.next_poll_at == at(5)
    provider.steer(race, status="Open")
    importing.import_schedule("sandbox", now=at(1, 5))
    Race.objects.exclude(pk=race.pk).delete()
    assert status(race) == "scheduled"
    driver.drive(at(1, 15), at(9))
    assert since(race, at(0)) == [0, 0.25, *(minutes / 4 for minutes in range(5, 13)), 8]


def test_a_race_closed_before_its_start_and_opened_again_is_scheduled_again_and_keeps_its_slots(
    race: Race, driver: Driver, provider: ProviderBox
) -> None:
    plan_from(race, at(-4))
    seen = {}
    for slot in ticks(at(-4), at(0)):
        provider.steer(race, status="Closed" if at(-3) <= slot < at(-2) else "Open")
        driver.tick(slot)
        seen[(slot - START) / MINUTE] = status(race)
    assert [minutes for minutes, reported in seen.items() if reported == "in_progress"] == [-3, -2.75, -2.5, -2.25]
    assert since(race, at(-4)) == list(seen)


# --- early ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("early", "word"), [(20, "Closed"), (37, "Live"), (60, "Closed")])
def test_an_early_start_is_seen_at_the_next_slot_and_nothing_after_it_is_lost(
    race: Race, driver: Driver, provider: ProviderBox, early: int, word: str
) -> None:
    plan_from(race, at(-2))
    jumped_at, recorded_at = at(0, -early), None
    for slot in ticks(at(-2), at(16)):
        reported = "Open" if slot < jumped_at else word if slot < at(8) else "Final"
        provider.steer(race, status=reported)
        driver.tick(slot)
        if recorded_at is None and status(race) == "in_progress":
            recorded_at = slot
    assert recorded_at is not None and timedelta() <= recorded_at - jumped_at < STEP
    assert since(race, at(-2)) == [*(quarter / 4 for quarter in range(-8, 1)), 5, 10]
    assert (status(race), race.outcome, race.finalized_at) == ("finalized", "resulted", at(10, 0.36))
    assert race.results


# --- races that do not end --------------------------------------------------------------------------------------

LOST: list[Any] = [
    pytest.param({}, {"kind": "missing_race"}, id="gone from the list"),
    pytest.param({"vanished": True}, None, id="404 for hours"),
    pytest.param({"status": "Interim"}, None, id="never final"),
    pytest.param({"status": "Inquiry"}, None, id="an unknown status"),
]


@pytest.mark.parametrize(("reported", "fault"), LOST)
def test_a_race_without_an_end_is_asked_at_least_every_five_minutes_until_it_has_one(
    race: Race, driver: Driver, reported: dict[str, Any], fault: dict[str, Any] | None
) -> None:
    driver.drive_due(at(0))
    driver.provider.steer(race, status="Closed")
    driver.provider.steer(race, **reported)
    if fault:
        driver.provider.fault(**fault, race_id=race.provider_race_id)
    asked = driver.drive_due(at(2 * 60))
    gaps = {later - earlier for earlier, later in zip([at(0), *asked], asked, strict=False)}
    assert max(gaps) <= 5 * MINUTE + STEP
    assert status(race) != "finalized"
    assert race.next_poll_at is not None
    driver.provider.mend()
    driver.provider.steer(race, status="Final", vanished=False)
    driver.drive_due(at(2 * 60 + 6))
    assert (status(race), race.outcome) == ("finalized", "resulted")


@pytest.mark.parametrize(
    ("answer", "minutes"),
    [("the import", -30), ("the import", 12), ("the detail", -2), ("the detail", 12), ("the list", 12)],
)
def test_an_abandoned_race_ends_at_once_whichever_answer_reports_it(
    race: Race, driver: Driver, answer: str, minutes: int
) -> None:
    plan_from(race, at(min(minutes - 10, 0)))
    if answer == "the list":
        driver.provider.steer(race, status="Closed")
    driver.drive_due(at(minutes, -1))
    driver.provider.steer(race, status="Abandoned")
    driver.provider.now[0] = now = at(minutes)
    if answer == "the import":
        importing.import_schedule("sandbox", now=now)
    else:
        if answer == "the list":
            driver.provider.fault("error", times=None, path_contains="/events/")
        trigger = Trigger.FOUND if answer == "the list" else Trigger.FORCED
        won, _ = dispatch.claim_now([race], trigger=trigger, requested_by="test", now=now)
        pollers.run([log.pk for log in won], now=now, finished=lambda: now + SECOND)
    assert (status(race), race.outcome) == ("finalized", "abandoned")
    assert race.results == []
    if answer != "the detail":
        assert race.next_poll_at is not None, "its detail is asked for"
        assert timedelta() < race.next_poll_at - now <= 2 * STEP
    Race.objects.exclude(pk=race.pk).update(next_poll_at=None)
    driver.provider.mend()
    driver.drive_due(at(minutes + 60))
    assert (status(race), race.outcome, race.next_poll_at) == ("finalized", "abandoned", None)
    assert not race.detail_wanted


# --- starts that move -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_hold")
@pytest.mark.parametrize(
    ("reported_at", "moved_by", "polls"),
    [
        pytest.param(-4, 10, [-5, -4.75, -4.5, -4.25, -4, -2, 0, 1, 2], id="later: out of the last minutes"),
        pytest.param(-30, -22, [-35, -30, -29, -28, -27, -26.75, -26.5], id="earlier: past two windows"),
        pytest.param(-30, -27, [-35, -30, -29.75, -29.5, -29.25], id="earlier: into the last minutes"),
        pytest.param(-30, -29, [-35, -30, -29.75, -29.5, -29.25, -29, -24, -19], id="earlier: a minute from now"),
        pytest.param(-30, -31, [-35, -30, -26, -21], id="earlier: into the past"),
        pytest.param(-2, 90, [-2.5, -2.25, -2, 30, 35], id="later: before the first window"),
    ],
)
def test_a_start_that_moves_moves_the_grid_at_once(
    race: Race, driver: Driver, reported_at: float, moved_by: float, polls: list[float]
) -> None:
    plan_from(race, at(polls[0]))
    driver.drive_due(at(reported_at, -1))
    driver.provider.steer(race, advertised_start=at(moved_by).isoformat())
    driver.drive_due(at(polls[-1]))
    assert since(race, at(polls[0])) == polls
    assert_polled_once(race, driver)


def test_a_start_that_creeps_by_a_minute_three_times_loses_no_slot_and_repeats_none(race: Race, driver: Driver) -> None:
    creeps = [(at(-9, -4), at(1)), (at(-3, -20), at(2)), (at(0, -10), at(3))]
    plan_from(race, at(-12))
    for slot in ticks(at(-12), at(3)):
        known = max([start for reported_at, start in creeps if reported_at <= slot], default=START)
        driver.provider.steer(race, advertised_start=known.isoformat())
        driver.tick(slot)
    status(race)
    assert (race.advertised_start, race.original_advertised_start) == (at(3), START)
    minutely, quarterly = range(-9, -4), [quarter / 4 for quarter in range(-16, 13)]
    assert since(race, at(-12)) == [-12, -10, *minutely, *quarterly]
    assert_polled_once(race, driver)


def assert_polled_once(race: Race, driver: Driver) -> None:
    asked = Counter(entry["at"] for entry in driver.provider.requests(race.provider_race_id))
    assert set(asked.values()) == {1}
    assert not race.poll_logs.exclude(state=PollState.OK.value).exists()
