"""A poll that staff, a command or Appwrite ask for is made: with the detail, their name, and staff's reserve."""

from datetime import datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django_q.models import OrmQ

from polling import dispatch, planning, pollers, staff, tick
from polling.models import PollingSwitch, PollLog, PollState, ProviderState, Trigger
from races.decisions import Actor
from races.models import Race
from tests.factories import START, make_log, make_race
from tests.polling.conftest import ProviderBox
from tests.polling.driving import Driver

pytestmark = pytest.mark.django_db(transaction=True)

KIM = Actor("kim")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def under_way(provider: ProviderBox, count: int = 1) -> list[Race]:
    """Races past their start whose detail is known: the plan asks for their status alone."""
    races = provider.import_card()[:count]
    Race.objects.update(status="in_progress", content_hash="known", advertised_start=after(-300), detail_wanted=False)
    planning.replan([race.pk for race in races], now=after(-1))
    return list(Race.objects.filter(pk__in=[race.pk for race in races]).order_by("pk"))


def force(*races: Race, now: datetime, trigger: Trigger = Trigger.FORCED) -> list[PollLog]:
    return dispatch.force(races, trigger=trigger, requested_by="kim", now=now)


def asked_for(provider: ProviderBox, race: Race) -> int:
    """How often the race's own detail was asked for."""
    return len(provider.requests(race.provider_race_id))


def work(now: datetime, provider: ProviderBox) -> None:
    Driver(provider).work(now)


@pytest.mark.parametrize("trigger", [Trigger.FORCED, Trigger.REMOTE])
def test_a_claim_in_the_queue_becomes_the_forced_one_and_asks_for_the_detail(
    provider: ProviderBox, trigger: Trigger
) -> None:
    race, other = under_way(provider, 2)
    tick.run(now=START)
    provider.forget_requests()
    [log] = force(race, now=after(1), trigger=trigger)
    assert (log.trigger, log.requested_by, log.slot_at) == (trigger.value, "kim", START)
    work(after(2), provider)
    assert (asked_for(provider, race), asked_for(provider, other)) == (1, 0)
    log.refresh_from_db()
    assert (log.state, log.trigger, race.poll_logs.count()) == ("ok", trigger.value, 1)
    assert other.poll_logs.get().trigger == "slot"


def test_a_claim_in_a_batch_that_becomes_forced_has_staffs_reserve(provider: ProviderBox) -> None:
    races = under_way(provider, 3)
    tick.run(now=START)
    ProviderState.objects.update(full_at=after(13))  # 60 tokens at once, 4 a second: 8 are left, all but 3 for staff
    [log] = force(races[1], now=START)
    [task, *_] = OrmQ.objects.order_by("pk")
    assert log.pk in task.args()[0], "it is in the batch still"
    ProviderState.objects.update(full_at=after(14))
    pollers.run(task.args()[0], now=START, finished=lambda: after(1))
    assert [race.poll_logs.get().state for race in races] == ["skipped", "ok", "skipped"]


def test_a_poll_that_runs_is_followed_by_the_forced_one(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    tick.run(now=START)
    [running] = PollLog.objects.filter(race=race)
    provider.forget_requests()
    seen = []

    def ask_meanwhile() -> datetime:
        """As its answer comes, before it is stored."""
        seen.append(force(race, now=after(1)))
        seen.append(force(race, now=after(1.5)))
        return after(2)

    pollers.run([running.pk], now=after(0.1), finished=ask_meanwhile)
    [first], again = seen
    assert again == [first], "one poll is enough for both"
    running.refresh_from_db()
    first.refresh_from_db()
    assert (running.state, running.trigger) == ("ok", "slot")
    assert (first.state, first.trigger, first.requested_by, first.slot_at) == ("claimed", "forced", "kim", after(1))
    work(after(3), provider)
    first.refresh_from_db()
    assert (first.state, asked_for(provider, race)) == ("ok", 1)


def test_a_forced_poll_waits_for_no_worker_that_died(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    Race.objects.update(next_poll_at=after(3600))
    make_log(race, slot_at=START, state=PollState.RUNNING, lease_until=after(14))
    [waiting] = force(race, now=after(5))
    tick.run(now=after(7.5))
    waiting.refresh_from_db()
    assert waiting.state == "waiting"
    tick.run(now=after(15))
    waiting.refresh_from_db()
    assert waiting.state == "claimed"
    work(after(15.1), provider)
    waiting.refresh_from_db()
    assert waiting.state == "ok"


def test_a_tick_that_would_sleep_sees_to_a_forced_poll_that_waits(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    Race.objects.update(next_poll_at=None)
    waiting = make_log(race, slot_at=START, state=PollState.WAITING, trigger="forced", finished_at=None)
    tick.run(now=after(15))
    waiting.refresh_from_db()
    assert waiting.state == "claimed"


def test_a_running_poll_that_is_skipped_is_followed_too(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    stale = make_log(race, slot_at=after(-300), state=PollState.RUNNING, run="x")
    [waiting] = force(race, now=START)
    assert pollers._skip_stale([stale], now=after(1)) == []
    waiting.refresh_from_db()
    assert waiting.state == "claimed"


def test_a_second_request_joins_the_first_and_leaves_its_name(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    [log] = force(race, now=START)
    assert dispatch.force([race], trigger=Trigger.REMOTE, requested_by="appwrite", now=after(1)) == [log]
    log.refresh_from_db()
    assert (log.trigger, log.requested_by) == ("forced", "kim")


def test_a_forced_poll_at_the_instant_of_another_log_is_made(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    make_log(race, slot_at=START)
    [log] = force(race, now=START)
    assert (log.state, log.slot_at - START) == ("claimed", timedelta(microseconds=1))


def test_a_claim_that_is_not_a_request_joins_what_is_open(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    [planned], _ = dispatch.claim_now([race], trigger=Trigger.FOUND, requested_by="", now=START)
    assert dispatch.claim_now([race], trigger=Trigger.FOUND, requested_by="", now=after(1)) == ([], [planned])


@pytest.mark.parametrize(
    ("held", "reason", "words"),
    [
        pytest.param({"full_at": after(15)}, "quota", "no request was left of our own quota", id="no token at all"),
        pytest.param(
            {"not_before": after(60), "reason": "HTTP 429"}, "quota", "asked us to wait until 03:01:00 UTC: HTTP 429",
            id="a 429",
        ),
        pytest.param(
            {"breaker": "half_open", "retry_at": after(9), "name": "sandbox"}, "", "", id="an open breaker is tried"
        ),
    ],
)  # fmt: skip
def test_a_forced_poll_that_is_skipped_says_why(
    provider: ProviderBox, held: dict[str, object], reason: str, words: str
) -> None:
    [race] = under_way(provider)
    ProviderState.objects.update(**held)
    [log] = force(race, now=START)
    work(START, provider)
    log.refresh_from_db()
    assert log.reason == reason
    assert words in log.message


def test_a_forced_poll_that_waits_while_all_polling_is_paused_is_skipped_with_its_reason(
    provider: ProviderBox,
) -> None:
    [race] = under_way(provider)
    waiting = make_log(race, slot_at=START, state=PollState.WAITING, trigger="forced", finished_at=None)
    PollingSwitch.objects.create(pk=1, paused=True)
    tick.run(now=after(15))
    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason, waiting.message) == ("skipped", "paused", "all polling is paused")


def test_the_command_makes_a_claim_of_the_queue_its_own(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    tick.run(now=START)
    provider.forget_requests()
    with time_machine.travel(after(1), tick=False):
        call_command("poll", str(race.pk))
    log = race.poll_logs.get()
    assert (log.state, log.trigger, log.requested_by) == ("ok", "forced", "manage.py")
    assert asked_for(provider, race) == 1
    work(after(2), provider)
    assert asked_for(provider, race) == 1, "the queue's task finds nothing left to do"


def test_the_command_says_that_its_poll_follows_one_that_runs(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    make_log(race, slot_at=START, state=PollState.RUNNING, lease_until=after(14))
    with time_machine.travel(after(1), tick=False), pytest.raises(CommandError, match="one of its own follows"):
        call_command("poll", str(race.pk))


def test_staff_who_force_a_poll_are_on_its_log(provider: ProviderBox) -> None:
    [race] = under_way(provider)
    tick.run(now=START)
    assert staff.force_poll([race.pk], by=KIM, reason="track inspection", now=after(1)) == [race.pk]
    assert race.poll_logs.get().requested_by == "kim"


def test_a_claim_whose_lease_ran_out_does_not_stand_in_the_way_of_a_forced_poll() -> None:
    race = make_race()
    dead = make_log(race, slot_at=after(-3600), state=PollState.CLAIMED)
    [log] = force(race, now=after(3600))
    dead.refresh_from_db()
    assert (dead.state, log.state, log.slot_at) == ("lost", "claimed", after(3600))


def test_a_race_made_by_hand_cannot_be_forced() -> None:
    assert force(make_race(provider_race_id=""), now=START) == []


def test_a_forced_poll_is_logged_with_its_instant_and_who_asked() -> None:
    race = make_race()
    planning.replan([race.pk], now=after(-90 * 60))
    [log] = force(race, now=after(-70 * 60 + 3))
    assert (log.trigger, log.slot_at, log.requested_by) == ("forced", after(-70 * 60 + 3), "kim")
    assert OrmQ.objects.count() == 1
