"""What a provider may be asked: tokens, breaker, incidents, on the real database and over real HTTP."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Value
from django.db.models.functions import Concat

from polling import dispatch, importing, pollers
from polling.errors import Blocked, NotAsked, NotFound, RateLimited, Unavailable
from polling.models import Incident, PollLog, ProviderState, SkipReason, Trigger
from polling.quota import request_budget
from polling.quota.request_budget import RequestBudget
from polling.quota.token_bucket import Priority
from races.models import Race
from tests.factories import START
from tests.polling.conftest import ProviderBox

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)


@pytest.fixture
def limits(settings: Any) -> None:
    """A token a second, ten at once, two of them for staff."""
    settings.POLL_REQUESTS = (60, 10, 2)


def after(seconds: float) -> datetime:
    return START + seconds * SECOND


def take(wanted: int, priority: Priority = Priority.FORCED, *, now: datetime = START) -> int:
    return RequestBudget("sandbox", priority, now).take(wanted)


def poll(*races: Race, now: datetime = START, trigger: Trigger = Trigger.SLOT) -> list[str]:
    """What came of a poll of the races: state and reason, in their order."""
    won, _ = dispatch.claim_now(races, trigger=trigger, requested_by="test", now=now)
    pollers.run([log.pk for log in won], now=now, finished=lambda: now + timedelta(milliseconds=300))
    logs = {log.race_id: log for log in PollLog.objects.filter(pk__in=[log.pk for log in won])}
    return [f"{logs[race.pk].state} {logs[race.pk].reason}".strip() for race in races]


def upcoming(provider: ProviderBox, count: int) -> list[Race]:
    """Races that have not started, nearest first."""
    return [race for race in provider.import_card() if race.advertised_start > START][:count]


def started(provider: ProviderBox, count: int) -> list[Race]:
    """Races under way whose detail is known, so that one list is asked for all."""
    races = provider.import_card()[:count]
    Race.objects.update(status="in_progress", content_hash="known", advertised_start=START - timedelta(minutes=5))
    return list(Race.objects.filter(pk__in=[race.pk for race in races]))


def full() -> None:
    ProviderState.objects.update(full_at=START - timedelta(hours=1))


# --- tokens -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("limits")
def test_tokens_are_taken_until_there_are_none_and_flow_in_again() -> None:
    assert [take(4), take(4), take(4), take(4)] == [4, 4, 2, 0]
    assert take(5, now=after(3)) == 3
    assert take(99, now=after(3600)) == 10, "no more than fit the bucket"


@pytest.mark.usefixtures("limits")
def test_far_races_leave_tokens_to_urgent_ones_and_these_to_staff() -> None:
    assert [take(99, Priority.FAR), take(99, Priority.URGENT), take(99, Priority.FORCED)] == [6, 2, 2]


@pytest.mark.usefixtures("limits")
def test_callers_side_by_side_get_no_more_than_there_is() -> None:
    def caller(_: int) -> int:
        try:
            return take(1)
        finally:
            connection.close()

    ProviderState.objects.create(name="sandbox")
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(caller, range(40))) == 10


@pytest.mark.usefixtures("limits")
def test_when_tokens_run_short_the_races_nearest_to_their_start_are_asked(provider: ProviderBox) -> None:
    races = upcoming(provider, 12)
    full()
    provider.forget_requests()
    came = poll(*reversed(races))[::-1]
    assert came == ["ok"] * 8 + ["skipped quota"] * 4
    assert len(provider.requests()) == 8
    assert ProviderState.objects.get().short_at == START


@pytest.mark.usefixtures("limits")
def test_a_shortage_that_goes_on_keeps_its_beginning_and_one_after_a_rest_has_its_own() -> None:
    seen = []
    for second in (0, 15, 30, 200):
        take(99, Priority.URGENT, now=after(second))
        seen.append(ProviderState.objects.get().short_since)
    assert seen == [START, START, START, after(200)]


@pytest.mark.usefixtures("limits")
def test_a_forced_poll_finds_a_token_when_all_others_find_none(provider: ProviderBox) -> None:
    races = upcoming(provider, 11)
    full()
    poll(*races[:10])
    assert poll(races[10], trigger=Trigger.FORCED) == ["ok"]


@pytest.mark.usefixtures("limits")
def test_an_import_takes_tokens_and_is_left_out_when_there_are_none(provider: ProviderBox) -> None:
    take(10)
    with pytest.raises(NotAsked, match="quota"):
        importing.import_schedule("sandbox", now=START)
    assert provider.requests() == []
    assert importing.import_schedule("sandbox", now=after(60)).created
    assert ProviderState.objects.get().full_at == after(62)  # a page, and the one behind it that brings nothing new


def test_a_clock_that_is_set_back_leaves_no_provider_without_tokens() -> None:
    assert take(1) == 1
    assert take(1, Priority.URGENT, now=after(-120)) == 1
    assert ProviderState.objects.get().short_at is None


# --- too fast -----------------------------------------------------------------------------------------------


def test_without_a_word_how_long_to_wait_each_refusal_doubles_the_wait_and_an_answer_ends_it() -> None:
    waits = []
    for _ in range(6):
        request_budget.record_answers("sandbox", [RateLimited("429")], now=START)
        waits.append((ProviderState.objects.get().not_before or START) - START)
    assert [wait.total_seconds() for wait in waits] == [30, 60, 120, 240, 480, 600]
    request_budget.record_answers("sandbox", [None], now=START)
    assert ProviderState.objects.get().limited == 0
    assert Incident.objects.get(kind="limited").ended_at == START


def test_the_wait_that_a_provider_names_is_kept_whatever_the_breaker_says() -> None:
    request_budget.record_answers("sandbox", [RateLimited("429", retry_after=40 * SECOND), None], now=START)
    assert take(1, now=after(39)) == 0
    assert take(1, now=after(40)) == 1


def test_a_wait_that_a_provider_named_is_not_shortened_by_a_request_that_was_under_way() -> None:
    request_budget.record_answers("sandbox", [RateLimited("429", retry_after=600 * SECOND)], now=START)
    request_budget.record_answers("sandbox", [RateLimited("429")], now=after(1))
    assert ProviderState.objects.get().not_before == after(600)


# --- the breaker --------------------------------------------------------------------------------------------


def test_a_failing_provider_is_one_incident_and_one_alert_and_its_slots_are_skipped(
    provider: ProviderBox, caplog: pytest.LogCaptureFixture
) -> None:
    races = upcoming(provider, 20)
    provider.fault("error", status=503, times=None)
    assert set(poll(*races)) == {"failed"}
    provider.forget_requests()
    for second in range(1, 10):
        assert set(poll(*races, now=after(second))) == {"skipped breaker"}
    assert provider.requests() == []
    assert Incident.objects.get().kind == "failing"
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 2
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_one_request_finds_out_whether_a_provider_is_back_and_its_answer_closes_the_breaker(
    provider: ProviderBox, caplog: pytest.LogCaptureFixture
) -> None:
    races = upcoming(provider, 6)
    provider.fault("drop", times=None)
    poll(*races)
    provider.forget_requests()
    assert poll(*races, now=after(20)) == ["failed"] + ["skipped breaker"] * 5
    assert len(provider.requests()) == 1
    assert ProviderState.objects.get().retry_at == after(40.3), "twice as long as before"
    provider.mend()
    assert poll(*races, now=after(41)) == ["ok"] + ["skipped breaker"] * 5
    assert poll(*races, now=after(42)) == ["ok"] * 6
    assert Incident.objects.get().ended_at == after(41.3)
    assert "no longer failing" in caplog.text


def test_of_many_callers_one_finds_out() -> None:
    request_budget.record_answers("sandbox", [Unavailable("503")] * 5, now=START)
    assert [take(3, Priority.URGENT, now=after(15)) for _ in range(3)] == [1, 0, 0]
    assert take(3, Priority.URGENT, now=after(30)) == 1, "a try whose poller died is made again"


def test_staff_may_try_a_failing_provider_at_any_time() -> None:
    request_budget.record_answers("sandbox", [Unavailable("503")] * 5, now=START)
    assert take(1, Priority.URGENT, now=after(1)) == 0
    assert take(1, Priority.FORCED, now=after(1)) == 1


def test_a_refusal_opens_the_breaker_at_once_and_for_long(caplog: pytest.LogCaptureFixture) -> None:
    request_budget.record_answers("sandbox", [Blocked("403", http_status=403)], now=START)
    budget = RequestBudget("sandbox", Priority.URGENT, after(299))
    assert (budget.take(1), budget.refusal) == (0, SkipReason.BREAKER)
    assert take(1, Priority.URGENT, now=after(300)) == 1
    request_budget.record_answers("sandbox", [Blocked("403", http_status=403)], now=after(300))
    assert ProviderState.objects.get().retry_at == after(900)
    assert Incident.objects.get().kind == "blocked"
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_a_race_that_the_provider_does_not_know_is_an_answer() -> None:
    request_budget.record_answers("sandbox", [NotFound("404")] * 20, now=START)
    assert take(1, Priority.URGENT) == 1
    assert not Incident.objects.exists()


def test_one_race_that_cannot_be_read_among_others_opens_nothing(provider: ProviderBox) -> None:
    races = upcoming(provider, 3)
    provider.fault("malformed", times=None, race_id=races[1].provider_race_id)
    for second in range(8):
        assert poll(*races, now=after(second)) == ["ok", "failed", "ok"]
    assert ProviderState.objects.get().breaker == "closed"


def test_a_list_that_fails_is_one_failure_however_many_races_it_was_for(provider: ProviderBox) -> None:
    races = started(provider, 5)
    provider.fault("drop", times=1)
    assert set(poll(*races)) == {"failed"}
    state = ProviderState.objects.get()
    assert (state.breaker, state.failures) == ("closed", 1)


def test_a_list_that_names_none_of_our_races_is_an_answer_and_closes_the_breaker(provider: ProviderBox) -> None:
    races = started(provider, 2)
    provider.import_card()
    request_budget.record_answers("sandbox", [Unavailable("503")] * 5, now=START)
    Race.objects.filter(pk__in=[race.pk for race in races]).update(
        provider_race_id=Concat(Value("gone-"), "provider_race_id")
    )
    poll(*Race.objects.filter(pk__in=[race.pk for race in races]), now=after(15))
    assert ProviderState.objects.get().breaker == "closed"


def test_races_held_back_by_a_breaker_are_planned_for_when_it_lets_one_through(provider: ProviderBox) -> None:
    races = upcoming(provider, 6)
    provider.fault("error", times=None)
    poll(*races)
    far = max(races, key=lambda race: race.advertised_start)
    far.refresh_from_db()
    assert far.next_poll_at and far.next_poll_at >= after(10.3)


def test_while_all_is_well_an_answer_writes_nothing_about_its_provider(
    provider: ProviderBox, django_assert_num_queries: Any
) -> None:
    upcoming(provider, 1)
    with django_assert_num_queries(1):
        request_budget.record_answers("sandbox", [None, None], now=START)
