"""Whose refusal a 403 is: the rule, and races that are refused or no longer known, through real ticks and pollers."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from polling import importing, planning, providers
from polling.models import Incident, PollLog, ProviderState
from polling.quota.refused_races import MOST_REMEMBERED, REMEMBERED_FOR, RefusedRaces, after_answer, after_refusals
from races.models import Race
from tests.factories import START
from tests.polling.conftest import ProviderBox
from tests.polling.driving import STEP, Driver, polled, ticks

MINUTE = timedelta(minutes=1)
NONE = RefusedRaces()

in_a_database = pytest.mark.django_db(transaction=True)


def at(minutes: float, seconds: float = 0) -> datetime:
    return START + minutes * MINUTE + timedelta(seconds=seconds)


# --- the rule -------------------------------------------------------------------------------------------------


def test_a_race_that_is_refused_again_and_again_says_nothing_of_the_provider() -> None:
    known = NONE
    for second in range(20):
        known, is_provider = after_refusals(known, ["a"], now=at(0, second))
        assert (known.suspect, is_provider) == ("a", False)


@pytest.mark.parametrize("polls", [[["a"], ["b"]], [["a", "b"]], [["a"], ["a", "b"]]], ids=str)
def test_a_second_race_that_is_refused_before_anything_was_answered_means_the_provider(polls: list[list[str]]) -> None:
    known, is_provider = NONE, False
    for poll in polls:
        assert not is_provider
        known, is_provider = after_refusals(known, poll, now=START)
    assert is_provider


def test_races_that_are_refused_while_others_are_answered_are_alone_for_an_hour_after_their_last_refusal() -> None:
    known, _ = after_refusals(NONE, ["a"], now=START)
    known = after_answer(known, ["b"], now=START)
    for race in ("a", "b", "a", "b"):
        known, is_provider = after_refusals(known, [race], now=at(1))
        assert (known.suspect, is_provider) == ("", False)
    known, is_provider = after_refusals(known, ["c"], now=at(2))
    assert (known.suspect, is_provider) == ("c", False)
    assert after_refusals(known, ["d"], now=at(2))[1]
    later = at(1) + REMEMBERED_FOR
    assert after_refusals(RefusedRaces("", known.alone), ["a"], now=later)[0].suspect == ""
    assert after_refusals(RefusedRaces("", known.alone), ["a"], now=later + STEP)[0].suspect == "a"


def test_what_is_remembered_has_an_end() -> None:
    known = NONE
    for number in range(MOST_REMEMBERED + 10):
        known = after_answer(known, [f"race-{number}"], now=at(0, number))
    assert len(known.alone or {}) == MOST_REMEMBERED
    assert "race-0" not in (known.alone or {})


# --- a race that is refused -----------------------------------------------------------------------------------


@pytest.fixture
def races(provider: ProviderBox) -> list[Race]:
    """Three races, advertised for START and open; polled from T-4 on."""
    provider.now[0] = at(-61)
    races = provider.import_card()[:3]
    Race.objects.exclude(pk__in=[race.pk for race in races]).delete()
    for race in races:
        provider.steer(race, advertised_start=START.isoformat(), status="Open")
    fresh: dict[str, Any] = {"advertised_start": START, "provider_start": START, "status": "scheduled"}
    Race.objects.update(**fresh, provider_status="Open", next_poll_at=None)
    planning.replan([race.pk for race in races], now=at(-4, -1))
    provider.forget_requests()
    return races


@in_a_database
@pytest.mark.parametrize("size", [1, 20], ids=["a task each", "one task"])
def test_the_refusal_of_one_race_stops_no_other_and_the_race_backs_off(
    driver: Driver, races: list[Race], size: int, admin_client: Client
) -> None:

    adapter = providers.get("sandbox")
    adapter.capabilities = replace(adapter.capabilities, max_batch=size)
    ill, *well = races
    driver.provider.fault("blocked", times=None, race_id=ill.provider_race_id)
    driver.drive(at(-4), at(0))
    for race in well:
        assert polled(race) == list(ticks(at(-4), at(0)))
    assert ProviderState.objects.get().breaker == "closed"
    assert not Incident.objects.exists()
    tried = list(ill.poll_logs.order_by("slot_at").values_list("slot_at", "state", "error_class"))
    assert [slot for slot, _, _ in tried] == [at(-4), at(-3, -45), at(-3, -15), at(-2, -15), at(0, -15)]
    assert {(state, error) for _, state, error in tried} == {("failed", "Blocked")}
    with time_machine.travel(at(0), tick=False):
        page = admin_client.get(reverse("admin:races_race_change", args=[ill.pk])).content.decode()
    assert "5 Blocked" in page
    driver.provider.mend()
    driver.drive(at(0, 15), at(5))
    assert Race.objects.get(pk=ill.pk).failures == 0
    assert polled(ill)[-1] == at(5)


@in_a_database
def test_a_second_race_that_is_refused_blocks_the_provider_with_one_alert(
    driver: Driver, races: list[Race], caplog: pytest.LogCaptureFixture
) -> None:
    for race in races[:2]:
        driver.provider.fault("blocked", times=None, race_id=race.provider_race_id)
    Race.objects.filter(pk=races[2].pk).update(next_poll_at=None)
    driver.drive(at(-4), at(-3))
    assert ProviderState.objects.get().breaker == "open"
    assert Incident.objects.get().kind == "blocked"
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


@in_a_database
def test_a_list_that_is_refused_blocks_the_provider_at_once(driver: Driver, races: list[Race]) -> None:
    driver.provider.fault("blocked", times=None, path_contains="/racing/meetings")
    with pytest.raises(Exception, match="403"):
        importing.import_schedule("sandbox", now=at(-5))
    assert Incident.objects.get().kind == "blocked"


@in_a_database
def test_races_refused_by_turns_with_others_answered_between_never_block_the_provider(
    driver: Driver, races: list[Race]
) -> None:
    first, second, well = races
    driver.provider.fault("blocked", times=None, race_id=first.provider_race_id)
    driver.drive(at(-4), at(-3))
    driver.provider.fault("blocked", times=None, race_id=second.provider_race_id)
    driver.drive(at(-3, 15), at(0))
    assert ProviderState.objects.get().breaker == "closed"
    assert polled(well) == list(ticks(at(-4), at(0)))


# --- a race that the provider no longer knows ------------------------------------------------------------------


@in_a_database
def test_a_race_that_the_provider_lists_under_another_id_is_asked_seldom_and_the_other_is_named(
    driver: Driver, races: list[Race], caplog: pytest.LogCaptureFixture, admin_client: Client
) -> None:
    ghost, twin, well = races
    Race.objects.filter(pk=ghost.pk).update(next_poll_at=None, meeting=twin.meeting, number=twin.number)
    planning.replan([ghost.pk], now=at(-60, -1))
    driver.provider.steer(ghost, vanished=True)
    driver.drive_due(at(10))
    asked = list(PollLog.objects.filter(race=ghost).order_by("slot_at").values_list("slot_at", flat=True))
    assert asked[:3] == [at(-60), at(-60, 15), at(-60, 45)]
    assert len(asked) <= 3 + 70 // 5
    assert {later - earlier for earlier, later in zip(asked[2:], asked[3:], strict=False)} == {5 * MINUTE}
    words = f"now listed as id {twin.provider_race_id}"
    messages = [r.getMessage() for r in caplog.records if "no longer knows" in r.getMessage()]
    assert len(messages) == 1
    assert words in messages[0]
    assert words in LogEntry.objects.get(object_id=str(ghost.pk)).change_message
    with time_machine.travel(at(10), tick=False):
        page = admin_client.get(reverse("admin:races_race_change", args=[ghost.pk])).content.decode()
    assert ">not known to the provider<" in page
    assert reverse("admin:races_race_change", args=[twin.pk]) in page
    assert Race.objects.get(pk=ghost.pk).status == "scheduled", "never ended by us"
    assert polled(well), "the others go on"


@in_a_database
def test_a_race_that_is_known_again_is_polled_at_its_slots_again(driver: Driver, races: list[Race]) -> None:
    ghost = races[0]
    driver.provider.steer(ghost, vanished=True)
    driver.drive(at(-4), at(-3))
    driver.provider.steer(ghost, vanished=False)
    driver.drive(at(-3, 15), at(3))
    assert polled(ghost)[0] == at(1, 30), "five minutes after the third failure"
    assert polled(ghost) == list(ticks(at(1, 30), at(3)))
