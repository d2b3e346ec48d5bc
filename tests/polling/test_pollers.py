"""The pollers against the simulated provider over real HTTP."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from polling import dispatch, importing, pollers
from polling.errors import PollingError, RateLimited
from polling.models import PollLog, PollState, ProviderState, Trigger
from polling.quota import request_budget
from races.models import Race
from tests.factories import START, make_log, make_race
from tests.polling.conftest import ProviderBox

pytestmark = pytest.mark.django_db(transaction=True)


def poll(*races: Race, now: datetime = START, trigger: Trigger = Trigger.FOUND) -> list[PollLog]:
    """Polls the races at `now`, in this process; the logs in the order of the races."""
    won, _ = dispatch.claim_now(races, trigger=trigger, requested_by="test", now=now)
    pollers.run([log.pk for log in won], now=now, finished=lambda: now + timedelta(milliseconds=300))
    return sorted(PollLog.objects.filter(pk__in=[log.pk for log in won]), key=lambda log: log.race_id)


def upcoming(provider: ProviderBox, count: int = 1) -> list[Race]:
    """Races that have not started, nearest first."""
    return [race for race in provider.import_card() if race.advertised_start > START][:count]


def under_way(provider: ProviderBox, count: int) -> list[Race]:
    """Races past their advertised start, steered to be closed and no further, their detail known."""
    races = [race for race in provider.import_card() if race.advertised_start < START][:count]
    for race in races:
        provider.steer(race, status="Closed")
    poll(*races, now=START - timedelta(seconds=1))
    return list(Race.objects.filter(pk__in=[race.pk for race in races]).order_by("pk"))


def test_one_race_is_asked_whole_in_one_request(provider: ProviderBox) -> None:
    [race] = upcoming(provider)
    provider.forget_requests()
    [log] = poll(race)
    race.refresh_from_db()
    assert (log.state, log.http_status, log.changed, log.error_class) == ("ok", 200, True, "")
    assert log.duration == timedelta(milliseconds=300)
    assert race.runners.exists()
    assert race.last_poll_time == race.last_attempt_at == log.finished_at
    assert [entry["path"].rsplit("/", 1)[1] for entry in provider.requests()] == [race.provider_race_id]


def test_an_unchanged_poll_says_so_and_changes_no_version(provider: ProviderBox) -> None:
    [race] = upcoming(provider)
    poll(race)
    race.refresh_from_db()
    [log] = poll(race, now=START + timedelta(milliseconds=1))
    assert (log.state, log.changed) == ("ok", False)
    assert Race.objects.get(pk=race.pk).version == race.version


def test_races_before_their_start_are_asked_each_for_its_odds(provider: ProviderBox) -> None:
    races = upcoming(provider, 3)
    provider.forget_requests()
    assert [log.state for log in poll(*races)] == ["ok"] * 3
    assert len(provider.requests("/events/")) == len(provider.requests()) == 3


def test_races_past_their_start_cost_one_status_request_while_nothing_moves(provider: ProviderBox) -> None:
    races = under_way(provider, 4)
    provider.forget_requests()
    assert [log.state for log in poll(*races)] == ["ok"] * 4
    assert [entry["path"].rsplit("/", 1)[1] for entry in provider.requests()] == ["meetings"]


def test_a_race_whose_status_moved_is_asked_for_its_detail(provider: ProviderBox) -> None:
    races = under_way(provider, 3)
    provider.steer(races[0], status="Final", results=[[2], [1, 4], [3]])
    provider.forget_requests()
    poll(*races)
    final = Race.objects.get(pk=races[0].pk)
    assert len(provider.requests("/events/")) == 1
    assert (final.status, final.outcome) == ("finalized", "resulted")
    assert final.next_poll_at == START + timedelta(minutes=15, seconds=15), "a result is rechecked"
    assert [(r["runner_number"], r["position"]) for r in final.results][:3] == [(2, 1), (1, 2), (4, 2)]


def test_a_forced_poll_asks_for_the_detail_whatever_the_policy(provider: ProviderBox) -> None:
    races = under_way(provider, 3)
    provider.forget_requests()
    poll(*races, trigger=Trigger.FORCED)
    assert len(provider.requests("/events/")) == len(provider.requests()) == 3


def test_a_list_that_fails_fails_its_own_races_alone(provider: ProviderBox) -> None:
    started, coming = under_way(provider, 2), upcoming(provider, 2)
    provider.fault("error", status=503, times=None, path_contains="/racing/meetings")
    poll(*started, *coming)
    states = dict(PollLog.objects.filter(slot_at=START).values_list("race", "state"))
    assert [states[race.pk] for race in started] == ["failed"] * 2
    assert [states[race.pk] for race in coming] == ["ok"] * 2


def test_a_status_that_was_reported_is_kept_though_its_detail_fails(provider: ProviderBox) -> None:
    races = under_way(provider, 2)
    provider.steer(races[0], status="Abandoned")
    provider.fault("error", status=500, times=None, path_contains="/events/")
    logs = {log.race_id: log for log in poll(*races)}
    assert logs[races[0].pk].error_class == "Unavailable"
    assert (Race.objects.get(pk=races[0].pk).status, Race.objects.get(pk=races[1].pk).status) == (
        "finalized",
        "in_progress",
    )


def test_a_race_missing_from_the_list_is_asked_singly_and_never_finalized(provider: ProviderBox) -> None:
    races = under_way(provider, 3)
    provider.fault("missing_race", race_id=races[1].provider_race_id, times=None)
    provider.forget_requests()
    assert [log.state for log in poll(*races)] == ["ok"] * 3
    assert [races[1].provider_race_id in entry["path"] for entry in provider.requests("/events/")] == [True]
    assert Race.objects.get(pk=races[1].pk).status != "finalized"


def test_a_race_the_provider_no_longer_knows_fails_as_not_found(provider: ProviderBox) -> None:
    upcoming(provider)
    race = make_race(start=START + timedelta(minutes=3), provider_race_id="00000000-0000-5000-8000-000000000000")
    [log] = poll(race)
    race.refresh_from_db()
    assert (log.state, log.error_class, log.http_status) == ("failed", "NotFound", 404)
    assert (race.status, race.failures, race.last_poll_time) == ("scheduled", 1, None)
    assert race.last_attempt_at == log.finished_at
    assert race.next_poll_at == START + timedelta(seconds=15)


@pytest.mark.parametrize(
    ("fault", "options", "error_class", "http_status"),
    [
        ("error", {"status": 500}, "Unavailable", 500),
        ("drop", {}, "Unavailable", None),
        ("blocked", {}, "Blocked", 403),
        ("malformed", {}, "Malformed", 200),
        ("html", {}, "Malformed", 200),
        ("rate_limited", {"retry_after": 40}, "RateLimited", 429),
    ],
)
def test_a_fault_of_the_provider_fails_the_poll_by_its_class(
    provider: ProviderBox, fault: str, options: dict[str, object], error_class: str, http_status: int | None
) -> None:
    [race] = upcoming(provider)
    provider.fault(fault, times=None, **options)
    [log] = poll(race)
    assert (log.state, log.error_class, log.http_status) == ("failed", error_class, http_status)
    assert log.starts_incident
    provider.mend()
    request_budget.clear_waits(ProviderState.objects.all(), now=START)
    assert poll(race, now=START + timedelta(seconds=15))[0].state == "ok"


def test_an_answer_that_cannot_be_read_is_kept_cut_to_two_kilobytes(provider: ProviderBox) -> None:
    [race] = upcoming(provider)
    provider.fault("malformed", times=1)
    [log] = poll(race)
    assert 0 < len(log.sample.encode()) <= 2000


def test_an_unknown_status_keeps_the_old_one_and_is_listed_once(
    provider: ProviderBox, caplog: pytest.LogCaptureFixture
) -> None:
    [race] = upcoming(provider)
    provider.fault("unknown_status", race_id=race.provider_race_id, value="Parading", times=None)
    for second in range(3):
        assert poll(race, now=START + timedelta(seconds=second))[0].state == "ok"
    race.refresh_from_db()
    assert race.status == "scheduled"
    assert list(ProviderState.objects.get(name="sandbox").unknown_statuses) == ["Parading"]
    assert len([record for record in caplog.records if "Parading" in record.message]) == 1


def test_too_many_requests_hold_the_provider_for_as_long_as_it_says(provider: ProviderBox) -> None:
    races = upcoming(provider, 2)
    provider.fault("rate_limited", times=1, retry_after=40)
    poll(races[0])
    state = ProviderState.objects.get(name="sandbox")
    assert state.not_before == START + timedelta(seconds=40, milliseconds=300)
    provider.forget_requests()
    [log] = poll(races[1], now=START + timedelta(seconds=15))
    assert (log.state, log.reason) == ("skipped", "quota")
    assert provider.requests() == []
    assert poll(races[1], now=START + timedelta(seconds=45))[0].state == "ok"


def test_the_providers_row_is_written_before_races_are_locked_as_an_import_does_it(provider: ProviderBox) -> None:
    """The other way round a poller and an import would wait for each other on PostgreSQL."""
    [race] = upcoming(provider)
    provider.fault("rate_limited", times=1, retry_after=40)
    with CaptureQueriesContext(connection) as seen:
        poll(race)
    written = [query["sql"].split('"')[1] for query in seen if query["sql"].startswith(("UPDATE", "INSERT"))]
    assert written.index("polling_providerstate") < written.index("races_race")
    assert "polling_providerstate" not in written[written.index("races_race") :]


def test_one_race_that_fails_does_not_fail_the_others(provider: ProviderBox) -> None:
    races = upcoming(provider, 3)
    provider.fault("error", status=500, times=None, path_contains=races[1].provider_race_id)
    states = {log.race_id: log.state for log in poll(*races)}
    assert [states[race.pk] for race in races] == ["ok", "failed", "ok"]


def test_a_task_delivered_twice_polls_once(provider: ProviderBox) -> None:
    [race] = upcoming(provider)
    won, _ = dispatch.claim_now([race], trigger=Trigger.FORCED, requested_by="test", now=START)
    provider.forget_requests()
    assert pollers.run([won[0].pk], now=START) == [race.pk]
    assert pollers.run([won[0].pk], now=START) == []
    assert len(provider.requests()) == 1


def test_a_poll_that_comes_after_a_newer_slot_has_begun_is_skipped_as_stale(provider: ProviderBox) -> None:
    [race] = upcoming(provider)
    late = race.advertised_start - timedelta(minutes=2)
    log = make_log(race, slot_at=late - timedelta(seconds=15), state=PollState.CLAIMED)
    provider.forget_requests()
    pollers.run([log.pk], now=late + timedelta(seconds=1))
    log.refresh_from_db()
    assert (log.state, log.reason) == ("skipped", "stale")
    assert provider.requests() == []


def test_a_poller_that_lost_its_claim_stores_nothing(provider: ProviderBox) -> None:
    [race] = upcoming(provider)
    version = race.version
    won, _ = dispatch.claim_now([race], trigger=Trigger.FORCED, requested_by="test", now=START)

    def write_off() -> datetime:
        PollLog.objects.filter(pk=won[0].pk).update(state=PollState.LOST.value)
        return START + timedelta(seconds=30)

    assert pollers.run([won[0].pk], now=START, finished=write_off) == []
    race.refresh_from_db()
    assert (race.version, race.last_poll_time, race.runners.count()) == (version, None, 0)


def test_a_race_of_a_provider_that_is_not_configured_fails_and_says_so(provider: ProviderBox) -> None:
    race = make_race(provider="elsewhere")
    [log] = poll(race)
    assert (log.state, log.error_class) == ("failed", "Blocked")
    assert "elsewhere" in log.message


def test_an_import_obeys_the_wait_that_a_provider_asks_for(provider: ProviderBox) -> None:
    provider.fault("rate_limited", times=1, retry_after=600)
    with pytest.raises(RateLimited):
        importing.import_schedule("sandbox", now=START)
    assert ProviderState.objects.get(name="sandbox").not_before == START + timedelta(seconds=600)
    provider.forget_requests()
    with pytest.raises(RateLimited):
        importing.import_schedule("sandbox", now=START + timedelta(seconds=599))
    assert provider.requests() == []
    assert importing.import_schedule("sandbox", now=START + timedelta(seconds=601)).created


def test_a_claim_taken_late_is_held_as_long_as_one_taken_at_once(provider: ProviderBox) -> None:
    [race] = upcoming(provider)
    log = make_log(race, slot_at=START, state=PollState.CLAIMED, trigger=Trigger.FORCED.value)
    taken = START + timedelta(seconds=21)
    seen = []

    def read_leases() -> datetime:
        seen.append(PollLog.objects.get(pk=log.pk).lease_until)
        return taken

    pollers.run([log.pk], now=taken, finished=read_leases)
    assert seen == [taken + dispatch.run_lease()]


def test_an_import_that_fails_is_noted_and_loses_nothing(provider: ProviderBox) -> None:
    provider.import_card()
    before = Race.objects.count()
    provider.fault("error", status=500, times=None)
    with pytest.raises(PollingError):
        importing.import_schedule("sandbox", now=START)
    assert "Unavailable" in ProviderState.objects.get(name="sandbox").last_import_error
    provider.mend()
    importing.import_schedule("sandbox", now=START)
    assert ProviderState.objects.get(name="sandbox").last_import_error == ""
    assert Race.objects.count() == before


def test_the_list_and_the_detail_of_a_race_agree_so_that_neither_undoes_the_other(provider: ProviderBox) -> None:
    races = provider.import_card()[:12]
    poll(*races)
    assert importing.import_schedule("sandbox", now=START).changed == set()
    assert not any(log.changed for log in poll(*races, now=START + timedelta(seconds=1)))


def test_a_race_reported_twice_is_stored_once(provider: ProviderBox) -> None:
    provider.import_card()
    before = Race.objects.count()
    provider.fault("duplicate_race", times=None)
    importing.import_schedule("sandbox", now=START)
    assert Race.objects.count() == before


def test_a_race_that_vanished_from_the_card_goes_on_being_polled(provider: ProviderBox) -> None:
    [race] = upcoming(provider)
    provider.steer(race, vanished=True)
    importing.import_schedule("sandbox", now=START)
    race.refresh_from_db()
    assert (race.status, race.next_poll_at is not None) == ("scheduled", True)


def test_a_start_moved_into_the_past_is_taken_and_the_race_polled_at_once(provider: ProviderBox) -> None:
    race = next(race for race in upcoming(provider, 30) if race.advertised_start > START + timedelta(minutes=20))
    poll(race, now=START - timedelta(minutes=5))
    moved = START - timedelta(minutes=1)
    provider.steer(race, advertised_start=moved.isoformat(), status="Open")
    importing.import_schedule("sandbox", now=START + timedelta(seconds=20))
    race.refresh_from_db()
    assert race.advertised_start == moved
    assert race.next_poll_at and race.next_poll_at <= START + timedelta(seconds=30)


def test_a_batch_costs_the_same_queries_whatever_its_size(provider: ProviderBox) -> None:
    races = upcoming(provider, 10)  # on SQLite more of them have more runners than one statement takes

    def queries(batch: list[Race]) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert {log.state for log in poll(*batch)} == {"ok"}
        return len(seen)

    assert queries(races[:3]) == queries(races[3:])


class Gate:
    """Lets nobody through until so many have come, or none came any more for half a minute."""

    def __init__(self, count: int) -> None:
        self._count, self._came, self._condition = count, 0, threading.Condition()
        self.is_reached = False

    def __call__(self) -> None:
        with self._condition:
            self._came += 1
            self._condition.notify_all()
            self.is_reached = self._condition.wait_for(lambda: self._came >= self._count, timeout=30)


def test_a_batch_asks_its_races_side_by_side(provider: ProviderBox, settings: Any) -> None:
    settings.POLL_REQUEST_DEADLINE = timedelta(seconds=60)
    races, gate = upcoming(provider, 20), Gate(8)
    provider.before_answer.append(gate)
    assert [log.state for log in poll(*races)] == ["ok"] * 20
    assert gate.is_reached


def test_a_race_whose_detail_was_never_seen_is_asked_for_it_even_past_its_start(provider: ProviderBox) -> None:
    races = [race for race in provider.import_card() if race.advertised_start < START][:2]
    poll(*races)
    assert all(race.runners.exists() for race in races)
