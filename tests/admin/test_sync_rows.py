"""The lists of rows in Appwrite: the dead and another try, unmatched rows and another look."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from polling.appwrite import sync_state
from polling.models import SyncState, UnmatchedRow
from races.models import Race
from tests.admin.conftest import messages_of
from tests.appwrite.conftest import NOW, TARGET, Appwrite, pulled
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db

STATES, UNMATCHED = reverse("admin:polling_syncstate_changelist"), reverse("admin:polling_unmatchedrow_changelist")
StaffClient = Callable[..., Client]


def known(race: Race, **values: Any) -> SyncState:
    state = sync_state.new_state(race.pk, f"row-{race.pk}", **values)
    state.save()
    return state


def dead(**values: Any) -> SyncState:
    return known(make_race(), dead_since=NOW, attempts=3, error="InvalidRequest: <too long>", **values)


def try_again(client: Client, *chosen: SyncState) -> Any:
    return client.post(STATES, {"action": "try_again", "_selected_action": [state.pk for state in chosen]})


def test_the_dead_come_first_with_their_error_then_what_fails(admin_client: Client) -> None:
    agreed = known(make_race(), pushed_version=1, synced_at=NOW)
    failing = known(make_race(), attempts=2, next_try_at=START + timedelta(days=9999))
    dead_row = dead()
    dirty, gone = known(make_race()), known(make_race(), synced_at=NOW - timedelta(hours=1), pushed_version=1)
    Race.objects.filter(pk=gone.local_pk).delete()
    response = admin_client.get(STATES)
    assert list(response.context["cl"].result_list)[:3] == [dead_row, failing, agreed]
    html = response.content.decode()
    assert "InvalidRequest: &lt;too long&gt;" in html
    assert reverse("admin:races_race_change", args=[dirty.local_pk]) in html
    for badge in (">dead<", ">waiting<", ">in sync<", ">dirty<", ">race gone<"):
        assert html.count(badge) == 1


def test_rows_deleted_in_appwrite_differ_from_those_whose_race_is_gone(admin_client: Client) -> None:
    deleted, gone = (known(make_race(), remote_deleted_at=NOW, base_updated_at="x") for _ in range(2))
    Race.objects.filter(pk=gone.local_pk).delete()
    response = admin_client.get(f"{STATES}?state=missing")
    assert list(response.context["cl"].result_list) == [deleted]


def test_the_chosen_dead_are_tried_again_and_no_others(staff_client: StaffClient, settings: Any) -> None:
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
    chosen, other = dead(), dead()
    response = try_again(staff_client("view_syncstate", "change_syncstate"), chosen)
    assert messages_of(response) == ["1 dead row will be tried again."]
    chosen.refresh_from_db()
    other.refresh_from_db()
    assert (chosen.dead_since, chosen.attempts, chosen.error) == (None, 0, "")
    assert other.dead_since == NOW
    assert [task.func() for task in OrmQ.objects.all()] == ["polling.tasks.push"]


def test_what_is_not_dead_is_not_tried_again(admin_client: Client) -> None:
    failing = known(make_race(), attempts=2, next_try_at=START)
    assert messages_of(try_again(admin_client, failing)) == ["0 dead rows will be tried again."]
    failing.refresh_from_db()
    assert failing.attempts == 2


def test_who_may_only_view_states_revives_none(staff_client: StaffClient) -> None:
    state, client = dead(), staff_client("view_syncstate")
    assert b"try_again" not in client.get(STATES).content
    try_again(client, state)
    state.refresh_from_db()
    assert state.dead_since == NOW


def look_again(client: Client, *chosen: UnmatchedRow) -> list[str]:
    return messages_of(
        client.post(UNMATCHED, {"action": "look_again", "_selected_action": [unmatched.pk for unmatched in chosen]})
    )


@pytest.mark.django_db(transaction=True)
def test_an_unmatched_row_that_has_been_mended_becomes_a_race_when_it_is_looked_at_again(
    appwrite: Appwrite, staff_client: StaffClient
) -> None:
    for row_id in ("mended", "left"):
        appwrite.create(row_id, provider="sandbox", provider_race_id=row_id)
    assert pulled().unmatched == 2
    client = staff_client("view_unmatchedrow", "change_unmatchedrow")
    unmatched = list(UnmatchedRow.objects.order_by("row_id"))
    assert "left" in client.get(UNMATCHED).content.decode()
    appwrite.edit("mended", advertised_start=START.isoformat())
    assert look_again(client, *unmatched) == ["1 of 2 rows matched a race."]
    assert (UnmatchedRow.objects.get().row_id, Race.objects.get().provider_race_id) == ("left", "mended")


def test_a_look_at_a_server_that_is_away_says_so(appwrite: Appwrite, admin_client: Client, settings: Any) -> None:
    unmatched = UnmatchedRow.objects.create(target=TARGET, table="races", row_id="x", problem="no start", found_at=NOW)
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
    [words] = look_again(admin_client, unmatched)
    assert words.startswith("They could not be read: 127.0.0.1:1")
    assert UnmatchedRow.objects.get() == unmatched


def test_who_may_only_view_unmatched_rows_cannot_look_again(staff_client: StaffClient, settings: Any) -> None:
    unmatched = UnmatchedRow.objects.create(target=TARGET, table="races", row_id="x", problem="no start", found_at=NOW)
    client = staff_client("view_unmatchedrow")
    assert b"look_again" not in client.get(UNMATCHED).content
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
    assert look_again(client, unmatched) == []  # not even that it could not be read
