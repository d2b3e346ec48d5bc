"""How a race ends, and what is polled of it afterwards: through real ticks and pollers, on a driven clock."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from polling import dispatch, importing, pollers, staff, tick
from polling.models import PollLog, Trigger
from polling.next_poll import RECHECKS
from races.decisions import APPWRITE, Actor
from races.models import Race
from tests.polling.conftest import ProviderBox
from tests.polling.driving import STEP, Driver
from tests.polling.single_race import at, make_single_race, since, status

pytestmark = pytest.mark.django_db(transaction=True)

KIM = Actor("kim")


@pytest.fixture
def race(provider: ProviderBox) -> Race:
    """Its polls begin at T-1."""
    return make_single_race(provider, first_poll_at=at(-1))


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
    pytest.param(0, {"results": [[1], [2], [3], [4]]}, id="results by the first recheck"),
    pytest.param(1, {"dividends": {"Pool Win": 4.2}}, id="dividends by the second recheck"),
    pytest.param(1, {"results": [[1], [2], [3], [4]], "dividends": {"Pool Win": 9.9}}, id="both by the second recheck"),
]


@pytest.mark.parametrize(("recheck", "correction"), CORRECTIONS)
def test_a_corrected_result_is_found_by_a_recheck_and_counted_once(
    race: Race, driver: Driver, recheck: int, correction: dict[str, Any]
) -> None:
    ended_at = end(race, driver)
    before = (race.result_version, race.version)
    if recheck:
        driver.drive_due(at(30))
    driver.provider.steer(race, **correction)
    driver.drive_due(at(200))
    rechecks = list(race.poll_logs.filter(trigger=Trigger.RECHECK.value).order_by("slot_at"))
    assert [log.slot_at for log in rechecks] == [at(25, 15), at(70, 15)]
    assert all(
        timedelta() <= log.slot_at - ended_at - wait < STEP for log, wait in zip(rechecks, RECHECKS, strict=True)
    )
    assert [log.changed for log in rechecks] == [recheck == 0, recheck == 1]
    assert (status(race), race.outcome, race.finalized_at) == ("finalized", "resulted", ended_at)
    assert (race.result_version, race.version) == (before[0] + 1, before[1] + 1)


def test_a_result_that_stands_raises_nothing_and_is_rechecked_twice_and_no_more(race: Race, driver: Driver) -> None:
    end(race, driver)
    before: dict[str, Any] = dict(Race.objects.values().get(pk=race.pk))
    driver.drive_due(at(600))
    rechecks = race.poll_logs.filter(trigger=Trigger.RECHECK.value)
    assert [log.changed for log in rechecks] == [False, False]
    after: dict[str, Any] = dict(Race.objects.values().get(pk=race.pk))
    moved = {name for name, value in after.items() if value != before[name]}
    assert moved == {"last_poll_time", "last_attempt_at", "next_poll_at", "source_time"}
    assert after["next_poll_at"] is None


def test_a_recheck_that_fails_is_repeated_and_the_second_one_still_comes(race: Race, driver: Driver) -> None:
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


def test_a_correction_is_found_by_the_retry_of_a_recheck_that_failed(race: Race, driver: Driver) -> None:
    end(race, driver)
    version = race.result_version
    driver.drive_due(at(30))
    driver.provider.steer(race, results=[[1], [2], [3], [4]])
    driver.provider.fault("error", times=1)
    driver.drive_due(at(200))
    assert status(race) == "finalized"
    assert race.result_version == version + 1


def test_the_last_recheck_is_made_later_where_the_queue_lost_it(race: Race, driver: Driver) -> None:
    end(race, driver)
    driver.drive_due(at(30))
    last = at(70, 15)
    tick.run(now=last)
    OrmQ.objects.all().delete()
    race.refresh_from_db()
    assert race.next_poll_at is None
    driver.drive(last + STEP, last + 4 * STEP)
    rechecks = race.poll_logs.filter(slot_at__gte=last).order_by("slot_at").values_list("trigger", "state")
    assert list(rechecks) == [("recheck", "lost"), ("retry", "ok")]


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
def test_a_recheck_that_finds_the_result_taken_back_takes_it_back_and_counts_that(
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
def test_what_staff_or_appwrite_ended_is_not_rechecked_and_keeps_its_status_whatever_an_answer_says(
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
