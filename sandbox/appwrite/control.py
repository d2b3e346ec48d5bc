"""The routes beside the API, by which a test switches faults on and sees what was requested and sent.

    POST, DELETE /sandbox/faults        switches one on, or all off; faults.py lists the kinds
    GET /sandbox/held                   how many writes a `hold` keeps waiting
    POST /sandbox/release               releases them, and answers when they have their answers
    GET, DELETE /sandbox/requests       the requests since the last DELETE
    GET, DELETE /sandbox/webhooks       all webhooks with their secrets
    GET, DELETE /sandbox/deliveries     the webhook calls since the last DELETE, each with its webhook, event, row and
                                        the status answered, and how many events are `pending`

Deleting the faults also releases the held writes. A write with an `$updatedAt` of one's choice needs no route: a key
may send it. Beside the keys `sandbox` and `sandbox-read` there is one for any set of scopes, such as
`sandbox:rows.read,rows.write`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from sandbox.appwrite import webhooks
from sandbox.appwrite.call import Reply
from sandbox.appwrite.deliveries import Outbox
from sandbox.appwrite.errors import JsonObject
from sandbox.appwrite.faults import Faults, read_fault
from sandbox.appwrite.held_writes import HeldWrites
from sandbox.appwrite.latency import RealPace
from sandbox.appwrite.store import Store
from sandbox.request_log import RequestLog

# Outside /v1, so that no client of the API calls it by accident.
PREFIX = "/sandbox/"


@dataclass(frozen=True)
class Instruments:
    """What the requests of one server share beside the API itself."""

    store: Store
    faults: Faults
    outbox: Outbox
    log: RequestLog
    held: HeldWrites = field(default_factory=HeldWrites)
    pace: RealPace = field(default_factory=RealPace)

    def close(self) -> None:
        self.held.release()
        self.outbox.close()
        self.log.close()
        self.store.close()


def answer(method: str, path: str, raw: bytes, instruments: Instruments) -> Reply:
    """400 with the reason for a body that cannot be read, 404 for a route that does not exist."""
    route = ROUTES.get((method, path.removeprefix(PREFIX)))
    if route is None:
        return Reply(404, {"message": f"no control route {method} {path}"})
    try:
        return route(instruments, json.loads(raw or b"{}"))
    except (AttributeError, TypeError, ValueError) as exc:
        return Reply(400, {"message": str(exc)})


def _list_reply(name: str, entries: list[JsonObject]) -> Reply:
    return Reply(200, {"total": len(entries), name: entries})


def _list_requests(instruments: Instruments, _: JsonObject) -> Reply:
    return _list_reply("requests", instruments.log.entries())


def _clear_requests(instruments: Instruments, _: JsonObject) -> Reply:
    instruments.log.clear()
    return Reply(204)


def _add_fault(instruments: Instruments, body: JsonObject) -> Reply:
    fault = read_fault(body)
    instruments.faults.add(fault)
    return Reply(201, asdict(fault))


def _clear_faults(instruments: Instruments, _: JsonObject) -> Reply:
    instruments.faults.clear()
    instruments.held.release()
    return Reply(204)


def _count_held_writes(instruments: Instruments, _: JsonObject) -> Reply:
    return Reply(body={"total": len(instruments.held)})


def _release_held_writes(instruments: Instruments, _: JsonObject) -> Reply:
    return Reply(body={"total": instruments.held.release()})


def _list_webhooks(instruments: Instruments, _: JsonObject) -> Reply:
    with instruments.store.read() as db:
        return _list_reply("webhooks", [asdict(webhook) for webhook in webhooks.webhooks(db)])


def _remove_webhooks(instruments: Instruments, _: JsonObject) -> Reply:
    with instruments.store.write() as db:
        webhooks.remove_webhooks(db)
    return Reply(204)


def _list_deliveries(instruments: Instruments, _: JsonObject) -> Reply:
    pending = instruments.outbox.pending  # before the list: what is not pending is in it
    entries = instruments.outbox.sent()
    return Reply(body={"pending": pending, "total": len(entries), "deliveries": entries})


def _clear_deliveries(instruments: Instruments, _: JsonObject) -> Reply:
    instruments.outbox.clear()
    return Reply(204)


ROUTES: Mapping[tuple[str, str], Callable[[Instruments, JsonObject], Reply]] = {
    ("GET", "requests"): _list_requests,
    ("DELETE", "requests"): _clear_requests,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "held"): _count_held_writes,
    ("POST", "release"): _release_held_writes,
    ("GET", "webhooks"): _list_webhooks,
    ("DELETE", "webhooks"): _remove_webhooks,
    ("GET", "deliveries"): _list_deliveries,
    ("DELETE", "deliveries"): _clear_deliveries,
}
