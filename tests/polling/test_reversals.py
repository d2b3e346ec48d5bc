"""A provider that takes back what it reported, through the real import, ticks and pollers, and what staff see of it."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from polling import staff
from polling.models import Trigger
from polling.monitoring import overdue_races
from races.decisions import Actor
from races.models import Race
from tests.polling.conftest import ProviderBox
from tests.polling.driving import STEP, Driver, polled
from tests.polling.single_race import (
    MINUTE,
    RESULT,
    SECOND,
    alerts,
    at,
    fresh,
    imported,
    make_single_race,
    page_of,
    run_to_its_end,
)

pytestmark = pytest.mark.django_db(transaction=True)

KIM = Actor("kim")


@pytest.fixture
def race(provider: ProviderBox) -> Race:
    """Its polls begin at T-10."""
    return make_single_race(provider, first_poll_at=at(-10))


def audit(race: Race) -> list[tuple[str, str]]:
    """Who and what, oldest first."""
    entries = LogEntry.objects.filter(object_id=str(race.pk)).order_by("pk").select_related("user")
    return [(entry.user.username, entry.change_message) for entry in entries]


# --- abandoned ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"), [("Open", "scheduled"), ("Closed", "in_progress"), ("Live", "in_progress")]
)
@pytest.mark.parametrize("source", ["the import", "the detail"])
def test_an_abandoned_race_that_the_provider_opens_again_is_open_at_once_and_staff_are_alerted(
    race: Race,
    driver: Driver,
    admin_client: Client,
    caplog: pytest.LogCaptureFixture,
    word: str,
    status: str,
    source: str,
) -> None:
    driver.drive_due(at(-10))
    driver.provider.steer(race, status="Abandoned")
    driver.drive_due(at(-9))
    assert (fresh(race).status, fresh(race).outcome) == ("finalized", "abandoned")
    driver.provider.steer(race, status=word)
    if source == "the import":
        imported(driver, race, at(-8, 5))
    else:
        driver.provider.now[0] = at(-8, 5)
        staff.force_poll([race.pk], by=KIM, reason="check", now=at(-8, 5))
        driver.work(at(-8, 6))
    again = fresh(race)
    assert (again.status, again.outcome, again.finalized_by, again.finalized_at) == (status, "", "", None)
    assert again.next_poll_at in (at(-8, 15), at(-7)), "the detail at the next tick, or the next slot"
    words = f"Reopened: the provider reports {word} after Abandoned"
    assert ("sandbox", words) in audit(race)
    assert words in page_of(race, admin_client, -8)
    assert len(alerts(caplog, "reopened by the provider")) == 1
    assert words in alerts(caplog, "reopened by the provider")[0]
    driver.provider.steer(race, status=word)
    driver.drive_due(at(-4))
    assert polled(race)[-1] >= at(-5)


def test_an_abandoned_race_put_back_under_its_id_is_polled_again_from_its_new_start_on(
    race: Race, driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.provider.steer(race, status="Abandoned")
    driver.drive_due(at(-5))
    assert fresh(race).outcome == "abandoned"
    new_start = at(3 * 60)
    driver.provider.steer(race, status="Open", advertised_start=new_start.isoformat())
    imported(driver, race, at(10))
    again = fresh(race)
    assert (again.status, again.advertised_start, again.next_poll_at) == (
        "scheduled",
        new_start,
        new_start - 60 * MINUTE,
    )
    assert alerts(caplog, "1 races that had ended were reopened by the provider")
    since = len(polled(race))
    driver.drive_due(new_start - SECOND)
    assert len(polled(race)) - since == 38


@pytest.mark.parametrize(
    ("word", "outcome"),
    [("Abandoned", "abandoned"), ("Cancelled", "abandoned"), ("Void", "void"), ("Postponed", "postponed")],
)
def test_each_way_to_call_a_race_off_is_its_outcome_and_what_opens_again_is_open(
    race: Race, driver: Driver, word: str, outcome: str
) -> None:
    driver.provider.steer(race, status=word)
    driver.drive_due(at(-9))
    assert (fresh(race).status, fresh(race).outcome, fresh(race).finalized_by) == ("finalized", outcome, "provider")
    driver.provider.steer(race, status="Open")
    assert imported(driver, race, at(-8)).status == "scheduled"


# --- a Final by mistake -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("results", [[[2], [1]], []], ids=["with placings", "without"])
def test_a_final_by_mistake_before_the_start_that_is_taken_back_a_slot_later_ends_nothing(
    race: Race, driver: Driver, admin_client: Client, results: list[list[int]]
) -> None:
    driver.drive_due(at(-10))
    driver.provider.steer(race, status="Final", results=results)
    imported(driver, race, at(-9, -10))
    assert fresh(race).status == "scheduled"
    driver.drive_due(at(-9))
    assert (fresh(race).status, fresh(race).outcome, fresh(race).result_state != "final") == ("scheduled", "", True)
    assert fresh(race).unproven_final_at == at(-9, 0.36)
    assert fresh(race).next_poll_at == at(-9, 15), "its detail at the next tick"
    assert (fresh(race).results, fresh(race).dividends, fresh(race).result_version) == ([], [], 0)
    assert "Final, not confirmed" in page_of(race, admin_client, -9)
    assert "not accepted until a second answer confirms it" in page_of(race, admin_client, -9)
    driver.provider.steer(race, status="Open", results=None)
    driver.drive_due(at(-9, 15))
    assert (fresh(race).status, fresh(race).unproven_final_at) == ("scheduled", None)
    assert (fresh(race).results, fresh(race).result_version) == ([], 0)
    driver.drive_due(at(0))
    assert [slot for slot in polled(race) if slot >= at(-5)] == [at(-5) + STEP * n for n in range(21)]


def test_a_final_without_a_placing_counts_a_slot_later_and_is_asked_for_until_the_placings_come(
    race: Race, driver: Driver, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    driver.provider.steer(race, status="Closed")
    driver.drive_due(at(0))
    driver.provider.steer(race, status="Final", results=[])
    driver.drive_due(at(5))
    assert (fresh(race).status, fresh(race).result_state) == ("in_progress", "none")
    driver.drive_due(at(5, 15))
    assert (fresh(race).status, fresh(race).finalized_by, fresh(race).result_state) == ("finalized", "provider", "none")
    asked = driver.drive_due(at(36))
    gaps = [later - earlier for earlier, later in zip(asked, asked[1:], strict=False)]
    assert asked[0] == at(5, 30)
    assert gaps == sorted(gaps)
    assert 5 * MINUTE - STEP <= gaps[-1] <= 5 * MINUTE
    overdue_races.escalate(now=at(36))
    assert fresh(race).escalation == "no_result"
    assert "Final without a result" in page_of(race, admin_client, 36)
    assert len(alerts(caplog, "have been Final for half an hour without a result")) == 1
    driver.provider.steer(race, **RESULT)
    driver.drive_due(at(41))
    ended = fresh(race)
    assert (ended.outcome, ended.result_state, ended.result_version, ended.unproven_final_at) == (
        "resulted", "final", 1, None,
    )  # fmt: skip
    overdue_races.escalate(now=at(41))
    assert fresh(race).escalation == ""
    assert ended.next_poll_at is not None, "its result is rechecked"


def test_two_answers_in_one_slot_confirm_nothing(race: Race, driver: Driver) -> None:
    driver.provider.steer(race, status="Final", results=[])
    driver.drive_due(at(-10))
    driver.provider.now[0] = at(-10, 2)
    staff.force_poll([race.pk], by=KIM, reason="check", now=at(-10, 2))
    driver.work(at(-10, 3))
    assert fresh(race).poll_logs.filter(trigger=Trigger.FORCED.value, state="ok").exists()
    assert fresh(race).status == "scheduled"


def test_an_early_end_that_is_confirmed_counts(race: Race, driver: Driver) -> None:
    driver.provider.steer(race, **RESULT)
    driver.drive_due(at(-9))
    ended = fresh(race)
    assert (ended.status, ended.outcome, ended.result_state) == ("finalized", "resulted", "final")
    assert ended.finalized_at == at(-10, 15.36)


# --- Final taken back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["the import", "a recheck"])
def test_a_final_taken_back_to_interim_is_a_counted_correction_with_the_placings_that_are_now(
    race: Race, driver: Driver, admin_client: Client, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    run_to_its_end(race, driver)
    driver.provider.steer(race, status="Interim", results=[[1], [2], [3], [4]], dividends={"Pool Win": 7.7})
    if source == "the import":
        imported(driver, race, at(10, 5))
        assert (fresh(race).status, fresh(race).result_state) == ("in_progress", "none")
        assert (fresh(race).results, fresh(race).dividends) == ([], [])
        assert fresh(race).next_poll_at == at(10, 15)
    driver.drive_due(at(21))
    now = fresh(race)
    assert (now.status, now.outcome, now.result_state, now.result_version) == ("in_progress", "", "interim", 2)
    assert [row["runner_number"] for row in now.results][:2] == [1, 2]
    assert {row["state"] for row in now.dividends} == {"interim"}
    assert "Reopened: the provider reports Interim after Final" in page_of(race, admin_client, 21)
    assert len(alerts(caplog, "reopened by the provider")) == 1
    driver.provider.steer(race, status="Final")
    driver.drive_due(at(26))
    now = fresh(race)
    assert (now.status, now.outcome, now.result_state, now.result_version) == ("finalized", "resulted", "final", 2)


@pytest.mark.parametrize(("word", "outcome"), [("Abandoned", "abandoned"), ("Void", "void")])
@pytest.mark.parametrize("source", ["the import", "a recheck"])
def test_a_race_called_off_after_its_final_keeps_no_dividends_and_that_is_counted(
    race: Race,
    driver: Driver,
    admin_client: Client,
    caplog: pytest.LogCaptureFixture,
    source: str,
    word: str,
    outcome: str,
) -> None:
    run_to_its_end(race, driver)
    driver.provider.steer(race, status=word, results=[], dividends={})
    if source == "the import":
        imported(driver, race, at(10, 5))
        assert (fresh(race).outcome, fresh(race).results, fresh(race).dividends) == (outcome, [], [])
    driver.drive_due(at(21))
    now = fresh(race)
    assert (now.status, now.outcome, now.result_state, now.result_version) == ("finalized", outcome, "none", 2)
    assert (now.results, now.dividends) == ([], [])
    html = page_of(race, admin_client, 21)
    assert f"Now {outcome}: the provider reports {word} after Final" in html
    assert "There is no result yet." in html
    assert "3.40" not in html
    assert len(alerts(caplog, "ended otherwise than the provider reported before")) == 1


def test_an_abandoned_race_that_was_run_after_all_gets_its_result(race: Race, driver: Driver) -> None:
    driver.provider.steer(race, status="Abandoned")
    driver.drive_due(at(-9))
    driver.provider.steer(race, **RESULT)
    imported(driver, race, at(10, 5))
    assert fresh(race).outcome == "abandoned", "a status alone is not believed"
    driver.drive_due(at(11))
    now = fresh(race)
    assert (now.status, now.outcome, now.result_state, now.result_version) == ("finalized", "resulted", "final", 1)


# --- what the import learns first ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("news", "status"),
    [
        pytest.param({"status": "Closed"}, "in_progress", id="the jump"),
        pytest.param({"status": "Interim"}, "in_progress", id="an interim result"),
        pytest.param({"status": "Final"}, "in_progress", id="a final result"),
        pytest.param({"status": "Abandoned"}, "finalized", id="abandoned"),
        pytest.param({"protest": True}, "scheduled", id="a protest"),
        pytest.param({"advertised_start": at(4).isoformat()}, "scheduled", id="another start"),
    ],
)
def test_news_that_the_import_learns_first_makes_the_detail_due_at_the_next_tick(
    race: Race, driver: Driver, news: dict[str, Any], status: str
) -> None:
    driver.drive_due(at(12))
    driver.provider.steer(race, **news)
    now = imported(driver, race, at(12, 20))
    assert (now.status, now.detail_wanted, now.next_poll_at) == (status, True, at(12, 30))
    assert now.result_state == "none", "there are no placings to show"
    driver.provider.forget_requests()
    driver.drive_due(at(12, 30))
    assert driver.provider.requests(f"/events/{race.provider_race_id}")
    assert not fresh(race).detail_wanted


def test_an_import_without_news_makes_nothing_due(race: Race, driver: Driver) -> None:
    driver.drive_due(at(12))
    planned = fresh(race).next_poll_at
    assert imported(driver, race, at(12, 20)).next_poll_at == planned


def test_a_protest_after_the_last_recheck_makes_the_detail_due(race: Race, driver: Driver) -> None:
    run_to_its_end(race, driver)
    driver.drive_due(at(75))
    assert fresh(race).next_poll_at is None
    driver.provider.steer(race, protest=True, results=[[1], [2], [3], [4]])
    assert imported(driver, race, at(75, 20)).next_poll_at == at(75, 30)
    driver.drive_due(at(90))
    now = fresh(race)
    assert (now.status, now.protest, now.result_version, now.next_poll_at) == ("finalized", True, 2, None)
