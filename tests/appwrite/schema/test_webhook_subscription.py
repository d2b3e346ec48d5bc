"""Our webhook in Appwrite: made, mended, and watched, with keys and servers that let us and that do not."""

from collections.abc import Iterator
from typing import Any

import pytest

from polling import tasks
from polling.appwrite.api.client import SyncClient, connect
from polling.appwrite.schema import provision as schema
from polling.appwrite.schema import webhook_subscription
from polling.errors import Blocked
from polling.models import SyncServer
from tests.appwrite.conftest import DATABASE, Appwrite

pytestmark = pytest.mark.django_db(transaction=True)
URL = "http://127.0.0.1:9/hooks/appwrite/"
MAKE = "create the webhook of APPWRITE_WEBHOOK_URL"
SYNC = "sandbox:rows.read,rows.write"
TABLES = f"{SYNC},databases.read,tables.read,columns.read,indexes.read"


def configured(appwrite: Appwrite, settings: Any) -> Iterator[Appwrite]:
    settings.APPWRITE_WEBHOOK_SECRET = "long enough"
    settings.APPWRITE_WEBHOOK_URL = URL
    yield appwrite
    appwrite.api.control("DELETE", "webhooks")


@pytest.fixture
def hooked(appwrite: Appwrite, settings: Any) -> Iterator[Appwrite]:
    yield from configured(appwrite, settings)


@pytest.fixture
def old_hooked(old_appwrite: Appwrite, settings: Any) -> Iterator[Appwrite]:
    yield from configured(old_appwrite, settings)


def client(settings: Any, key: str = "sandbox") -> SyncClient:
    settings.APPWRITE_API_KEY = key
    client = connect()
    assert client is not None
    return client


def kept(appwrite: Appwrite) -> dict[str, Any]:
    """The one webhook, as the server keeps it."""
    [webhook] = appwrite.api.control("GET", "webhooks").json()["webhooks"]
    return dict(webhook)


def stored(appwrite: Appwrite, **values: Any) -> None:
    """A webhook as staff left it."""
    made = {"webhookId": "theirs", "name": "Mine", "url": URL, "events": [webhook_subscription.event()], "tls": True}
    assert appwrite.api.call("POST", "/webhooks", {**made, **values}).status_code == 201


def watched() -> SyncServer:
    tasks.watch_webhook()
    return SyncServer.objects.get()


# --- made and mended ------------------------------------------------------------------------------------------------


def test_it_is_made_with_our_url_and_secret_and_then_nothing_is_missing(hooked: Appwrite, settings: Any) -> None:
    assert schema.plan(client(settings)) == [MAKE]
    assert schema.apply(client(settings)) == [MAKE]
    webhook = kept(hooked)
    assert (webhook["id"], webhook["url"], webhook["secret"]) == (DATABASE, URL, "long enough")
    assert (webhook["events"], webhook["enabled"]) == ([f"databases.{DATABASE}.tables.races.rows.*"], True)
    assert (schema.plan(client(settings)), schema.apply(client(settings))) == ([], [])


def test_it_is_not_made_where_no_url_is_configured(hooked: Appwrite, settings: Any) -> None:
    settings.APPWRITE_WEBHOOK_URL = ""
    assert schema.plan(client(settings)) == []


def test_it_is_mended_and_what_others_set_in_it_stays(hooked: Appwrite, settings: Any) -> None:
    settings.APPWRITE_WEBHOOK_ID = "theirs"
    stored(hooked, url="http://127.0.0.1:9/old/", events=["databases.*.create"], enabled=False)
    wrong = "leads to another URL and does not report races and is disabled"
    assert schema.apply(client(settings)) == [f"correct the webhook, which {wrong}"]
    webhook = kept(hooked)
    assert (webhook["url"], webhook["enabled"], webhook["name"], webhook["tls"]) == (URL, True, "Mine", True)
    assert webhook["events"] == ["databases.*.create", webhook_subscription.event()]
    assert schema.plan(client(settings)) == []


def test_one_that_staff_made_is_known_by_its_url(hooked: Appwrite, settings: Any) -> None:
    stored(hooked, url="http://127.0.0.1:9/elsewhere/", webhookId="another")
    stored(hooked)
    assert schema.plan(client(settings)) == []


def test_a_key_without_the_scope_is_sent_to_the_console(
    hooked: Appwrite, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert schema.plan(client(settings, TABLES)) == []
    assert f"console: this key may not; its event is databases.{DATABASE}.tables.races.rows.*" in caplog.text


def test_a_key_that_may_only_look_cannot_make_it(hooked: Appwrite, settings: Any) -> None:
    with pytest.raises(Blocked, match="lacks the scope webhooks.write"):
        schema.apply(client(settings, f"{TABLES},webhooks.read"))


def test_on_1_8_no_key_may(old_hooked: Appwrite, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert schema.apply(client(settings)) == []
    assert "webhooks are made in Appwrite's console" in caplog.text


def test_the_event_of_a_database_with_a_dot_in_its_id_is_one_that_the_server_takes(
    hooked: Appwrite, settings: Any
) -> None:
    settings.APPWRITE_DATABASE_ID = "v1.races"
    for step in webhook_subscription.steps(client(settings)):
        step.carry_out()
    assert kept(hooked)["events"] == ["databases.*.tables.races.rows.*"]


# --- the watch ------------------------------------------------------------------------------------------------------


def test_one_that_works_is_noted(hooked: Appwrite, settings: Any) -> None:
    stored(hooked)
    server = watched()
    assert (server.webhook_enabled, server.webhook_problem) == (True, "")
    assert server.webhook_checked_at is not None


def test_a_disabled_one_is_enabled_again(hooked: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    stored(hooked, enabled=False)
    assert watched().webhook_enabled is True
    assert kept(hooked)["enabled"] is True
    assert watched().webhook_problem == ""
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_one_that_is_disabled_again_and_again_stays_a_problem_and_is_logged_once(
    hooked: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        hooked.api.control("DELETE", "webhooks")
        stored(hooked, enabled=False)
        assert "disabled its webhook after failed calls" in watched().webhook_problem
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_where_the_key_may_not_enable_it_one_alert_says_so_until_staff_have(
    hooked: Appwrite, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stored(hooked, enabled=False)
    client(settings, f"{SYNC},webhooks.read")
    for _ in range(3):
        server = watched()
    assert server.webhook_enabled is False
    assert "enable it in the console" in server.webhook_problem
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    hooked.api.control("DELETE", "webhooks")
    stored(hooked)
    server = watched()
    assert (server.webhook_enabled, server.webhook_problem) == (True, "")
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


@pytest.mark.parametrize("key", [SYNC, "sandbox"], ids=["the key may not look", "there is none"])
def test_what_cannot_be_seen_is_no_alarm(
    hooked: Appwrite, settings: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    client(settings, key)
    server = watched()
    assert (server.webhook_enabled, server.webhook_problem, caplog.records) == (None, "", [])


def test_on_1_8_nothing_is_seen(old_hooked: Appwrite, caplog: pytest.LogCaptureFixture) -> None:
    assert (watched().webhook_enabled, caplog.records) == (None, [])


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "key_revoked"}])
def test_an_error_leaves_what_is_known(
    hooked: Appwrite, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    stored(hooked)
    watched()
    hooked.fault(**fault)
    assert (watched().webhook_enabled, caplog.records) == (True, [])


def test_without_a_secret_nothing_is_asked(hooked: Appwrite, settings: Any) -> None:
    settings.APPWRITE_WEBHOOK_SECRET = ""
    tasks.watch_webhook()
    assert hooked.asked() == []
