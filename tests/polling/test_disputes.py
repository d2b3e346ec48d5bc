"""Races that staff or Appwrite ended and the provider reports otherwise: real imports, ticks and pollers."""

import pytest
from django.test import Client

from polling import staff
from polling.models import Incident
from races.decisions import APPWRITE, Actor
from races.models import Race
from races.status import Outcome
from tests.polling.conftest import ProviderBox
from tests.polling.driving import Driver
from tests.polling.single_race import RESULT, alerts, at, fresh, imported, make_single_race, page_of, run_to_its_end

pytestmark = pytest.mark.django_db(transaction=True)

KIM = Actor("kim")


@pytest.fixture
def race(provider: ProviderBox) -> Race:
    """Its polls begin at T-10."""
    return make_single_race(provider, first_poll_at=at(-10))


@pytest.mark.parametrize("by", [KIM, APPWRITE])
@pytest.mark.parametrize("word", ["Open", "Closed", "Interim", "Final"])
def test_a_provider_that_contradicts_an_end_set_here_is_one_incident_with_both_reports_until_they_agree(
    race: Race, driver: Driver, admin_client: Client, caplog: pytest.LogCaptureFixture, by: Actor, word: str
) -> None:
    staff.finalize([race.pk], by=by, reason="fog", outcome=Outcome.ABANDONED, now=at(-10))
    driver.provider.steer(race, status=word)
    for minutes in (-9, -4, 1):
        imported(driver, race, at(minutes))
    stored = fresh(race)
    assert (stored.status, stored.outcome, stored.finalized_by) == ("finalized", "abandoned", by.source.value)
    assert stored.next_poll_at is None
    incident = Incident.objects.get()
    assert (incident.kind, incident.race, incident.began_at, incident.ended_at) == ("disputed", race, at(-9), None)
    assert "abandoned" in incident.reason
    assert word in incident.reason
    assert len(alerts(caplog, "were ended here and the provider reports otherwise")) == 1
    assert f">the provider reports {word}<" in page_of(race, admin_client, 2)
    driver.provider.steer(race, status="Abandoned")
    imported(driver, race, at(6))
    assert Incident.objects.get().ended_at == at(6)
    assert ">the provider reports " not in page_of(race, admin_client, 7)


def test_staff_end_a_dispute_by_reopening_or_by_deciding_again(race: Race, driver: Driver) -> None:
    staff.finalize([race.pk], by=KIM, reason="fog", outcome=Outcome.ABANDONED, now=at(-10))
    imported(driver, race, at(-9))
    staff.finalize([race.pk], by=KIM, reason="it is foggy", outcome=Outcome.ABANDONED, now=at(-8))
    incident = Incident.objects.get()
    assert (incident.ended_at, incident.settled_by) == (at(-8), "kim")
    imported(driver, race, at(-4))
    assert Incident.objects.count() == 1, "the same words begin no other"
    driver.provider.steer(race, status="Closed")
    imported(driver, race, at(1))
    assert Incident.objects.filter(ended_at=None).count() == 1
    staff.reopen([race.pk], by=KIM, reason="they run", now=at(2))
    assert not Incident.objects.filter(ended_at=None).exists()
    assert fresh(race).status == "in_progress"


def test_an_end_without_an_outcome_takes_the_result_and_is_not_disputed_by_an_end(race: Race, driver: Driver) -> None:
    staff.finalize([race.pk], by=KIM, reason="seen on television", now=at(1))
    driver.provider.steer(race, **RESULT)
    driver.provider.now[0] = at(10)
    staff.force_poll([race.pk], by=KIM, reason="check", now=at(10))
    driver.work(at(10, 1))
    now = fresh(race)
    assert (now.finalized_by, now.outcome, now.result_state, len(now.results)) == ("staff", "resulted", "final", 4)
    assert not Incident.objects.exists()


def test_what_staff_called_off_keeps_no_result_whatever_the_provider_has(race: Race, driver: Driver) -> None:
    run_to_its_end(race, driver)
    assert staff.finalize([race.pk], by=KIM, reason="stewards", outcome=Outcome.VOID, now=at(10)) == [race.pk]
    now = fresh(race)
    assert (now.finalized_by, now.outcome, now.results, now.dividends) == ("staff", "void", [], [])
    assert (now.result_state, now.result_version) == ("none", 2)
    driver.provider.now[0] = at(11)
    staff.force_poll([race.pk], by=KIM, reason="check", now=at(11))
    driver.work(at(11, 1))
    now = fresh(race)
    assert (now.outcome, now.results, now.dividends, now.result_version) == ("void", [], [], 2)
    assert Incident.objects.get().kind == "disputed"
