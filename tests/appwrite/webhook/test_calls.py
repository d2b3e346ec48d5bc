"""Calls of Appwrite's webhook: which are genuine, what they ask for, and that a burst of them asks for little."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django_q.models import OrmQ

from polling import dispatch, sync_queue
from polling.appwrite.webhook import calls as webhook_calls
from polling.appwrite.webhook import change_notifications
from polling.appwrite.webhook.calls import Caller, RowChange
from polling.models import ChangeNotification, SyncServer
from tests.appwrite.conftest import DATABASE, NOW, TARGET

SECRET = "a secret of theirs and ours"
URL = "http://testserver/hooks/appwrite/"
EVENT = f"databases.{DATABASE}.tables.races.rows.r1"
CHANGED = "2026-11-23T03:00:00.000+00:00"
CALLER = Caller(URL, SECRET, "sandbox", "hook")


def signed(body: bytes, *, url: str = URL, secret: str = SECRET) -> str:
    digest = hmac.new(secret.encode(), url.encode() + body, hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def headers(body: bytes, **changed: str) -> dict[str, str]:
    values = {"id": "hook", "events": f"databases.*,{EVENT}.update", "project-id": "sandbox", "signature": signed(body)}
    return {f"X-Appwrite-Webhook-{name}": value for name, value in {**values, **changed}.items()}


def payload(row_id: Any = "r1", **changed: Any) -> bytes:
    row = {"$id": row_id, "$updatedAt": CHANGED, "$databaseId": DATABASE, "$tableId": "races", "name": "Cup", **changed}
    return json.dumps({name: value for name, value in row.items() if value is not None}).encode()


# --- pure -----------------------------------------------------------------------------------------------------------


def made(caller: Caller, body: bytes, **changed: str) -> bool:
    sent = {name.title(): value for name, value in headers(body, **changed).items()}
    return caller.made(sent, body)


def test_a_call_signed_with_our_secret_is_genuine() -> None:
    assert made(CALLER, b"{}")
    assert made(Caller(URL, SECRET, "sandbox"), b"{}", id="any")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"signature": signed(b"{}", secret="another")}, id="another secret"),
        pytest.param({"signature": signed(b"{ }")}, id="another body"),
        pytest.param({"signature": signed(b"{}", url="http://testserver/other/")}, id="another url"),
        pytest.param({"signature": ""}, id="no signature"),
        pytest.param({"signature": "ünsigned"}, id="no ASCII"),
        pytest.param({"project-id": "another"}, id="another project"),
        pytest.param({"project-id": ""}, id="no project"),
        pytest.param({"id": "another"}, id="another webhook"),
    ],
)
def test_any_other_call_is_not(changed: dict[str, str]) -> None:
    assert not made(CALLER, b"{}", **changed)


def test_a_url_may_be_signed_with_or_without_its_escapes() -> None:
    caller = Caller("https://races.example/hooks/appwrite/?to=a%20b", SECRET, "sandbox")
    for url in (caller.url, caller.url.replace("%20", " ")):
        assert made(caller, b"{}", signature=signed(b"{}", url=url))


UPDATED = RowChange("r1", CHANGED)
READINGS: list[Any] = [
    pytest.param(payload(), "update", UPDATED, id="a change"),
    pytest.param(payload(), "delete", RowChange("r1", CHANGED, deleted=True), id="a deletion"),
    pytest.param(
        payload(**{"$tableId": None, "$collectionId": "races"}), "update", RowChange("r1", CHANGED), id="legacy"
    ),
    pytest.param(
        payload(**{"$databaseId": None}), "update", RowChange("r1", CHANGED), id="a transaction names no database"
    ),
    pytest.param(payload(**{"$databaseId": "other"}), "update", None, id="another database"),
    pytest.param(payload(**{"$tableId": "poll_logs"}), "create", None, id="another table"),
    pytest.param(payload("../x"), "update", None, id="an id that is none"),
    pytest.param(payload("r" * 37), "update", None, id="an id too long"),
    pytest.param(payload(7), "update", None, id="an id that is no text"),
    pytest.param(payload(None), "update", None, id="no id"),
    pytest.param(b"", "update", None, id="nothing"),
    pytest.param(b"[1]", "update", None, id="no object"),
    pytest.param(b"\xff{", "update", None, id="garbage"),
    pytest.param(b'{"a":' * 100_000, "update", None, id="deeper than can be read"),
]


@pytest.mark.parametrize(("body", "action", "change"), READINGS)
def test_a_genuine_call_is_read_as_a_change_or_as_nothing(body: bytes, action: str, change: RowChange | None) -> None:
    assert webhook_calls.read(body, events=f"databases.*, {EVENT}.{action}", database=DATABASE) == change


# --- the view ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(settings: Any, transactional_db: None) -> Browser:
    settings.APPWRITE_ENDPOINT, settings.APPWRITE_PROJECT_ID = "http://127.0.0.1:9/v1", "sandbox"
    settings.APPWRITE_DATABASE_ID, settings.APPWRITE_TARGET = DATABASE, TARGET
    settings.APPWRITE_WEBHOOK_SECRET, settings.APPWRITE_WEBHOOK_ID = SECRET, "hook"
    return Browser(enforce_csrf_checks=True)


def call(browser: Browser, body: bytes, path: str = "/hooks/appwrite/", **changed: str) -> Any:
    return browser.post(path, body, content_type="application/json", headers=headers(body, **changed))


def asked_for() -> list[str]:
    return [task.func() for task in OrmQ.objects.all()]


def test_a_genuine_call_asks_for_a_pull_and_is_counted(browser: Browser) -> None:
    with time_machine.travel(NOW, tick=False):
        answer = call(browser, payload())
    assert (answer.status_code, answer.content) == (204, b"")
    assert asked_for() == ["polling.tasks.pull_notified_rows"]
    assert change_notifications.take() == ["r1"]
    server = SyncServer.objects.get()
    assert (server.target, server.notifications, server.notified_at) == (TARGET, 1, NOW)


def test_a_burst_asks_once_and_the_pull_takes_all_of_it(browser: Browser) -> None:
    for number in [1, 1, 2, 3, 1, 2] * 3:
        assert call(browser, payload(f"r{number}")).status_code == 204
    assert len(asked_for()) == 1
    assert sorted(change_notifications.take()) == ["r1", "r2", "r3"]
    assert not ChangeNotification.objects.exists()
    assert SyncServer.objects.get().notifications == 18


def test_what_comes_once_a_pull_has_begun_asks_for_another(browser: Browser) -> None:
    call(browser, payload())
    sync_queue.begin(sync_queue.NOTIFIED_PULL)
    assert change_notifications.take() == ["r1"]
    call(browser, payload())
    assert (len(asked_for()), change_notifications.take()) == (2, ["r1"])


def test_a_pull_that_the_queue_lost_is_asked_for_again(browser: Browser) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        call(browser, payload("r1"))
        clock.shift(dispatch.claim_lease() - timedelta(milliseconds=1))
        call(browser, payload("r2"))
        assert len(asked_for()) == 1
        clock.shift(timedelta(milliseconds=1))
        call(browser, payload("r2"))
    assert len(asked_for()) == 2
    assert change_notifications.take() == ["r1", "r2"]


def test_the_longest_id_fits(browser: Browser) -> None:
    call(browser, payload("R" * 36))
    assert change_notifications.take() == ["R" * 36]


@pytest.mark.parametrize("body", [b"garbage", payload(**{"$tableId": "poll_logs"})])
def test_a_genuine_call_of_nothing_of_ours_is_answered_and_asks_for_nothing(browser: Browser, body: bytes) -> None:
    assert call(browser, body).status_code == 204
    assert asked_for() == []


@pytest.mark.parametrize("changed", [{"signature": "no"}, {"project-id": "another"}, {"id": "another"}])
def test_a_call_that_is_not_genuine_is_refused_without_a_word(browser: Browser, changed: dict[str, str]) -> None:
    answer = call(browser, payload(), **changed)
    assert (answer.status_code, answer.content, asked_for()) == (403, b"", [])
    assert not SyncServer.objects.exists()


def test_the_url_that_appwrite_knows_may_be_another_than_ours(browser: Browser, settings: Any) -> None:
    settings.APPWRITE_WEBHOOK_URL = "https://races.example/hooks/appwrite/"
    assert call(browser, payload()).status_code == 403
    assert call(browser, payload(), signature=signed(payload(), url=settings.APPWRITE_WEBHOOK_URL)).status_code == 204


def test_a_url_without_its_last_slash_is_no_redirect_which_appwrite_would_take_for_success(browser: Browser) -> None:
    url = URL.rstrip("/")
    answer = call(browser, payload(), "/hooks/appwrite", signature=signed(payload(), url=url))
    assert (answer.status_code, len(asked_for())) == (204, 1)


def test_only_a_post_is_a_call(browser: Browser) -> None:
    assert browser.get("/hooks/appwrite/").status_code == 405


@pytest.mark.parametrize("unset", ["APPWRITE_WEBHOOK_SECRET", "APPWRITE_ENDPOINT"])
def test_without_a_secret_or_an_appwrite_there_is_no_route(browser: Browser, settings: Any, unset: str) -> None:
    setattr(settings, unset, "")
    assert call(browser, payload()).status_code == 404
    assert browser.get("/hooks/appwrite/").status_code == 404


def test_a_body_too_large_is_not_read(browser: Browser, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert call(browser, payload(name="x" * 100)).status_code == 413
    assert asked_for() == []


def test_a_change_that_cannot_be_kept_does_not_let_appwrite_switch_its_webhook_off(
    browser: Browser, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.APPWRITE_TARGET = None  # which the database refuses
    assert call(browser, payload()).status_code == 204
    assert ("could not be kept" in caplog.text, asked_for()) == (True, [])
