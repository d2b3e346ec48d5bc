"""Webhooks on their way: one after another from one thread, each event once, as the real worker sends them."""

import base64
import hashlib
import hmac
import json
import logging
import queue
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from sqlite3 import ProgrammingError
from urllib.parse import unquote, urlsplit

from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.events import Event
from sandbox.appwrite.faults import Faults
from sandbox.appwrite.store import Store
from sandbox.appwrite.webhooks import Webhook, find_webhook, save_webhook, webhooks

TIMEOUT_SECONDS = 15
# How long one that is to come too late waits for another to overtake it.
PATIENCE_SECONDS = 0.5
PROJECT = "sandbox"

logger = logging.getLogger(__name__)


class Outbox:
    """The events that are still to be sent, and what became of those that were."""

    def __init__(self, store: Store, faults: Faults, version: str) -> None:
        self._store = store
        self._faults = faults
        self._agent = f"Appwrite-Server v{version}. Please report abuse at security@appwrite.io"
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._overtaken: list[Event] = []
        self._sent: deque[JsonObject] = deque(maxlen=10_000)
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()

    def put(self, events: Sequence[Event]) -> None:
        for event in events:
            self._events.put(event)
        with self._turn:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """What is not sent yet is lost."""
        if self._thread is not None:
            self._events.put(None)
            self._thread.join(1)

    @property
    def pending(self) -> int:
        return self._events.unfinished_tasks

    def shown(self) -> list[JsonObject]:
        return list(self._sent)

    def clear(self) -> None:
        self._sent.clear()

    def _run(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=PATIENCE_SECONDS if self._overtaken else None)
            except queue.Empty:
                self._send_overtaken()
                continue
            if event is None:
                return
            try:
                self._handle(event)
            except ProgrammingError:  # the store was closed in the middle
                return

    def _handle(self, event: Event) -> None:
        fault = self._faults.take_delivery(event.names[0], now=datetime.fromtimestamp(time.time(), tz=UTC))
        if fault == "webhook_reordered":
            self._overtaken.append(event)
            return
        for _ in range({"webhook_lost": 0, "webhook_doubled": 2}.get(fault or "", 1)):
            self._deliver(event)
        self._events.task_done()
        self._send_overtaken()

    def _send_overtaken(self) -> None:
        while self._overtaken:
            self._deliver(self._overtaken.pop())
            self._events.task_done()

    def _deliver(self, event: Event) -> None:
        with self._store.read() as db:
            wanting = [webhook for webhook in webhooks(db) if webhook.wants(event)]
        for webhook in wanting:
            status, failure = self._posted(webhook, event)
            self._sent.append({"webhook": webhook.id, "event": event.names[0], "row": event.row_id, "status": status})
            self._count(webhook.id, failure)

    def _posted(self, webhook: Webhook, event: Event) -> tuple[int | None, str]:
        """The status that was answered, or none, and what is held to be a failure. A redirect is none."""
        body = json.dumps(event.payload, separators=(",", ":")).replace("/", "\\/").encode()
        address = urlsplit(webhook.url)
        connection = _connection(webhook)
        try:
            target = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
            connection.request("POST", target, body, self._headers(webhook, event, body))
            status = connection.getresponse().status
        except (OSError, HTTPException) as exc:
            return None, f"URL: {webhook.url} {exc}"
        finally:
            connection.close()
        return status, f"URL: {webhook.url} answered {status}" if status >= 400 else ""

    def _headers(self, webhook: Webhook, event: Event, body: bytes) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": self._agent,
            "X-Appwrite-Webhook-Id": webhook.id,
            "X-Appwrite-Webhook-Events": ",".join(event.names),
            "X-Appwrite-Webhook-Name": webhook.name,
            "X-Appwrite-Webhook-Project-Id": PROJECT,
            "X-Appwrite-Webhook-Signature": signature(webhook, body),
        }

    def _count(self, webhook_id: str, failure: str) -> None:
        # Read again: it may be another one by now, or none.
        try:
            with self._store.write() as db:
                webhook = find_webhook(db, webhook_id)
                if webhook.after(failure) != webhook:
                    save_webhook(db, webhook.after(failure))
        except ApiError:
            logger.debug("%s is gone", webhook_id)


def signature(webhook: Webhook, body: bytes) -> str:
    """Over the address as it was given, percent signs resolved, and the body as it is sent."""
    digest = hmac.new(webhook.secret.encode(), unquote(webhook.url).encode() + body, hashlib.sha1)
    return base64.b64encode(digest.digest()).decode()


def _connection(webhook: Webhook) -> HTTPConnection:
    address = urlsplit(webhook.url)
    if address.scheme != "https":
        return HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
    context = ssl.create_default_context()
    if not webhook.tls:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS, context=context)
