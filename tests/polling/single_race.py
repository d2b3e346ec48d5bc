"""The only race of the simulated provider, advertised for START, and what tests ask of it."""

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from polling import importing, planning
from races.models import Race
from tests.factories import START
from tests.polling.conftest import ProviderBox
from tests.polling.driving import Driver, polled

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
RESULT: dict[str, Any] = {"status": "Final", "results": [[2], [1], [3], [4]], "dividends": {"Pool Win": 3.4}}


def at(minutes: float, seconds: float = 0) -> datetime:
    """An instant relative to the advertised start."""
    return START + minutes * MINUTE + seconds * SECOND


def make_single_race(provider: ProviderBox, *, first_poll_at: datetime) -> Race:
    """The only race, open; its polls begin at that slot."""
    provider.now[0] = at(-61)
    race = provider.import_card()[0]
    Race.objects.exclude(pk=race.pk).delete()
    provider.steer(race, advertised_start=START.isoformat(), status="Open", protest=False)
    Race.objects.filter(pk=race.pk).update(
        advertised_start=START, provider_start=START, original_advertised_start=START, status="scheduled",
        provider_status="Open",
    )  # fmt: skip
    plan_from(race, first_poll_at)
    provider.forget_requests()
    return race


def plan_from(race: Race, slot: datetime) -> None:
    """As if the race had just been imported: its first poll is in this slot."""
    Race.objects.filter(pk=race.pk).update(next_poll_at=None)
    planning.replan([race.pk], now=slot - SECOND)
    race.refresh_from_db()
    assert race.next_poll_at == slot


def fresh(race: Race) -> Race:
    """The race as it is stored."""
    return Race.objects.get(pk=race.pk)


def status(race: Race) -> str:
    """Its status as it is stored; the race is read again."""
    race.refresh_from_db()
    return race.status


def since(race: Race, instant: datetime) -> list[float]:
    """The polls answered from `instant` on, in minutes from START."""
    return [(slot - START) / MINUTE for slot in polled(race) if slot >= instant]


def imported(driver: Driver, race: Race, now: datetime) -> Race:
    """The race after an import of the card; the others of the card are not polled."""
    driver.provider.now[0] = now
    importing.import_schedule("sandbox", now=now)
    Race.objects.exclude(pk=race.pk).update(next_poll_at=None)
    return fresh(race)


def run_to_its_end(race: Race, driver: Driver) -> Race:
    """The race once it is Final, with a result, at T+5."""
    driver.provider.steer(race, status="Closed")
    driver.drive_due(at(0))
    driver.provider.steer(race, **RESULT)
    driver.drive_due(at(5))
    assert (fresh(race).status, fresh(race).outcome, fresh(race).result_version) == ("finalized", "resulted", 1)
    return fresh(race)


def alerts(caplog: pytest.LogCaptureFixture, containing: str) -> list[str]:
    """The messages at ERROR that contain a text."""
    return [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR and containing in r.getMessage()]


def page_of(race: Race, client: Client, minutes: float) -> str:
    """The race's page as staff see it at a minute."""
    with time_machine.travel(at(minutes), tick=False):
        return client.get(reverse("admin:races_race_change", args=[race.pk])).content.decode()
