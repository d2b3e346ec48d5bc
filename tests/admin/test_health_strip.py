"""The strip above every page: that it is there, says what is wrong in words, and shows nobody what his pages refuse."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client
from django.urls import reverse

from polling import clock
from polling.models import Heartbeat, Incident, PollingSwitch, ProviderState, SyncConflict
from tests.admin.test_pages import EACH_MODEL, MAKE, Inline, first, url
from tests.factories import make_race

pytestmark = pytest.mark.django_db
FRONT = reverse("admin:index")
TITLES = ["Last tick", "Worker", "sandbox", "Appwrite", "Polling", "Incidents", "Conflicts"]
MINUTE = timedelta(minutes=1)


def cells(client: Client, path: str = FRONT) -> dict[str, Any]:
    """The strip by its titles."""
    return {cell.title: cell for cell in client.get(path, follow=True).context["cells"]}


def go_wrong() -> None:
    """All of it, but for Appwrite, of which there is none."""
    now = clock.now()
    Heartbeat.objects.create(pk=1, at=now - 10 * MINUTE)
    ProviderState.objects.create(name="sandbox", breaker="open")
    Incident.objects.create(provider="sandbox", kind="blocked", began_at=now - 9 * MINUTE, reason="403: who are you?")
    PollingSwitch.objects.create(pk=1, paused=True, reason="flood", changed_at=now - 8 * MINUTE, changed_by="ann")
    SyncConflict.objects.create(field="status", chosen="local", policy="ours", found_at=now - 7 * MINUTE)


@EACH_MODEL
def test_the_strip_is_on_every_list_and_every_page(model: type[models.Model], admin_client: Client) -> None:
    MAKE[model](2)
    for path in (url(model, "changelist"), url(model, "change", first(model).pk)):
        assert list(cells(admin_client, path)) == TITLES


@EACH_MODEL
def test_the_strip_is_on_every_history_which_opens(model: type[models.Model], admin_client: Client) -> None:
    MAKE[model](2)
    assert list(cells(admin_client, url(model, "history", first(model).pk))) == TITLES


@pytest.mark.parametrize("name", ["admin:index", "admin:password_change", "sync", "admin:auth_user_changelist"])
def test_the_strip_is_on_the_other_pages_too(name: str, admin_client: Client) -> None:
    assert list(cells(admin_client, reverse(name))) == TITLES


def test_the_strip_is_on_a_question(admin_client: Client) -> None:
    data = {"action": "pause", "_selected_action": make_race().pk}
    response = admin_client.post(reverse("admin:races_race_changelist"), data)
    assert "rp-strip" in response.content.decode()


def test_what_is_wrong_is_red_and_in_words_with_since_when(admin_client: Client) -> None:
    go_wrong()
    found = cells(admin_client)
    assert {title: cell.level.value for title, cell in found.items()} == {
        title: "idle" if title == "Appwrite" else "bad" for title in TITLES
    }
    for title, minutes in (("Last tick", 10), ("Worker", 10), ("sandbox", 9), ("Polling", 8), ("Conflicts", 7)):
        assert f"UTC, {minutes} min" in found[title].when
    html = admin_client.get(FRONT).content.decode()
    for words in ("overdue", "not running", "blocked, left alone", "403: who are you?", "by ann: flood", "1 open"):
        assert words in html
    assert Inline(html).found == []


def test_the_strip_says_nothing_that_the_users_pages_refuse(staff_client: Callable[..., Client]) -> None:
    go_wrong()
    client = staff_client()
    assert [cell.page for cell in cells(client).values()] == [""] * len(TITLES)
    html = client.get(FRONT).content.decode()
    assert "403: who are you?" not in html and "blocked, left alone" in html and "by ann: flood" in html


PAGES = {
    "Last tick": "view_tick",
    "Worker": "view_polllog",
    "sandbox": "view_providerstate",
    "Appwrite": "view_synccheckpoint",
    "Polling": "view_pollingswitch",
    "Incidents": "view_incident",
    "Conflicts": "view_syncconflict",
}


@pytest.mark.parametrize("title", PAGES)
def test_each_item_leads_to_a_page_that_opens(title: str, staff_client: Callable[..., Client]) -> None:
    go_wrong()
    client = staff_client(PAGES[title])
    found = {title: cell.page for title, cell in cells(client).items() if cell.page}
    assert list(found) == [title]
    assert client.get(found[title], follow=True).status_code == 200


def test_every_item_has_its_permission_here() -> None:
    assert list(PAGES) == TITLES
    assert Permission.objects.filter(codename__in=PAGES.values()).count() == len(TITLES)


@pytest.mark.parametrize("page", ["races_race_changelist", "races_race_change", "races_meeting_change"])
def test_no_next_poll_is_promised_while_nothing_is_polled(page: str, admin_client: Client) -> None:
    now = clock.now()
    race = make_race(start=now + 3 * MINUTE, next_poll_at=now + timedelta(hours=2, seconds=30))
    args: dict[str, list[object]] = {
        "races_race_changelist": [],
        "races_race_change": [race.pk],
        "races_meeting_change": [race.meeting_id],
    }
    path = reverse(f"admin:{page}", args=args[page])
    Heartbeat.objects.create(pk=1, at=now)

    def html() -> str:
        return admin_client.get(path).content.decode()

    promises = page != "races_meeting_change"  # which shows no plans
    assert ("in 2 h" in html()) is promises
    Heartbeat.objects.update(at=now - 10 * MINUTE)
    assert "in 2 h" not in html() and ("none: no worker begins polls" in html()) is promises
    PollingSwitch.objects.create(pk=1, paused=True, reason="flood")
    assert "in 2 h" not in html() and ("none: all polling is paused" in html()) is promises
