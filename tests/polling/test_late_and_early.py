"""Late starts and endings, early ones, and starts that move: through real ticks and pollers, on a driven clock."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from polling import dispatch, importing, planning, pollers, staff, tick
from polling.models import PollLog, PollState, Trigger
from polling.next_poll import RECHECKS
from races.decisions import APPWRITE, Actor
from races.models import Race
from tests.factories import START
from tests.polling.conftest import ProviderBox
from tests.polling.driving import STEP, Driver, polled, ticks

pytestmark = pytest.mark.django_db(transaction=True)

KIM = Actor("kim")
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def at(minutes: float, seconds: float = 0) -> datetime:
    """An instant relative to the advertised start."""
    return START + minutes * MINUTE + seconds * SECOND


@pytest.fixture
def driver(provider: ProviderBox) -> Driver:
    return Driver(provider)


@pytest.fixture
def race(provider: ProviderBox) -> Race:
    """The only race, advertised for START and open; its polls begin at T-1."""
    provider.now[0] = at(-61)
    race = provider.import_card()[0]
    Race.objects.exclude(pk=race.pk).delete()
    provider.steer(race, advertised_start=START.isoformat(), status="Open", protest=False)
    Race.objects.filter(pk=race.pk).update(
        advertised_start=START, provider_start=START, original_advertised_start=START, status="scheduled"
    )
    plan_from(race, at(-1))
    provider.forget_requests()
    return race


def plan_from(race: Race, slot: datetime) -> None:
    """As if the race had just been imported: its first poll is in this slot."""
    Race.objects.filter(pk=race.pk).update(next_poll_at=None)
    planning.replan([race.pk], now=slot - SECOND)
    race.refresh_from_db()
    assert race.next_poll_at == slot


@pytest.fixture
def hold(settings: Any) -> Iterator[timedelta]:
    """Races that are late are held for three minutes."""
    settings.POLL_HOLD = 3 * MINUTE
    planning.default_cadence.cache_clear()
    yield settings.POLL_HOLD
    planning.default_cadence.cache_clear()


def since(race: Race, instant: datetime) -> list[float]:
    """The polls answered from `instant` on, in minutes from START."""
    return [(slot - START) / MINUTE for slot in polled(race) if slot >= instant]


def status(race: Race) -> str:
    race.refresh_from_db()
    return race.status


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


# --- endings ----------------------------------------------------------------------------------------------------


def end(race: Race, driver: Driver) -> datetime:
    """Runs the race to its final result, seen at START + 10 min; returns when it ended."""
    driver.provider.steer(race, status="Closed")
    driver.drive_due(at(5))
    driver.provider.steer(race, status="Final", results=[[2], [1], [3], [4]], dividends={"Pool Win": 3.4})
    driver.drive_due(at(10))
    assert status(race) == "finalized"
    assert race.finalized_at is not None
    return race.finalized_at


CORRECTIONS: list[Any] = [
    pytest.param(0, {"results": [[1], [2], [3], [4]]}, id="results by the first look"),
    pytest.param(1, {"dividends": {"Pool Win": 4.2}}, id="dividends by the second look"),
    pytest.param(1, {"results": [[1], [2], [3], [4]], "dividends": {"Pool Win": 9.9}}, id="both by the second look"),
]


@pytest.mark.parametrize(("look", "correction"), CORRECTIONS)
def test_a_corrected_result_is_found_by_a_look_and_counted_once(
    race: Race, driver: Driver, look: int, correction: dict[str, Any]
) -> None:
    ended_at = end(race, driver)
    before = (race.result_version, race.version)
    if look:
        driver.drive_due(at(30))
    driver.provider.steer(race, **correction)
    driver.drive_due(at(200))
    looks = list(race.poll_logs.filter(trigger=Trigger.RECHECK.value).order_by("slot_at"))
    assert [log.slot_at for log in looks] == [at(25, 15), at(70, 15)]
    assert all(timedelta() <= log.slot_at - ended_at - wait < STEP for log, wait in zip(looks, RECHECKS, strict=True))
    assert [log.changed for log in looks] == [look == 0, look == 1]
    assert (status(race), race.outcome, race.finalized_at) == ("finalized", "resulted", ended_at)
    assert (race.result_version, race.version) == (before[0] + 1, before[1] + 1)


def test_a_result_that_stands_raises_nothing_and_is_looked_at_twice_and_no_more(race: Race, driver: Driver) -> None:
    end(race, driver)
    before: dict[str, Any] = dict(Race.objects.values().get(pk=race.pk))
    driver.drive_due(at(600))
    looks = race.poll_logs.filter(trigger=Trigger.RECHECK.value)
    assert [log.changed for log in looks] == [False, False]
    after: dict[str, Any] = dict(Race.objects.values().get(pk=race.pk))
    moved = {name for name, value in after.items() if value != before[name]}
    assert moved == {"last_poll_time", "last_attempt_at", "next_poll_at", "source_time"}
    assert after["next_poll_at"] is None


def test_a_look_that_fails_is_repeated_and_the_second_one_still_comes(race: Race, driver: Driver) -> None:
    end(race, driver)
    driver.provider.fault("error", times=2)
    driver.drive_due(at(200))
    after_end = race.poll_logs.filter(slot_at__gt=at(10)).order_by("slot_at").values_list("slot_at", "trigger", "state")
    assert list(after_end) == [
        (at(25, 15), "recheck", "failed"),
        (at(25, 30), "retry", "failed"),
        (at(26), "retry", "ok"),
        (at(70, 15), "recheck", "ok"),
    ]


def test_a_correction_is_found_by_the_retry_of_a_look_that_failed(race: Race, driver: Driver) -> None:
    end(race, driver)
    version = race.result_version
    driver.drive_due(at(30))
    driver.provider.steer(race, results=[[1], [2], [3], [4]])
    driver.provider.fault("error", times=1)
    driver.drive_due(at(200))
    assert status(race) == "finalized"
    assert race.result_version == version + 1


def test_the_last_look_is_made_up_for_where_the_queue_lost_it(race: Race, driver: Driver) -> None:
    end(race, driver)
    driver.drive_due(at(30))
    last = at(70, 15)
    tick.run(now=last)
    OrmQ.objects.all().delete()
    race.refresh_from_db()
    assert race.next_poll_at is None
    driver.drive(last + STEP, last + 4 * STEP)
    looks = race.poll_logs.filter(slot_at__gte=last).order_by("slot_at").values_list("trigger", "state")
    assert list(looks) == [("recheck", "lost"), ("retry", "ok")]


def test_a_detail_that_the_status_called_for_is_asked_for_until_it_comes(race: Race, driver: Driver) -> None:
    """The status is known from the first answer on, so that the next one shows no news."""
    driver.provider.steer(race, status="Closed")
    driver.drive_due(at(5))
    driver.provider.steer(race, status="Live")
    driver.provider.fault("error", times=1, race_id=race.provider_race_id)
    driver.drive_due(at(10))
    assert (status(race), race.provider_status) == ("in_progress", "Live")
    assert race.detail_wanted
    driver.provider.forget_requests()
    driver.drive_due(at(11))
    assert driver.provider.requests(race.provider_race_id)
    assert status(race) == "in_progress"
    assert not race.detail_wanted


@pytest.mark.parametrize(
    ("word", "now", "outcome"),
    [("Open", "scheduled", ""), ("Closed", "in_progress", ""), ("Abandoned", "finalized", "abandoned")],
)
def test_a_look_that_finds_the_result_taken_back_takes_it_back_and_counts_that(
    race: Race, driver: Driver, word: str, now: str, outcome: str
) -> None:
    end(race, driver)
    version = race.result_version
    driver.provider.steer(race, status=word)
    driver.drive_due(at(30))
    assert (status(race), race.outcome) == (now, outcome)
    assert (race.results, race.dividends, race.result_version) == ([], [], version + 1)


@pytest.mark.parametrize(
    ("by", "word"), [(KIM, "Open"), (APPWRITE, "Closed"), (KIM, "Interim"), (APPWRITE, "Final"), (KIM, "Abandoned")]
)
def test_what_staff_or_appwrite_ended_is_not_looked_at_again_and_keeps_its_status_whatever_an_answer_says(
    race: Race, driver: Driver, by: Actor, word: str
) -> None:
    driver.provider.steer(race, status="Closed")
    driver.drive_due(at(0))
    staff.finalize([race.pk], by=by, reason="seen on television", now=at(1))
    driver.provider.steer(race, status=word)
    assert driver.drive_due(at(300)) == []
    [log] = dispatch.force([Race.objects.get(pk=race.pk)], trigger=Trigger.FORCED, requested_by="kim", now=at(20))
    pollers.run([log.pk], now=at(20), finished=lambda: at(20, 1))
    importing.import_schedule("sandbox", now=at(21))
    assert PollLog.objects.get(pk=log.pk).state == "ok"
    assert (status(race), race.finalized_by, race.finalized_at) == ("finalized", by.source.value, at(1))
    assert race.next_poll_at is None


# --- a protest --------------------------------------------------------------------------------------------------


def test_a_protest_is_seen_and_shown_and_the_race_polled_on_until_the_provider_says_it_is_over(
    race: Race, driver: Driver, admin_client: Client
) -> None:
    def badge(minutes: float) -> bool:
        with time_machine.travel(at(minutes), tick=False):
            html = admin_client.get(reverse("admin:races_race_changelist")).content.decode()
        return ">protest<" in html

    driver.provider.steer(race, status="Interim")
    driver.drive_due(at(5))
    assert (race.protest, badge(6)) == (False, False)
    driver.provider.steer(race, protest=True, protest_reason="2nd against 1st")
    driver.drive_due(at(20))
    assert (status(race), race.protest, race.result_state, badge(21)) == ("in_progress", True, "interim", True)
    assert since(race, at(5)) == [5, 10, 15, 20]
    driver.provider.steer(race, protest=False)
    driver.drive_due(at(25))
    assert (status(race), race.protest, badge(26)) == ("in_progress", False, False)
    driver.provider.steer(race, status="Final", results=[[1], [2], [3]])
    driver.drive_due(at(30))
    assert (status(race), race.protest) == ("finalized", False)
    assert [row["runner_number"] for row in race.results] == [1, 2, 3]


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
