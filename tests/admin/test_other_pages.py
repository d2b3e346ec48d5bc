"""The pages that are not of a race: what they show, and what may be changed there."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from polling import clock, planning
from polling.models import PollingSwitch, PollLog, PollState, ProviderState, SyncState, Tick
from races import decisions
from races.decisions import Actor
from tests.factories import START, make_log, make_meeting, make_race

pytestmark = pytest.mark.django_db

SWITCH = reverse("admin:polling_pollingswitch_changelist")
PROVIDERS = reverse("admin:polling_providerstate_changelist")
READ_ONLY = (
    "polllog",
    "tick",
    "providerstate",
    "syncstate",
    "synccheckpoint",
    "syncconflict",
    "synclease",
    "unmatchedrow",
    "syncserver",
)


@pytest.mark.parametrize("name", [*(f"polling_{name}" for name in READ_ONLY), "admin_logentry", "races_meeting"])
def test_a_superuser_adds_nothing_to_what_is_only_read(name: str, admin_client: Client) -> None:
    assert admin_client.get(reverse(f"admin:{name}_add")).status_code == 403


def test_a_provider_shows_what_of_its_answers_was_not_taken(admin_client: Client) -> None:
    ProviderState.objects.create(
        name="sandbox", card_races=74, left_out={"rows": 3}, older_answers=12,
        older_answer_at=clock.now() - timedelta(minutes=5),
    )  # fmt: skip
    html = admin_client.get(PROVIDERS).content.decode()
    for words in (">74<", ">3 rows<", ">12, the last 5 min "):
        assert words in html


def test_a_meeting_shows_its_track_s_day_and_its_provider_s(admin_client: Client) -> None:
    meeting = make_meeting(provider_day=START.date() + timedelta(days=1))
    html = admin_client.get(reverse("admin:races_meeting_change", args=[meeting.pk])).content.decode()
    assert "Nov. 23, 2026" in html
    assert "Nov. 24, 2026" in html


def test_a_poll_log_is_neither_changed_nor_deleted(admin_client: Client) -> None:
    log = make_log(make_race())
    for page in ("change", "delete"):
        path = reverse(f"admin:polling_polllog_{page}", args=[log.pk])
        assert admin_client.post(path, {"state": "failed", "post": "yes"}).status_code == 403
    assert PollLog.objects.get().state == PollState.OK.value


def test_a_poll_log_shows_its_sample_as_it_came(admin_client: Client) -> None:
    log = make_log(make_race(), state=PollState.FAILED, error_class="Malformed", sample='{"name": "<b>"}')
    html = admin_client.get(reverse("admin:polling_polllog_change", args=[log.pk])).content.decode()
    assert '<pre class="rp-block" tabindex="0">{&quot;name&quot;: &quot;&lt;b&gt;&quot;}</pre>' in html


def test_the_poll_list_shows_the_second_the_lateness_and_the_race(admin_client: Client) -> None:
    slot = START + timedelta(seconds=15)
    log = make_log(make_race(), slot_at=slot, started_at=slot + timedelta(milliseconds=38))
    html = admin_client.get(reverse("admin:polling_polllog_changelist")).content.decode()
    assert "2026-11-23 03:00:15 UTC" in html
    assert "38 ms" in html
    assert reverse("admin:races_race_change", args=[log.race_id]) in html


@pytest.mark.parametrize(
    "query",
    ["state__exact=failed", "trigger__exact=retry", "error_class=Lost", "changed__exact=1", "race__provider=p2"],
)
def test_the_poll_list_is_filtered(query: str, admin_client: Client) -> None:
    make_log(make_race())
    sought = make_log(
        make_race(provider="p2"), state=PollState.FAILED, trigger="retry", error_class="Lost", changed=True
    )  # fmt: skip
    response = admin_client.get(reverse("admin:polling_polllog_changelist") + f"?{query}")
    assert list(response.context["cl"].result_list) == [sought]


def test_the_poll_list_is_filtered_by_the_meetings_of_today(admin_client: Client) -> None:
    now = clock.now()
    today, long_ago = make_meeting(name="Te Rapa"), make_meeting(name="Ellerslie")
    sought = make_log(make_race(start=now, meeting=today))
    old = make_log(make_race(start=now - timedelta(days=3), meeting=long_ago))
    path = reverse("admin:polling_polllog_changelist")
    html = admin_client.get(path).content.decode()
    assert f"?meeting={today.pk}" in html
    assert f"?meeting={long_ago.pk}" not in html
    for meeting, log in ((today, sought), (long_ago, old)):
        response = admin_client.get(path, {"meeting": meeting.pk})
        assert list(response.context["cl"].result_list) == [log]


@pytest.mark.parametrize("meeting", ["9" * 30, "0", "nonsense"])
def test_a_meeting_that_is_none_has_no_polls(meeting: str, admin_client: Client) -> None:
    make_log(make_race())
    response = admin_client.get(reverse("admin:polling_polllog_changelist"), {"meeting": meeting})
    assert list(response.context["cl"].result_list) == []


def test_the_tick_list_shows_lateness_and_counts(admin_client: Client) -> None:
    Tick.objects.create(
        slot_at=START, started_at=START + timedelta(milliseconds=41), finished_at=START + timedelta(milliseconds=90),
        due=7, claimed=6, dispatched=5, error="OperationalError: locked",
    )  # fmt: skip
    html = admin_client.get(reverse("admin:polling_tick_changelist")).content.decode()
    for words in ("41 ms", "49 ms", ">7<", ">6<", ">5<", "OperationalError: locked"):
        assert words in html


def test_a_json_field_is_shown_indented(admin_client: Client) -> None:
    state = SyncState.objects.create(target="p", table="races", local_pk=1, remote_id="r1", base={"number": 4})
    html = admin_client.get(reverse("admin:polling_syncstate_change", args=[state.pk])).content.decode()
    assert "{\n &quot;number&quot;: 4\n}" in html


def test_a_meeting_shows_its_races_with_links_and_none_of_others(admin_client: Client) -> None:
    mine, other = make_race(name="Maiden"), make_race(name="Oaks")
    html = admin_client.get(reverse("admin:races_meeting_change", args=[mine.meeting_id])).content.decode()
    assert "Maiden" in html and reverse("admin:races_race_change", args=[mine.pk]) in html
    assert "Oaks" not in html and reverse("admin:races_race_change", args=[other.pk]) not in html


def test_the_switch_is_one_row_that_the_first_visit_makes(admin_client: Client) -> None:
    for _ in range(2):
        assert admin_client.get(SWITCH).headers["Location"] == reverse("admin:polling_pollingswitch_change", args=[1])
    assert PollingSwitch.objects.count() == 1
    assert admin_client.get(reverse("admin:polling_pollingswitch_add")).status_code == 403
    assert admin_client.post(reverse("admin:polling_pollingswitch_delete", args=[1])).status_code == 403


def test_the_switch_pauses_all_polling_and_says_who_did_it(staff_client: Callable[..., Client]) -> None:
    client = staff_client("change_pollingswitch")
    path = client.get(SWITCH).headers["Location"]
    client.post(path, {"paused": "on", "reason": "provider maintenance"})
    assert PollingSwitch.is_paused()
    assert LogEntry.objects.get().user.get_username() == "officer"


def test_a_pause_says_why_since_when_and_who_paused(staff_client: Callable[..., Client]) -> None:
    client = staff_client("change_pollingswitch", "view_race")
    path = client.get(SWITCH).headers["Location"]
    for reason in ("", "   "):
        response = client.post(path, {"paused": "on", "reason": reason})
        assert "Give a reason: every page shows it while all polling is paused." in response.content.decode()
        assert not PollingSwitch.is_paused()
    client.post(path, {"paused": "on", "reason": "provider maintenance"})
    switch = PollingSwitch.objects.get()
    assert (switch.reason, switch.changed_by) == ("provider maintenance", "officer")
    assert LogEntry.objects.get().change_message == "All polling paused: provider maintenance"
    since = f"{switch.changed_at:%Y-%m-%d %H:%M:%S}"
    words = f"All polling is paused since {since} UTC, by officer: provider maintenance."
    assert words in client.get(reverse("admin:races_race_changelist")).content.decode()
    client.post(path, {"reason": "provider maintenance"})
    switch.refresh_from_db()
    assert (switch.paused, switch.reason, switch.changed_by) == (False, "", "officer")
    assert LogEntry.objects.latest("pk").change_message == "All polling resumed"


def test_the_reason_of_a_pause_is_corrected_without_a_new_beginning(admin_client: Client) -> None:
    PollingSwitch.objects.create(pk=1, paused=True, reason="flod", changed_at=START, changed_by="ann")
    path = admin_client.get(SWITCH).headers["Location"]
    admin_client.post(path, {"paused": "on", "reason": "flood"})
    switch = PollingSwitch.objects.get()
    assert (switch.paused, switch.reason, switch.changed_at, switch.changed_by) == (True, "flood", START, "ann")
    assert LogEntry.objects.get().change_message == "Reason of the pause: flood"


@pytest.mark.parametrize(
    ("shown", "entered", "stored"),
    [
        ((False, ""), {"paused": "on", "reason": "mine"}, (True, "hers")),
        ((True, "his"), {"reason": "his"}, (True, "hers")),
        ((True, "his"), {"paused": "on", "reason": "his, longer"}, (False, "")),
    ],
    ids=["paused meanwhile", "another pause meanwhile", "resumed meanwhile"],
)
def test_a_switch_page_left_open_throws_nothing(
    shown: tuple[bool, str], entered: dict[str, str], stored: tuple[bool, str], admin_client: Client
) -> None:
    PollingSwitch.objects.create(pk=1, paused=stored[0], reason=stored[1])
    path = admin_client.get(SWITCH).headers["Location"]
    response = admin_client.post(path, {"initial-paused": str(shown[0]), "initial-reason": shown[1], **entered})
    assert "Somebody has changed this since the page was shown." in response.content.decode()
    switch = PollingSwitch.objects.get()
    assert (switch.paused, switch.reason) == stored
    assert not LogEntry.objects.exists()


def test_what_was_changed_of_a_user_meanwhile_is_kept(admin_client: Client) -> None:
    group = Group.objects.create(name="desk")
    user = User.objects.create(username="ann", first_name="Ann")
    path = reverse("admin:auth_user_change", args=[user.pk])
    form = admin_client.get(path).context["adminform"].form
    fields = {bound.html_initial_name: bound.initial for bound in form if bound.field.show_hidden_initial}
    fields |= {"username": "ann", "first_name": "Ann", "email": "ann@example.test", "is_active": "on"}
    user.groups.add(group)
    User.objects.filter(pk=user.pk).update(is_staff=True, first_name="Anna")
    assert admin_client.post(path, fields).status_code == 302
    user.refresh_from_db()
    assert (user.email, user.is_staff, user.first_name) == ("ann@example.test", True, "Anna")
    assert list(user.groups.all()) == [group]
    response = admin_client.post(path, {**fields, "first_name": "Annie"})
    assert "It is now: “Anna”." in response.content.decode()


def test_a_user_whose_decisions_are_in_the_audit_is_not_deleted(admin_client: Client) -> None:
    race = make_race()
    decisions.annotate([race.pk], note="fog", by=Actor("ann"), now=START)
    user = User.objects.get(username="ann")
    path = reverse("admin:auth_user_delete", args=[user.pk])
    assert admin_client.post(path, {"post": "yes"}).status_code == 403
    users = reverse("admin:auth_user_changelist")
    admin_client.post(users, {"action": "delete_selected", "_selected_action": user.pk, "post": "yes"})
    assert LogEntry.objects.get().change_message == "Note: fog"


def test_who_may_only_view_the_switch_cannot_throw_it(staff_client: Callable[..., Client]) -> None:
    client = staff_client("view_pollingswitch")
    assert client.post(client.get(SWITCH).headers["Location"], {"paused": "on"}).status_code == 403
    assert not PollingSwitch.is_paused()


def test_who_may_not_see_the_switch_does_not_make_it_either(staff_client: Callable[..., Client]) -> None:
    assert staff_client().get(SWITCH).status_code == 403
    assert not PollingSwitch.objects.exists()


def test_a_superuser_ends_the_wait_for_a_provider_and_its_races_are_replanned(admin_client: Client) -> None:
    now = clock.now()
    held = ProviderState.objects.create(name="sandbox", not_before=now + timedelta(hours=1), reason="429")
    race = make_race(start=now + timedelta(minutes=3), failures=1, next_poll_at=now + timedelta(hours=1))
    other = make_race(provider="other", next_poll_at=now + timedelta(hours=1))
    admin_client.post(PROVIDERS, {"action": "ask_again", "_selected_action": held.pk})
    held.refresh_from_db()
    race.refresh_from_db()
    other.refresh_from_db()
    assert (held.not_before, held.reason) == (None, "")
    assert race.next_poll_at and race.next_poll_at < now + timedelta(minutes=2)
    assert other.next_poll_at == now + timedelta(hours=1)
    assert LogEntry.objects.get().change_message == "Asked again despite: 429"


def test_asking_again_replans_the_next_poll_of_a_result_too(admin_client: Client) -> None:
    now = clock.now()
    ended = {"status": "finalized", "finalized_by": "provider", "outcome": "resulted"}
    held = ProviderState.objects.create(name="sandbox", not_before=now + timedelta(hours=1), reason="429")
    race = make_race(
        start=now - timedelta(minutes=10), failures=1, finalized_at=now - timedelta(minutes=5),
        next_poll_at=now + timedelta(hours=1), **ended,
    )  # fmt: skip
    over = make_race(start=now - timedelta(days=2), finalized_at=now - timedelta(days=2), **ended)
    admin_client.post(PROVIDERS, {"action": "ask_again", "_selected_action": held.pk})
    race.refresh_from_db()
    over.refresh_from_db()
    assert race.next_poll_at and race.next_poll_at < now + timedelta(minutes=2)
    assert over.next_poll_at is None


@pytest.mark.django_db(transaction=True)
def test_asking_again_holds_no_lock_of_the_provider_while_its_races_are_planned(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "RACES_PER_TRANSACTION", 1)
    now = clock.now()
    held = ProviderState.objects.create(name="sandbox", not_before=now + timedelta(hours=1), reason="429")
    for minutes in (3, 4):
        make_race(start=now + timedelta(minutes=minutes), failures=1, next_poll_at=now + timedelta(hours=1))
    with CaptureQueriesContext(connection) as seen:
        admin_client.post(PROVIDERS, {"action": "ask_again", "_selected_action": held.pk})
    transactions = "\n".join(query["sql"] for query in seen).split("BEGIN")
    writes = [
        [table for table in ("polling_providerstate", "races_race") if f'UPDATE "{table}"' in statements]
        for statements in transactions
    ]
    assert [tables for tables in writes if tables] == [["polling_providerstate"], ["races_race"], ["races_race"]]


def test_staff_who_are_no_superusers_cannot_end_the_wait(staff_client: Callable[..., Client]) -> None:
    held = ProviderState.objects.create(name="sandbox", not_before=START)
    client = staff_client("view_providerstate", "change_providerstate")
    assert b"ask_again" not in client.get(PROVIDERS).content
    client.post(PROVIDERS, {"action": "ask_again", "_selected_action": held.pk})
    held.refresh_from_db()
    assert held.not_before == START


def test_the_log_of_decisions_shows_the_subject_who_decided_and_why(admin_client: Client) -> None:
    race = make_race()
    admin_client.post(reverse("admin:races_race_change", args=[race.pk]), {"staff_note": "fog"})
    html = admin_client.get(reverse("admin:admin_logentry_changelist")).content.decode()
    assert "<h1>Decisions</h1>" in html
    assert "Note: fog" in html
    assert reverse("admin:races_race_change", args=[race.pk]) in html
