"""Calls that the stand-in makes: which rows they have pulled, and that echoes ask for nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from django_q.models import OrmQ
from pytest_django.live_server_helper import LiveServer

from polling import tasks
from polling.appwrite.api.client import connect
from polling.appwrite.schema import provision as schema
from polling.appwrite.webhook import change_notifications
from polling.appwrite.webhook.calls import RowChange
from polling.models import SyncServer
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, pushed, state_of
from tests.appwrite.gate import Gate
from tests.appwrite.webhook.test_calls import SECRET, asked_for
from tests.factories import make_race
from tests.sandbox.appwrite_api import wait_until


@pytest.fixture
def hooked(appwrite: Appwrite, live_server: LiveServer, settings: Any) -> Iterator[Appwrite]:
    """The stand-in calls our web server."""
    settings.APPWRITE_WEBHOOK_SECRET = SECRET
    settings.APPWRITE_WEBHOOK_URL = f"{live_server.url}/hooks/appwrite/"
    client = connect()
    assert client is not None
    assert schema.apply(client) == ["create the webhook of APPWRITE_WEBHOOK_URL"]
    appwrite.api.control("DELETE", "deliveries")
    yield appwrite
    appwrite.api.control("DELETE", "webhooks")


def delivered(appwrite: Appwrite) -> list[int]:
    """The statuses that were answered, once all is sent."""
    wait_until(lambda: appwrite.api.control("GET", "deliveries").json()["pending"] == 0)
    return [sent["status"] for sent in appwrite.api.control("GET", "deliveries").json()["deliveries"]]


@pytest.mark.django_db(transaction=True)
def test_an_edit_in_appwrite_is_notified_and_pulled(hooked: Appwrite) -> None:
    race = make_race()
    pushed()
    assert delivered(hooked) == [204]
    tasks.pull_notified_rows()
    OrmQ.objects.all().delete()
    hooked.edit(state_of(race).remote_id, staff_note="look at this")
    assert delivered(hooked) == [204, 204]
    assert asked_for() == ["polling.tasks.pull_notified_rows"]
    tasks.pull_notified_rows()
    assert Race.objects.get().staff_note == "look at this"


@pytest.mark.django_db(transaction=True)
def test_an_edit_that_is_not_theirs_to_make_is_undone_at_once(hooked: Appwrite) -> None:
    race = make_race(name="Cup")
    pushed()
    assert delivered(hooked) == [204]
    hooked.edit(state_of(race).remote_id, name="Plate")
    assert delivered(hooked) == [204, 204]
    OrmQ.objects.all().delete()
    tasks.pull_notified_rows()
    assert asked_for() == ["polling.tasks.push"]
    tasks.push()
    assert hooked.row()["name"] == "Cup"


@pytest.mark.django_db(transaction=True)
def test_neither_an_echo_nor_a_deletion_which_the_sweep_finds_asks_for_a_pull(
    hooked: Appwrite,
) -> None:
    race = make_race()
    pushed()
    assert delivered(hooked) == [204]
    row = hooked.row()
    tasks.pull_notified_rows()  # the call may have come before the reply to our write
    assert not change_notifications.note(RowChange(row["$id"], row["$updatedAt"]), now=NOW)
    assert not change_notifications.note(RowChange(row["$id"], row["$updatedAt"], deleted=True), now=NOW)
    OrmQ.objects.all().delete()
    hooked.delete(state_of(race).remote_id)
    assert delivered(hooked) == [204, 204]
    assert asked_for() == []
    assert SyncServer.objects.get().notifications == 4


@pytest.mark.django_db(transaction=True)
def test_an_echo_that_comes_before_or_long_after_the_reply_asks_for_no_pull(appwrite: Appwrite, gate: Gate) -> None:
    race = make_race()
    rows: list[dict[str, Any]] = []
    kept: list[bool] = []

    def note(row: dict[str, Any]) -> bool:
        return change_notifications.note(RowChange(row["$id"], row["$updatedAt"], row=row), now=NOW)

    def hear() -> None:
        rows.append(appwrite.row())
        kept.append(note(rows[-1]))

    gate.after = {"POST": hear, "PATCH": hear}
    for name in ("Cup", "Plate", "Stakes"):
        change(race, name=name)
        pushed()
    assert kept == [False] * 3, "their replies were not stored yet"
    assert [note(row) for row in rows] == [False] * 3
    first = rows[0]
    appwrite.edit(first["$id"], staff_note="theirs")
    assert note(appwrite.row()), "though its sync_version is ours"


@pytest.mark.django_db(transaction=True)
def test_an_edit_made_over_a_write_that_is_under_way_is_no_echo(appwrite: Appwrite, gate: Gate) -> None:
    race = make_race()
    pushed()
    change(race, name="Plate")
    kept = []

    def edit() -> None:
        appwrite.edit(state_of(race).remote_id, staff_note="theirs")
        row = appwrite.row()
        kept.append(change_notifications.note(RowChange(row["$id"], row["$updatedAt"], row=row), now=NOW))

    gate.after["PATCH"] = edit
    pushed()
    assert kept[0]
