"""What staff do about conflicts: whose value counts in the end, who may say so, and what cannot be had."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from polling.appwrite import mapping
from polling.models import SyncConflict, SyncState
from races import decisions
from races.decisions import Actor
from races.models import Race
from races.status import FinalizedBy, RaceStatus
from tests.admin.conftest import messages_of
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db

NOW = START - timedelta(minutes=30)
STALE = START + timedelta(hours=5)
LATER = START + timedelta(minutes=20)
LIST = reverse("admin:polling_syncconflict_changelist")
THEIRS = {
    "staff_note": "track is wet",
    "polling_paused": True,
    "status": RaceStatus.FINALIZED.value,
    "advertised_start": mapping.instant(LATER),
}
MAY = {
    "staff_note": "change_race",
    "polling_paused": "pause_race",
    "status": "finalize_race",
    "advertised_start": "change_race",
}
StaffClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def at_now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def make_conflict(field: str, remote: Any, *, race: Race | None = None, **values: Any) -> SyncConflict:
    """Appwrite says `remote`, and Django's has won."""
    race = race or make_race(next_poll_at=STALE)
    known: dict[str, Any] = {"remote_id": f"row-{race.pk}", "target": "p", "table": "races", "local_pk": race.pk}
    state = SyncState.objects.get_or_create(**known)[0]
    defaults: dict[str, Any] = {"chosen": "local", "policy": "the field is Django's: undone", "found_at": NOW}
    return SyncConflict.objects.create(state=state, field=field, remote=remote, **defaults | values)


def race_of(conflict: SyncConflict) -> Race:
    return Race.objects.get(pk=conflict.race_id or 0)


def post(client: Client, action: str, *conflicts: SyncConflict, **data: Any) -> Any:
    chosen = [conflict.pk for conflict in conflicts]
    return client.post(LIST, {"action": action, "_selected_action": chosen, **data})


def take(client: Client, *conflicts: SyncConflict, **data: Any) -> list[str]:
    """The messages after Appwrite's values were chosen and the choice confirmed."""
    return messages_of(post(client, "take_theirs", *conflicts, confirm="yes", **data))


def how(conflict: SyncConflict) -> tuple[str, str]:
    conflict.refresh_from_db()
    return conflict.resolution, conflict.resolved_by


@pytest.mark.parametrize("field", THEIRS)
def test_staff_take_what_appwrite_says_and_the_race_is_planned_and_audited(
    field: str, staff_client: StaffClient
) -> None:
    conflict = make_conflict(field, THEIRS[field])
    client = staff_client("change_syncconflict", MAY[field])
    assert take(client, conflict) == ["1 of 1 conflict: Appwrite's value taken."]
    race = race_of(conflict)
    assert mapping.race_values(race, [])[field] == THEIRS[field]
    assert (race.version, race.last_changed_at) == (2, NOW)
    assert race.next_poll_at != STALE
    [entry] = LogEntry.objects.all()
    assert (entry.user.get_username(), entry.object_id) == ("officer", str(race.pk))
    assert how(conflict) == ("theirs", "officer")


def test_a_start_taken_is_an_override_of_the_providers_and_of_a_race_by_hand_its_own(admin_client: Client) -> None:
    reported, by_hand = make_race(), make_race(provider="", provider_race_id="", provider_start=None)
    take(
        admin_client,
        *(make_conflict("advertised_start", mapping.instant(LATER), race=each) for each in (reported, by_hand)),
    )
    reported.refresh_from_db()
    by_hand.refresh_from_db()
    assert (reported.advertised_start, reported.start_override, reported.provider_start) == (LATER, LATER, START)
    assert (by_hand.advertised_start, by_hand.start_override) == (LATER, None)


def test_taking_the_start_that_the_provider_reports_ends_the_override(admin_client: Client) -> None:
    race = make_race(start_override=LATER, advertised_start=LATER, provider_start=START)
    take(admin_client, make_conflict("advertised_start", mapping.instant(START), race=race))
    race.refresh_from_db()
    assert (race.advertised_start, race.start_override) == (START, None)


def test_what_is_taken_is_pushed_once(
    admin_client: Client, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
    race = make_race()
    both = [make_conflict(field, THEIRS[field], race=race) for field in ("staff_note", "polling_paused")]
    with django_capture_on_commit_callbacks() as asked:
        take(admin_client, *both)
    assert len(asked) == 1


def test_taking_twice_changes_a_race_once_and_the_first_stays_named(
    admin_client: Client, staff_client: StaffClient
) -> None:
    conflict = make_conflict("staff_note", "fog")
    take(staff_client("change_syncconflict", "change_race"), conflict)
    assert take(admin_client, conflict) == ["1 of 1 conflict: Appwrite's value taken."]
    assert (race_of(conflict).version, LogEntry.objects.count()) == (2, 1)
    assert how(conflict) == ("theirs", "officer")


def test_of_two_conflicts_of_a_field_the_later_value_counts(admin_client: Client) -> None:
    race = make_race()
    new = make_conflict("staff_note", "new", race=race, found_at=NOW)
    old = make_conflict("staff_note", "old", race=race, found_at=NOW - timedelta(hours=1))
    take(admin_client, new, old)
    race.refresh_from_db()
    assert race.staff_note == "new"


def test_a_note_emptied_in_appwrite_is_emptied(admin_client: Client) -> None:
    race = make_race(staff_note="old")
    take(admin_client, make_conflict("staff_note", None, race=race))
    race.refresh_from_db()
    assert race.staff_note == ""


@pytest.mark.parametrize(
    ("field", "remote", "words"),
    [
        ("runners", '[{"number":1}]', "runners is the provider's or Django's own"),
        ("last_poll_time", None, "last_poll_time is the provider's or Django's own"),
        ("status", "scheduled", "only an end comes in from Appwrite"),
        ("status", None, "only an end comes in from Appwrite"),
        ("advertised_start", None, "it is no start that a race could have"),
        ("advertised_start", "0900-01-01T00:00:00.000+00:00", "it is no start that a race could have"),
        ("poll_requested_at", mapping.instant(START), "force a poll of the race instead"),
        ("(the row)", "deleted", "it is about the whole row"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words_before_and_after(
    field: str, remote: Any, words: str, admin_client: Client
) -> None:
    conflict = make_conflict(field, remote)
    html = post(admin_client, "take_theirs", conflict).content.decode()
    assert words.replace("'", "&#x27;") in html
    assert 'name="confirm"' not in html
    first, second = take(admin_client, conflict)
    assert first == "0 of 1 conflict: Appwrite's value taken."
    assert second.startswith(f"Not for {race_of(conflict)} {field}: ") and words in second
    assert how(conflict) == ("", "")
    assert race_of(conflict).version == 1


@pytest.mark.parametrize(
    ("field", "remote", "is_offered"),
    [("staff_note", "fog", True), ("runners", "[]", False), ("status", "scheduled", False), ("$id", "row", False)],
)
def test_a_page_offers_no_button_that_would_be_refused(
    field: str, remote: Any, is_offered: bool, staff_client: StaffClient
) -> None:
    conflict = make_conflict(field, remote)
    page = reverse("admin:polling_syncconflict_change", args=[conflict.pk])
    may = staff_client("view_syncconflict", "change_syncconflict", "change_race", "pause_race", "finalize_race")
    assert ('value="take_theirs"' in may.get(page).content.decode()) is is_offered
    race_of(conflict).delete()
    assert 'value="take_theirs"' not in may.get(page).content.decode()


def test_a_page_offers_no_button_to_who_lacks_the_permission_of_deciding_it(staff_client: StaffClient) -> None:
    page = reverse("admin:polling_syncconflict_change", args=[make_conflict("staff_note", "fog").pk])
    html = staff_client("view_syncconflict", "change_syncconflict").get(page).content.decode()
    assert 'value="take_theirs"' not in html
    assert 'value="keep_ours"' in html


def test_a_conflict_about_a_whole_row_shows_words_and_no_ids(admin_client: Client) -> None:
    race = make_race(name="Maiden")
    made = make_conflict("$id", None, race=race, base="0123abcd", local="0123abcd")
    html = admin_client.get(LIST).content.decode()
    assert "the whole row" in html and "0123abcd" not in html
    assert "does not exist" in html
    question = post(admin_client, "take_theirs", made).content.decode()
    assert "the whole row" in question and "0123abcd" not in question


def test_one_refusal_does_not_hold_up_the_others(admin_client: Client) -> None:
    good, bad = make_conflict("staff_note", "fog"), make_conflict("runners", "[]")
    assert take(admin_client, good, bad)[0] == "1 of 2 conflicts: Appwrite's value taken."
    assert race_of(good).staff_note == "fog"
    assert (how(good)[0], how(bad)[0]) == ("theirs", "")


def test_a_conflict_of_a_race_that_is_gone_is_refused(admin_client: Client) -> None:
    conflict = make_conflict("staff_note", "fog")
    race_of(conflict).delete()
    assert "the race is gone" in take(admin_client, conflict)[1]


@pytest.mark.parametrize("field", THEIRS)
def test_taking_a_value_wants_the_permission_of_deciding_it(field: str, staff_client: StaffClient) -> None:
    conflict = make_conflict(field, THEIRS[field])
    client = staff_client("change_syncconflict", *({"change_race", "pause_race", "finalize_race"} - {MAY[field]}))
    assert f"you lack the permission races.{MAY[field]}" in take(client, conflict)[1]
    assert race_of(conflict).version == 1


def test_a_note_written_since_is_shown_and_not_replaced_unseen(admin_client: Client) -> None:
    conflict = make_conflict("staff_note", "fog", local=None)
    asked = post(admin_client, "take_theirs", conflict).content.decode()
    [token] = re.findall('name="shown_take_theirs" value="([^"]*)"', asked)
    decisions.annotate([race_of(conflict).pk], note="rain", by=Actor("ann"), now=NOW)
    again = post(admin_client, "take_theirs", conflict, confirm="yes", shown_take_theirs=token).content.decode()
    assert "Changed since the page was shown; nothing has been done." in again
    assert "rain now, – when it was found" in again
    assert (race_of(conflict).staff_note, how(conflict)) == ("rain", ("", ""))
    [token] = re.findall('name="shown_take_theirs" value="([^"]*)"', again)
    post(admin_client, "take_theirs", conflict, confirm="yes", shown_take_theirs=token)
    assert (race_of(conflict).staff_note, how(conflict)[0]) == ("fog", "theirs")


def test_a_conflict_that_another_has_resolved_meanwhile_is_not_resolved_over_him(admin_client: Client) -> None:
    conflict = make_conflict("staff_note", "fog")
    page = admin_client.get(reverse("admin:polling_syncconflict_change", args=[conflict.pk])).content.decode()
    [token] = re.findall('name="shown_keep_ours" value="([^"]*)"', page)
    take(admin_client, conflict)
    [*_, message] = messages_of(post(admin_client, "keep_ours", conflict, shown_keep_ours=token))
    assert message.startswith("Changed since the page was shown; nothing has been done. Look again at: ")
    assert how(conflict)[0] == "theirs"


def test_keeping_ours_marks_the_conflict_and_leaves_the_race(staff_client: StaffClient) -> None:
    conflict = make_conflict("runners", "[]")
    client = staff_client("change_syncconflict")
    assert messages_of(post(client, "keep_ours", conflict)) == ["1 of 1 conflict: Django's value kept."]
    post(client, "keep_ours", conflict)
    assert how(conflict) == ("ours", "officer")
    assert (race_of(conflict).version, LogEntry.objects.count()) == (1, 0)


def test_what_was_kept_can_be_taken_after_all_but_what_was_taken_is_not_kept(admin_client: Client) -> None:
    conflict, won = make_conflict("staff_note", "fog"), make_conflict("status", "finalized", chosen="remote")
    post(admin_client, "keep_ours", conflict)
    take(admin_client, conflict)
    assert how(conflict)[0] == "theirs"
    *_, first, second = messages_of(post(admin_client, "keep_ours", conflict, won))
    assert first == "0 of 2 conflicts: Django's value kept."
    assert "to undo it, decide again on the page of the race" in second
    assert (how(conflict)[0], how(won)[0]) == ("theirs", "")


def test_an_end_that_was_taken_already_is_confirmed_and_no_more(admin_client: Client) -> None:
    race = make_race(status="finalized", finalized_by=FinalizedBy.APPWRITE.value, finalized_at=NOW)
    conflict = make_conflict("status", "finalized", race=race, chosen="remote")
    take(admin_client, conflict)
    race.refresh_from_db()
    assert (how(conflict)[0], race.finalized_by, race.version) == ("theirs", "appwrite", 1)


@pytest.mark.parametrize("action", ["take_theirs", "keep_ours"])
def test_who_may_only_view_conflicts_resolves_none(action: str, staff_client: StaffClient) -> None:
    conflict = make_conflict("staff_note", "fog")
    client = staff_client("view_syncconflict", "change_race")
    page = client.get(reverse("admin:polling_syncconflict_change", args=[conflict.pk])).content.decode()
    assert f'value="{action}"' not in client.get(LIST).content.decode() + page
    post(client, action, conflict, confirm="yes")
    assert how(conflict) == ("", "")


def test_nothing_is_taken_before_the_question_is_answered(admin_client: Client) -> None:
    conflict = make_conflict("staff_note", "<b>fog</b>", local="dry")
    html = post(admin_client, "take_theirs", conflict).content.decode()
    for words in ("&lt;b&gt;fog&lt;/b&gt;", "dry", str(race_of(conflict)), "Take Appwrite&#x27;s value of 1 conflict"):
        assert words in html
    assert how(conflict) == ("", "")


def test_a_page_shows_the_whole_value_and_leads_back_to_itself(admin_client: Client) -> None:
    runners = '[{"name":"Swift Kauri","number":1}]'
    conflict = make_conflict("runners", runners, base=None, local=None)
    page = reverse("admin:polling_syncconflict_change", args=[conflict.pk])
    html = admin_client.get(page).content.decode()
    assert "&quot;name&quot;: &quot;Swift Kauri&quot;,\n" in html
    assert 'name="action" value="keep_ours"' in html
    assert post(admin_client, "keep_ours", conflict, page=str(conflict.pk)).headers["Location"] == page
    assert 'name="action" value="keep_ours"' not in admin_client.get(page).content.decode()


def test_the_list_shows_race_values_and_reason_in_words_and_long_ones_short(admin_client: Client) -> None:
    race = make_race(name="Maiden")
    make_conflict("advertised_start", mapping.instant(LATER), race=race, base=mapping.instant(START))
    make_conflict("polling_paused", True, local=False, race=race)
    make_conflict("results", "x" * 5000, race=race)
    make_conflict("dividends", "no JSON {", race=race)
    html = admin_client.get(LIST).content.decode()
    for words in (
        "2026-11-23 03:20:00 UTC", "2026-11-23 03:00:00 UTC", ">yes<", ">no<", "… (5,000 characters)", "no JSON {",
        "the field is Django&#x27;s: undone", "Maiden", reverse("admin:races_race_change", args=[race.pk]),
    ):  # fmt: skip
        assert words in html
    assert "x" * 100 not in html


@pytest.mark.parametrize("query", ["state=open", "field=results", "chosen__exact=remote", "q=row-"])
def test_the_list_is_filtered(query: str, admin_client: Client) -> None:
    sought = make_conflict("results", "[]", chosen="remote")
    other = make_conflict("staff_note", "x", resolved_at=NOW, resolution="ours")
    if query.startswith("q="):
        query += str(sought.race_id)
        SyncState.objects.filter(conflicts=other).update(remote_id="elsewhere")
    response = admin_client.get(f"{LIST}?{query}")
    assert list(response.context["cl"].result_list) == [sought]


def test_taking_many_costs_as_many_queries_as_taking_few(admin_client: Client) -> None:
    def queries(count: int) -> int:
        conflicts = [
            make_conflict(field, mapping.instant(LATER + timedelta(minutes=n)) if "start" in field else f"{field} {n}")
            for n in range(count)
            for field in ("staff_note", "advertised_start")
        ]
        post(admin_client, "take_theirs", *conflicts)
        with CaptureQueriesContext(connection) as captured:
            assert take(admin_client, *conflicts)[0].startswith(f"{2 * count} of {2 * count}")
        return len(captured)

    queries(1)
    assert queries(2) == queries(20) <= 60


def test_a_conflict_whose_row_is_gone_says_what_it_was_about_and_can_be_resolved(staff_client: StaffClient) -> None:
    conflict = make_conflict("staff_note", "theirs", row="Ellerslie 3, row abc")
    race_of(conflict).delete()
    SyncState.objects.all().delete()
    client = staff_client("view_syncconflict", "change_syncconflict", "change_race")
    html = client.get(LIST).content.decode()
    assert "Ellerslie 3" in html and "row abc" not in html
    page = reverse("admin:polling_syncconflict_change", args=[conflict.pk])
    html = client.get(page).content.decode()
    assert "Ellerslie 3" in html and ">abc<" in html, "there the row's id helps to find it"
    assert "race is gone" in " ".join(take(client, conflict))
    post(client, "keep_ours", conflict)
    assert how(conflict)[0] == "ours"
