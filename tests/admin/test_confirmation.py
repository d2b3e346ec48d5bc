"""Confirmation pages: they refuse what has changed since it was shown, and lead back to where the action was chosen."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from polling.admin.confirmation import MAX_CHOSEN
from races.models import Race
from tests.admin.conftest import messages_of
from tests.admin.test_race_actions import LIST, NOW, at_now, confirm, post, ready, state  # noqa: F401 - a fixture
from tests.factories import START, make_meeting, make_race

pytestmark = pytest.mark.django_db


def shown(client: Client, action: str, *races: Race) -> dict[str, str]:
    """The token of the races' state on the confirmation page, to send with the answer."""
    name = f"shown_{action}"
    form = post(client, action, *races).content.decode()
    return {name: form.split(f'name="{name}" value="')[1].split('"')[0]}


CHANGES: dict[str, dict[str, Any]] = {
    "finalize": {"result_state": "interim"},
    "reopen": {"outcome": "abandoned"},
    "pause": {"polling_paused": True},
}


@pytest.mark.parametrize("action", CHANGES)
def test_a_confirmation_left_open_is_asked_again_if_its_race_has_changed(admin_client: Client, action: str) -> None:
    race, other = ready(action), ready(action)
    page = shown(admin_client, action, race, other)
    Race.objects.filter(pk=race.pk).update(**CHANGES[action])
    before = state(race), state(other)
    again = confirm(admin_client, action, race, other, **page)
    html = again.content.decode()
    assert "Changed since the page was shown; nothing has been done." in html
    assert f"<li>{race}</li>" in html and f"<li>{other}</li>" not in html
    assert 'value="track inspection"' in html
    assert (state(race), state(other)) == before
    page = {f"shown_{action}": html.split(f'name="shown_{action}" value="')[1].split('"')[0]}
    assert confirm(admin_client, action, race, other, **page).status_code == 302
    assert state(other) != before[1]


def test_a_price_that_moved_meanwhile_stops_no_decision(admin_client: Client) -> None:
    race = make_race()
    page = shown(admin_client, "finalize", race)
    Race.objects.filter(pk=race.pk).update(version=9, last_changed_at=NOW, provider_status="Open")
    assert messages_of(confirm(admin_client, "finalize", race, **page)) == ["1 of 1 race finalized."]


def test_a_page_left_open_resumes_nothing_that_has_changed(admin_client: Client) -> None:
    race = ready("resume")
    path = reverse("admin:races_race_change", args=[race.pk])
    html = admin_client.get(path).content.decode()
    page = {"shown_resume": html.split('name="shown_resume" value="')[1].split('"')[0], "page": str(race.pk)}
    Race.objects.filter(pk=race.pk).update(polling_paused=False)
    response = post(admin_client, "resume", race, **page)
    assert messages_of(response) == [f"Changed since the page was shown; nothing has been done. Look again at: {race}."]
    assert response.headers["Location"] == path


@pytest.mark.parametrize("action", ["force_poll", "finalize"])
def test_an_action_from_a_page_leads_back_to_it(admin_client: Client, action: str) -> None:
    race = make_race()
    response = confirm(admin_client, action, race, page=str(race.pk))
    assert response.headers["Location"] == reverse("admin:races_race_change", args=[race.pk])


@pytest.mark.parametrize("page", ["", "//evil.example/", "https://evil.example/"])
def test_an_action_from_the_list_leads_back_to_the_list_as_it_was(admin_client: Client, page: str) -> None:
    data = {"action": "pause", "_selected_action": make_race().pk, "confirm": "yes", "reason": "fog", "page": page}
    filtered = f"{LIST}?status__exact=scheduled"
    assert admin_client.post(filtered, data).headers["Location"] == filtered


def test_a_race_that_leaves_the_filter_meanwhile_is_decided_on_all_the_same(admin_client: Client) -> None:
    race = make_race(start=NOW + timedelta(seconds=1))
    asked = admin_client.post(f"{LIST}?start=hour", {"action": "finalize", "_selected_action": race.pk})
    form = asked.content.decode()
    assert f'action="{LIST}"' in form
    assert 'name="list" value="start=hour"' in form
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        response = confirm(admin_client, "finalize", race, list="start=hour")
    assert response.headers["Location"] == f"{LIST}?start=hour"
    race.refresh_from_db()
    assert race.is_finalized


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, ["force_poll", "finalize", "pause"]),
        ({"polling_paused": True}, ["force_poll", "finalize", "resume"]),
    ],
    ids=str,
)
def test_a_page_offers_what_fits_its_race(admin_client: Client, values: dict[str, Any], names: list[str]) -> None:
    response = admin_client.get(reverse("admin:races_race_change", args=[make_race(**values).pk]))
    assert [name for name, _ in response.context["buttons"]] == names


def test_more_races_than_a_confirmation_can_list_are_refused(admin_client: Client) -> None:
    meeting = make_meeting()
    start = {"advertised_start": START, "original_advertised_start": START}
    Race.objects.bulk_create(Race(meeting=meeting, number=number, **start) for number in range(MAX_CHOSEN + 1))
    race = Race.objects.first()
    assert race
    response = post(admin_client, "finalize", race, select_across="1")
    assert messages_of(response) == [f"At most {MAX_CHOSEN} races at once; narrow the list."]
