"""A provider that fails, through real ticks and pollers: what fails, what goes on, and nothing is lost after it."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
from django.db import connection

from polling import importing, planning
from polling.models import Incident, PollLog, ProviderState
from races.models import Race
from tests.factories import START
from tests.polling.conftest import ProviderBox
from tests.polling.driving import ANSWERED_IN, STEP, TASK_LATE, Driver, polled, ticks

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
# Far above what a loaded machine takes for the deadline of 2 s, far below the minutes of an answer that drips.
SOON_SECONDS = 60

FAULTS: list[Any] = [
    pytest.param({"kind": "html"}, "Malformed", id="a page of HTML with 200"),
    pytest.param({"kind": "cut"}, "Unavailable", id="a connection cut in the body"),
    pytest.param({"kind": "wrong_race"}, "Malformed", id="another race"),
    pytest.param({"kind": "drip", "delay_ms": 100}, "Unavailable", id="a byte now and then"),
    pytest.param({"kind": "slow", "delay_ms": 4000}, "Unavailable", id="slower than the deadline"),
]


def at(minutes: float, seconds: float = 0) -> datetime:
    return START + minutes * MINUTE + timedelta(seconds=seconds)


@pytest.fixture
def driver(provider: ProviderBox, settings: Any) -> Driver:
    settings.POLL_REQUEST_DEADLINE = timedelta(seconds=2)
    return Driver(provider)


@pytest.fixture
def races(provider: ProviderBox) -> list[Race]:
    """Six races, all of them advertised for START and open; their polls begin at T-2."""
    provider.now[0] = at(-3)
    races = provider.import_card()[:6]
    Race.objects.exclude(pk__in=[race.pk for race in races]).delete()
    for race in races:
        provider.steer(race, advertised_start=START.isoformat(), status="Open")
    facts = {"advertised_start": START, "provider_start": START, "status": "scheduled", "next_poll_at": None}
    Race.objects.update(**facts)
    planning.replan([race.pk for race in races], now=at(-2, -1))
    provider.forget_requests()
    return races


def failures(slot: datetime) -> list[tuple[str, str]]:
    """State and error of the polls of this slot."""
    return list(PollLog.objects.filter(slot_at=slot).order_by("race").values_list("state", "error_class"))


def stored(*races: Race) -> list[Any]:
    """All that a provider's answer could change of the races."""
    facts = Race.objects.filter(pk__in=[race.pk for race in races]).order_by("pk")
    runners = [list(race.runners.order_by("number").values()) for race in facts]
    return [*facts.values("version", "name", "number", "results", "content_hash", "last_changed_at"), *runners]


def _came_at(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def assert_nothing_was_lost(races: Sequence[Race], since: datetime, until: datetime) -> None:
    """Every slot has one row, and the answers go on to the end."""
    for race in races:
        slots = list(race.poll_logs.order_by("slot_at").values_list("slot_at", flat=True))
        assert [slot for slot in slots if since <= slot <= until] == list(ticks(since, until))
        assert polled(race)[-1] == until
        assert not race.poll_logs.open().exists()


@pytest.mark.parametrize(("fault", "error_class"), FAULTS)
def test_a_fault_of_one_race_fails_that_race_alone_and_the_next_tick_tries_again(
    driver: Driver, races: list[Race], fault: dict[str, Any], error_class: str
) -> None:
    driver.tick(at(-2))
    failing, *others = races
    before = stored(failing)
    driver.provider.fault(**fault, times=None, race_id=failing.provider_race_id)
    began = time.monotonic()
    driver.tick(at(-2, 15))
    assert time.monotonic() - began < SOON_SECONDS
    found = {log.race_id: log.error_class for log in PollLog.objects.filter(slot_at=at(-2, 15))}
    assert found == {failing.pk: error_class} | dict.fromkeys((race.pk for race in others), "")
    assert stored(failing) == before
    assert ProviderState.objects.get().breaker == "closed"
    driver.provider.mend()
    driver.drive(at(-1, -30), at(-1))
    assert set(failures(at(-1, -30))) == {("ok", "")}
    assert_nothing_was_lost(races, at(-2), at(-1))


@pytest.mark.parametrize(("fault", "error_class"), FAULTS)
def test_a_fault_of_all_races_opens_the_breaker_and_once_it_ends_nothing_was_lost(
    driver: Driver, races: list[Race], fault: dict[str, Any], error_class: str
) -> None:
    driver.tick(at(-2))
    before = stored(*races)
    driver.provider.fault(**fault, times=None)
    began = time.monotonic()
    driver.tick(at(-2, 15))
    assert time.monotonic() - began < SOON_SECONDS
    assert set(failures(at(-2, 15))) == {("failed", error_class)}
    assert ProviderState.objects.get().breaker == "open"
    driver.drive(at(-1, -30), at(-1, -15))
    assert sorted(failures(at(-1, -30))) == [("failed", error_class), *[("skipped", "")] * 5], "one finds out"
    assert set(failures(at(-1, -15))) == {("skipped", "")}
    assert sum(_came_at(entry) >= at(-1, -30) for entry in driver.provider.requests()) <= 1
    assert stored(*races) == before
    driver.provider.mend()
    driver.drive(at(-1), at(1))
    assert ProviderState.objects.get().breaker == "closed"
    assert Incident.objects.get(kind="failing").ended_at
    assert set(failures(at(0))) == {("ok", "")}
    assert_nothing_was_lost(races, at(-2), at(1))


def test_an_answer_for_another_race_is_stored_under_neither(driver: Driver, races: list[Race]) -> None:
    """Both are known: the one asked for, and the one that the answer is about."""
    driver.provider.import_card()
    driver.provider.fault("wrong_race", times=None)
    asked = races[0]
    reply = requests.get(f"{driver.provider.url}/racing/events/{asked.provider_race_id}", timeout=5).json()
    answered = Race.objects.get(provider_race_id=reply["data"]["race"]["event_id"])
    assert answered.pk != asked.pk
    Race.objects.exclude(pk=asked.pk).update(next_poll_at=None)
    before = stored(asked, answered)
    driver.tick(at(-2))
    assert failures(at(-2)) == [("failed", "Malformed")]
    assert stored(asked, answered) == before


@pytest.mark.parametrize(
    ("retry_after", "seconds", "asked_again_at"),
    [
        pytest.param("40", 40, at(-1, -15), id="in seconds"),
        pytest.param("60", 60, at(-1, 15), id="in seconds, to just after a tick"),
        pytest.param(format_datetime(at(-1, -10), usegmt=True), 50, at(-1), id="as a date"),
        pytest.param(format_datetime(at(-3), usegmt=True), 0, at(-2, 15), id="as a date that has passed"),
    ],
)
def test_a_provider_that_asks_to_wait_is_left_alone_for_exactly_as_long(
    driver: Driver, races: list[Race], retry_after: str, seconds: float, asked_again_at: datetime
) -> None:
    driver.provider.fault("rate_limited", times=1, retry_after=retry_after)
    driver.tick(at(-2))
    assert sorted(failures(at(-2))) == [("failed", "RateLimited"), *[("ok", "")] * 5]
    received_at = at(-2) + TASK_LATE + ANSWERED_IN
    assert ProviderState.objects.get().not_before == received_at + timedelta(seconds=seconds)
    driver.provider.forget_requests()
    driver.drive(at(-2, 15), asked_again_at - STEP)
    assert driver.provider.requests() == []
    assert set(PollLog.objects.filter(slot_at__gt=at(-2)).values_list("state", "reason")) <= {("skipped", "quota")}
    driver.tick(asked_again_at)
    assert failures(asked_again_at) == [("ok", "")] * 6
    assert_nothing_was_lost(races, at(-2), asked_again_at)


def test_imports_at_the_same_time_create_each_race_once(provider: ProviderBox) -> None:
    at_once = threading.Barrier(3)

    def run(_: int) -> None:
        try:
            at_once.wait()
            importing.import_schedule("sandbox", now=START)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, range(3)))
    races = Race.objects.count()
    assert races > 100
    assert Race.objects.values("provider_race_id").distinct().count() == races
    assert Race.objects.filter(next_poll_at=None, finalized_at=None).count() == 0
