"""What staff do to races: who may, what it does, and that nothing happens by accident."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from polling.admin.race_actions import APPLIES_TO
from polling.models import Heartbeat, Incident, PollingSwitch, PollLog, PollState, ProviderState, Trigger
from races.models import Race
from races.status import FinalizedBy, Outcome, RaceStatus
from tests.admin.conftest import messages_of
from tests.factories import START, make_log, make_race

pytestmark = pytest.mark.django_db

NOW = START - timedelta(minutes=4, seconds=10)
LIST = reverse("admin:races_race_changelist")
PERMISSIONS = {
    "force_poll": "force_poll_race",
    "finalize": "finalize_race",
    "reopen": "reopen_race",
    "pause": "pause_race",
    "resume": "pause_race",
}
ASKING = ("force_poll", "finalize", "reopen", "pause")
EACH_ACTION = pytest.mark.parametrize("action", APPLIES_TO)
StaffClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def at_now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def ready(action: str) -> Race:
    """A race that the action changes."""
    if action == "reopen":
        return make_race(status=RaceStatus.FINALIZED.value, finalized_at=NOW, finalized_by=FinalizedBy.STAFF.value)
    return make_race(polling_paused=action == "resume")


def post(client: Client, action: str, *races: Race, **data: Any) -> Any:
    return client.post(LIST, {"action": action, "_selected_action": [race.pk for race in races], **data})


def confirm(client: Client, action: str, *races: Race, reason: str = "track inspection", **data: Any) -> Any:
    return post(client, action, *races, confirm="yes", reason=reason, **data)


def state(race: Race) -> tuple[str, bool, int, int]:
    """What an action may change: the race itself, its polls, and the queue."""
    race.refresh_from_db()
    return race.status, race.polling_paused, race.version, PollLog.objects.filter(race=race).count()


def test_every_action_has_a_permission_of_the_model() -> None:
    assert list(PERMISSIONS) == list(APPLIES_TO)
    assert set(PERMISSIONS.values()) == {codename for codename, _ in Race._meta.permissions}


@EACH_ACTION
def test_who_has_the_permission_is_offered_the_action_and_may_take_it(staff_client: StaffClient, action: str) -> None:
    race = ready(action)
    client, before = staff_client("view_race", PERMISSIONS[action]), state(race)
    assert f'<option value="{action}">' in client.get(LIST).content.decode()
    page = client.get(reverse("admin:races_race_change", args=[race.pk])).content.decode()
    assert f'name="action" value="{action}"' in page
    assert confirm(client, action, race).status_code == 302
    assert state(race) != before


@EACH_ACTION
def test_who_lacks_the_permission_neither_sees_the_action_nor_can_take_it(
    staff_client: StaffClient, action: str
) -> None:
    race = ready(action)
    others = set(PERMISSIONS.values()) - {PERMISSIONS[action]}
    client, before = staff_client("view_race", "change_race", *others), state(race)
    assert f'value="{action}"' not in client.get(LIST).content.decode()
    assert f'value="{action}"' not in client.get(reverse("admin:races_race_change", args=[race.pk])).content.decode()
    assert messages_of(confirm(client, action, race)) == ["No action selected."]
    assert state(race) == before
    assert not LogEntry.objects.exists()
    assert not OrmQ.objects.exists()


@EACH_ACTION
def test_who_may_only_view_sees_no_actions_and_can_take_none(staff_client: StaffClient, action: str) -> None:
    race = ready(action)
    client, before = staff_client("view_race"), state(race)
    assert 'name="action"' not in client.get(LIST).content.decode()
    assert 'name="action"' not in client.get(reverse("admin:races_race_change", args=[race.pk])).content.decode()
    confirm(client, action, race)
    assert state(race) == before


@EACH_ACTION
def test_who_may_not_view_races_is_refused(staff_client: StaffClient, action: str) -> None:
    race = ready(action)
    client, before = staff_client(PERMISSIONS[action]), state(race)
    assert confirm(client, action, race).status_code == 403
    assert state(race) == before


@EACH_ACTION
def test_an_action_is_never_taken_by_get(admin_client: Client, action: str) -> None:
    race = ready(action)
    before = state(race)
    admin_client.get(f"{LIST}?action={action}&_selected_action={race.pk}&confirm=yes&reason=x")
    assert state(race) == before


@EACH_ACTION
def test_an_action_without_its_token_is_refused(admin_user: Any, action: str) -> None:
    race = ready(action)
    client, before = Client(enforce_csrf_checks=True), state(race)
    client.force_login(admin_user)
    assert confirm(client, action, race).status_code == 403
    assert state(race) == before


@pytest.mark.parametrize("action", ASKING)
def test_a_decision_first_lists_its_races_and_asks_for_a_reason(admin_client: Client, action: str) -> None:
    race = ready(action)
    before = state(race)
    response = post(admin_client, action, race)
    assert response.status_code == 200
    html = response.content.decode()
    assert race.name in html
    assert 'name="reason"' in html
    assert state(race) == before


@pytest.mark.parametrize("action", ASKING)
@pytest.mark.parametrize("reason", ["", "   ", "x" * 201], ids=["none", "blank", "too long"])
def test_a_decision_without_a_proper_reason_asks_again(admin_client: Client, action: str, reason: str) -> None:
    race = ready(action)
    before = state(race)
    response = confirm(admin_client, action, race, reason=reason)
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert state(race) == before


@pytest.mark.parametrize(
    ("action", "entry"),
    [
        ("finalize", "Finalized: track inspection"),
        ("reopen", "Reopened: track inspection"),
        ("pause", "Polling paused: track inspection"),
        ("resume", "Polling resumed"),
    ],
)
def test_a_decision_is_audited_with_its_user_and_its_reason(staff_client: StaffClient, action: str, entry: str) -> None:
    race = ready(action)
    confirm(staff_client("view_race", PERMISSIONS[action]), action, race, reason="  track inspection ")
    [written] = LogEntry.objects.all()
    assert (written.user.get_username(), written.object_id) == ("officer", str(race.pk))
    assert written.change_message == entry


def test_a_finalized_race_is_polled_no_more_and_a_reopened_one_again(admin_client: Client) -> None:
    race = make_race(next_poll_at=NOW)
    confirm(admin_client, "finalize", race)
    race.refresh_from_db()
    assert (race.status, race.finalized_by, race.finalized_at) == ("finalized", "staff", NOW)
    assert race.next_poll_at is None
    confirm(admin_client, "reopen", race)
    race.refresh_from_db()
    assert (race.status, race.finalized_by, race.finalized_at) == ("scheduled", "", None)
    assert race.next_poll_at is not None


@pytest.mark.parametrize("outcome", Outcome)
def test_who_finalizes_is_asked_for_the_outcome_which_is_set(admin_client: Client, outcome: Outcome) -> None:
    race = make_race()
    asked = post(admin_client, "finalize", race).content.decode()
    assert f'<option value="{outcome.value}">' in asked
    confirm(admin_client, "finalize", race, outcome=outcome.value)
    race.refresh_from_db()
    assert (race.status, race.outcome) == ("finalized", outcome.value)
    assert LogEntry.objects.get().change_message == f"Finalized as {outcome.value}: track inspection"


def test_the_outcome_of_a_race_that_has_ended_can_be_changed_and_what_is_called_off_keeps_no_result(
    admin_client: Client,
) -> None:
    placed = [{"runner_number": 1, "position": 1, "code": "", "name": "", "margin": None}]
    ended: dict[str, Any] = {
        "status": "finalized",
        "finalized_by": "provider",
        "finalized_at": NOW,
        "outcome": "resulted",
    }
    race = make_race(**ended, results=placed, dividends=[{}], result_state="final", result_version=1)
    assert messages_of(confirm(admin_client, "finalize", race, outcome="resulted")) == ["0 of 1 race finalized."]
    assert "1 of 1 race finalized." in messages_of(confirm(admin_client, "finalize", race, outcome="void"))
    race.refresh_from_db()
    assert (race.outcome, race.finalized_by, race.results, race.dividends) == ("void", "staff", [], [])
    assert (race.result_state, race.result_version) == ("none", 2)


def test_finalizing_warns_of_races_that_have_not_started_and_of_no_others(admin_client: Client) -> None:
    early, late = make_race(), make_race(start=NOW - timedelta(minutes=1))
    assert "1 of these races has not started" in post(admin_client, "finalize", early, late).content.decode()
    assert "not started" not in post(admin_client, "finalize", late).content.decode()
    assert "not started" not in post(admin_client, "pause", early).content.decode()


def test_an_outcome_that_there_is_not_asks_again(admin_client: Client) -> None:
    race = make_race()
    assert confirm(admin_client, "finalize", race, outcome="drawn").status_code == 200
    race.refresh_from_db()
    assert race.status == "scheduled"


def test_a_paused_race_is_polled_no_more_and_a_resumed_one_again(admin_client: Client) -> None:
    race = make_race(next_poll_at=NOW)
    confirm(admin_client, "pause", race)
    race.refresh_from_db()
    assert (race.polling_paused, race.next_poll_at) == (True, None)
    post(admin_client, "resume", race)
    race.refresh_from_db()
    assert race.polling_paused is False
    assert race.next_poll_at is not None


def test_finalizing_twice_changes_a_race_once(admin_client: Client) -> None:
    race = make_race()
    assert messages_of(confirm(admin_client, "finalize", race)) == ["1 of 1 race finalized."]
    once = state(race)
    assert "0 of 1 race finalized." in messages_of(confirm(admin_client, "finalize", race))
    assert state(race) == once
    assert LogEntry.objects.count() == 1


def test_a_decision_on_several_races_counts_those_it_changed(admin_client: Client) -> None:
    races = [make_race(), make_race(), ready("reopen")]
    assert messages_of(confirm(admin_client, "finalize", *races)) == ["2 of 3 races finalized."]
    assert {entry.object_id for entry in LogEntry.objects.all()} == {str(race.pk) for race in races[:2]}


def test_a_forced_poll_is_claimed_and_queued(admin_client: Client, django_capture_on_commit_callbacks: Any) -> None:
    race, untouched = make_race(), make_race()
    with django_capture_on_commit_callbacks(execute=True):
        response = confirm(admin_client, "force_poll", race)
    assert messages_of(response) == ["1 of 1 race being polled."]
    [log] = PollLog.objects.all()
    assert (log.race_id, log.slot_at, log.state) == (race.pk, NOW, PollState.CLAIMED.value)
    assert (log.trigger, log.requested_by) == (Trigger.FORCED.value, "admin")
    [queued] = OrmQ.objects.all()
    assert (queued.func(), queued.task["args"]) == ("polling.tasks.poll_race", (log.pk,))
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.change_message) == ("admin", "Poll forced: track inspection")
    assert entry.object_id == str(race.pk)
    assert not untouched.poll_logs.exists()


def test_forced_polls_of_several_races_go_to_the_batch_poller(
    admin_client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        confirm(admin_client, "force_poll", make_race(), make_race())
    [queued] = OrmQ.objects.all()
    assert queued.func() == "polling.tasks.poll_races"
    assert set(queued.task["args"][0]) == set(PollLog.objects.values_list("pk", flat=True))


def test_a_forced_poll_waits_for_the_end_of_the_one_that_runs(
    admin_client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    log = make_log(make_race(), slot_at=NOW, state=PollState.RUNNING)
    with django_capture_on_commit_callbacks(execute=True):
        response = confirm(admin_client, "force_poll", log.race)
    assert messages_of(response) == ["1 of 1 race being polled."]
    waiting = PollLog.objects.exclude(pk=log.pk).get()
    assert (waiting.state, waiting.trigger, waiting.requested_by) == ("waiting", "forced", "admin")
    assert not OrmQ.objects.exists()


def test_no_poll_is_forced_while_all_polling_is_paused(
    admin_client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    PollingSwitch.objects.create(pk=1, paused=True, reason="flood", changed_at=NOW, changed_by="ann")
    with django_capture_on_commit_callbacks(execute=True):
        response = confirm(admin_client, "force_poll", make_race())
    words = "No poll was asked for. All polling is paused since 2026-11-23 02:55:50 UTC, by ann: flood."
    assert messages_of(response) == [words]
    assert [(log.state, log.reason) for log in PollLog.objects.all()] == [("skipped", "paused")]
    assert not LogEntry.objects.exists()
    assert not OrmQ.objects.exists()


def open_breaker() -> None:
    ProviderState.objects.create(name="sandbox", breaker="open", retry_at=NOW + timedelta(seconds=30))
    Incident.objects.create(provider="sandbox", kind="blocked", began_at=NOW - timedelta(minutes=2), reason="403")


OBSTACLES: dict[str, tuple[Callable[[], object], str]] = {
    "a dead worker": (
        lambda: Heartbeat.objects.create(pk=1, at=NOW - timedelta(minutes=5)),
        "No worker begins polls since 2026-11-23 02:50:50 UTC, is manage.py qcluster running?",
    ),
    "an open breaker": (open_breaker, "sandbox: blocked, left alone since 2026-11-23 02:53:50 UTC, 403."),
    "a provider that asked us to wait": (
        lambda: ProviderState.objects.create(name="sandbox", not_before=NOW + timedelta(minutes=1)),
        "sandbox: asked us to wait until 02:56:50 UTC.",
    ),
}


@pytest.mark.parametrize(("happen", "words"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_keeps_a_forced_poll_from_being_made_is_shown_before_and_after(
    admin_client: Client, happen: Callable[[], object], words: str
) -> None:
    race = make_race()
    happen()
    assert words in post(admin_client, "force_poll", race).content.decode()
    [message] = messages_of(confirm(admin_client, "force_poll", race))
    assert message.startswith("Asked for a poll of 1 of 1 race, which may not be made now.") and words in message


def test_a_race_made_by_hand_says_that_it_has_nobody_to_ask(admin_client: Client) -> None:
    race = make_race(provider="", provider_race_id="")
    [message] = messages_of(confirm(admin_client, "force_poll", race))
    assert message == "No poll was asked for. A race made by hand has no provider to ask."
