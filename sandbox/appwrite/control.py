"""The routes beside the API, by which a test sees what was asked and sent, and steers what comes.

    GET, POST, DELETE /sandbox/faults      the faults to come; see faults.py for what one may be
    GET /sandbox/held                      how many requests a `hold` or a `late_commit` keeps waiting
    POST /sandbox/release                  lets them go on, and answers when they have ended
    GET, DELETE /sandbox/requests          what was asked since the last DELETE
    GET, POST, DELETE /sandbox/webhooks    all webhooks with their secrets; POST makes one as staff in the console
                                           would, with `url` and any of `webhookId`, `name`, `events`, `secret`,
                                           `enabled`: the way for 1.8, where no key may
    GET, DELETE /sandbox/deliveries        the webhooks sent since the last DELETE, each with its webhook, event, row
                                           and the status answered, and how many events are `pending`

Deleting the faults also releases what waits. An `$updatedAt` of one's choice needs none of this: a key may send it.
Beside the keys `sandbox` and `sandbox-read` there is one for any set of scopes: `sandbox:rows.read,rows.write`.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from sandbox.appwrite import webhooks
from sandbox.appwrite.backstage import Backstage
from sandbox.appwrite.call import Reply
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.faults import read_fault

# Outside /v1, so that no client of the API meets it by accident.
PREFIX = "/sandbox/"


def answer(method: str, path: str, raw: bytes, stage: Backstage) -> Reply:
    """400 with what is wrong for a body that cannot be obeyed, 404 for a route that is not there."""
    route = ROUTES.get((method, path.removeprefix(PREFIX)))
    if route is None:
        return Reply(404, {"message": f"no control route {method} {path}"})
    try:
        return route(stage, json.loads(raw or b"{}"))
    except (AttributeError, TypeError, ValueError, ApiError) as exc:
        return Reply(400, {"message": str(exc)})


def _listed(name: str, entries: list[JsonObject], status: int = 200) -> Reply:
    return Reply(status, {"total": len(entries), name: entries})


def _requests(stage: Backstage, _: JsonObject) -> Reply:
    return _listed("requests", stage.log.entries())


def _forget_requests(stage: Backstage, _: JsonObject) -> Reply:
    stage.log.clear()
    return Reply(204)


def _faults(stage: Backstage, _: JsonObject) -> Reply:
    return _listed("faults", stage.faults.shown())


def _add_fault(stage: Backstage, body: JsonObject) -> Reply:
    stage.faults.add(read_fault(body))
    return _listed("faults", stage.faults.shown(), 201)


def _clear_faults(stage: Backstage, _: JsonObject) -> Reply:
    stage.faults.clear()
    stage.gate.release()
    return Reply(204)


def _held(stage: Backstage, _: JsonObject) -> Reply:
    return Reply(body={"total": len(stage.gate)})


def _release(stage: Backstage, _: JsonObject) -> Reply:
    return Reply(body={"total": stage.gate.release()})


def _webhooks(stage: Backstage, _: JsonObject) -> Reply:
    with stage.store.read() as db:
        return _listed("webhooks", [asdict(webhook) for webhook in webhooks.webhooks(db)])


def _add_webhook(stage: Backstage, body: JsonObject) -> Reply:
    asked = {"name": "Sandbox", "events": ["databases.*.tables.*.rows.*"], **body}
    now = datetime.fromtimestamp(time.time(), tz=UTC)
    made = webhooks.new_webhook(str(body.get("webhookId", "sandbox")), asked, now=now)
    with stage.store.write() as db:
        webhooks.add_webhook(db, made)
    return Reply(201, asdict(made))


def _remove_webhooks(stage: Backstage, _: JsonObject) -> Reply:
    with stage.store.write() as db:
        webhooks.remove_webhooks(db, [webhook.id for webhook in webhooks.webhooks(db)])
    return Reply(204)


def _deliveries(stage: Backstage, _: JsonObject) -> Reply:
    pending = stage.outbox.pending  # before the list: what is not pending is in it
    entries = stage.outbox.shown()
    return Reply(body={"pending": pending, "total": len(entries), "deliveries": entries})


def _forget_deliveries(stage: Backstage, _: JsonObject) -> Reply:
    stage.outbox.clear()
    return Reply(204)


ROUTES: Mapping[tuple[str, str], Callable[[Backstage, JsonObject], Reply]] = {
    ("GET", "requests"): _requests,
    ("DELETE", "requests"): _forget_requests,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "held"): _held,
    ("POST", "release"): _release,
    ("GET", "webhooks"): _webhooks,
    ("POST", "webhooks"): _add_webhook,
    ("DELETE", "webhooks"): _remove_webhooks,
    ("GET", "deliveries"): _deliveries,
    ("DELETE", "deliveries"): _forget_deliveries,
}
