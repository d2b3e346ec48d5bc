"""The delivery of webhooks: one after another from one thread, each event once, as the real worker sends them."""

import base64
import hashlib
import hmac
import json
import logging
import queue
import threading
from collections import deque
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from sqlite3 import ProgrammingError
from urllib.parse import unquote, urlsplit

from sandbox.appwrite.api import PROJECT
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.events import Event
from sandbox.appwrite.store import Store
from sandbox.appwrite.webhooks import Webhook, find_webhook, save_webhook, webhooks

TIMEOUT_SECONDS = 15

logger = logging.getLogger(__name__)


class Outbox:
    """The events that are still to be sent, and the calls that were made."""

    def __init__(self, store: Store, version: str) -> None:
        self._store = store
        self._agent = f"Appwrite-Server v{version}. Please report abuse at security@appwrite.io"
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._sent: deque[JsonObject] = deque(maxlen=10_000)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, events: Sequence[Event]) -> None:
        for event in events:
            self._events.put(event)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver_events, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """What is not sent yet is lost."""
        if self._thread is not None:
            self._events.put(None)
            self._thread.join(1)

    @property
    def pending(self) -> int:
        return self._events.unfinished_tasks

    def sent(self) -> list[JsonObject]:
        """The calls since the last clearing: each with its webhook, event, row and the status answered, or None."""
        return list(self._sent)

    def clear(self) -> None:
        self._sent.clear()

    def _deliver_events(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._deliver_event(event)
            except ProgrammingError:  # the store was closed in the middle
                return
            self._events.task_done()

    def _deliver_event(self, event: Event) -> None:
        with self._store.read() as db:
            subscribed = [webhook for webhook in webhooks(db) if webhook.wants(event)]
        for webhook in subscribed:
            status, failure = self._call_webhook(webhook, event)
            self._sent.append({"webhook": webhook.id, "event": event.names[0], "row": event.row_id, "status": status})
            self._count_failures(webhook.id, failure)

    def _call_webhook(self, webhook: Webhook, event: Event) -> tuple[int | None, str]:
        """The status that was answered, or None, and why the call failed; a redirect is no failure."""
        body = json.dumps(event.payload, separators=(",", ":")).replace("/", "\\/").encode()
        address = urlsplit(webhook.url)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        connection = kind(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
        try:
            target = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
            connection.request("POST", target, body, self._call_headers(webhook, event, body))
            status = connection.getresponse().status
        except (OSError, HTTPException) as exc:
            return None, f"URL: {webhook.url} {exc}"
        finally:
            connection.close()
        return status, f"URL: {webhook.url} answered {status}" if status >= 400 else ""

    def _call_headers(self, webhook: Webhook, event: Event, body: bytes) -> dict[str, str]:
        # Signed are the address as it was given, percent signs resolved, and the body as it is sent.
        signed = hmac.new(webhook.secret.encode(), unquote(webhook.url).encode() + body, hashlib.sha1)
        return {
            "Content-Type": "application/json",
            "User-Agent": self._agent,
            "X-Appwrite-Webhook-Id": webhook.id,
            "X-Appwrite-Webhook-Events": ",".join(event.names),
            "X-Appwrite-Webhook-Name": webhook.name,
            "X-Appwrite-Webhook-Project-Id": PROJECT,
            "X-Appwrite-Webhook-Signature": base64.b64encode(signed.digest()).decode(),
        }

    def _count_failures(self, webhook_id: str, failure: str) -> None:
        # Read again: it may have been changed or removed in between.
        try:
            with self._store.write() as db:
                webhook = find_webhook(db, webhook_id)
                if webhook.after(failure) != webhook:
                    save_webhook(db, webhook.after(failure))
        except ApiError:
            logger.debug("%s is gone", webhook_id)
