"""The control routes under /sandbox/, by which a test steers the provider; they are no part of the API."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.provider.call import instant
from sandbox.provider.dividends import PRODUCTS
from sandbox.provider.faults import read_fault
from sandbox.provider.field import Places
from sandbox.provider.formats import Json, nanoseconds
from sandbox.provider.life import Race
from sandbox.provider.replies import Refused, Reply
from sandbox.provider.world import World

PREFIX = "/sandbox/"
RACE = re.compile(r"/sandbox/races/([^/]+)")


@dataclass(frozen=True)
class Order:
    """A control request; `race_id` is empty where the route names no race."""

    world: World
    body: Json
    race_id: str


def answer(world: World, method: str, path: str, raw: bytes) -> Reply:
    """400 with what is wrong for a body that cannot be obeyed, 404 for a route or a race that is not there."""
    match = RACE.fullmatch(path)
    route = ROUTES.get((method, "race" if match else path))
    if route is None:
        return Reply(404, {"error": f"no control route {method} {path}"})
    try:
        return Reply(200, route(Order(world, json.loads(raw or b"{}"), match[1] if match else "")))
    except Refused as refused:
        return Reply(refused.status, {"error": str(refused)})
    except (ValueError, TypeError, AttributeError) as exc:
        return Reply(400, {"error": str(exc)})


def _faults(order: Order) -> Json:
    return {"faults": order.world.faults.shown()}


def _add_fault(order: Order) -> Json:
    order.world.faults.add(read_fault(order.body))
    return _faults(order)


def _clear_faults(order: Order) -> Json:
    order.world.faults.clear()
    return _faults(order)


def _requests(order: Order) -> Json:
    return {"requests": order.world.log.entries()}


def _clear_requests(order: Order) -> Json:
    order.world.log.clear()
    return _requests(order)


def _shift_clock(order: Order) -> Json:
    """The offset counts from the real clock, not from an earlier offset."""
    world = order.world
    world.offset = timedelta(seconds=float(order.body.get("offset_seconds", 0)))
    return {"now": nanoseconds(world.now()), "offset_seconds": world.offset.total_seconds()}


def _steer(order: Order) -> Json:
    race, now = _race(order), order.world.now()
    order.world.steer(race.id, _changes(order.body, race), now=now)
    return {"race_id": race.id}


def _release(order: Order) -> Json:
    race = _race(order)
    order.world.release(race.id)
    return {"race_id": race.id}


ROUTES: Mapping[tuple[str, str], Callable[[Order], Json]] = {
    ("GET", "/sandbox/faults"): _faults,
    ("POST", "/sandbox/faults"): _add_fault,
    ("DELETE", "/sandbox/faults"): _clear_faults,
    ("GET", "/sandbox/requests"): _requests,
    ("DELETE", "/sandbox/requests"): _clear_requests,
    ("POST", "/sandbox/clock"): _shift_clock,
    ("POST", "race"): _steer,
    ("DELETE", "race"): _release,
}


def _race(order: Order) -> Race:
    race = order.world.card.find_race(order.race_id, now=order.world.now())
    if race is None:
        raise Refused(404, f"no race {order.race_id}")
    return race


def _places(rows: list[list[int]]) -> Places:
    return tuple(tuple(row) for row in rows)


def _amounts(by_product: Json) -> dict[str, float]:
    if unknown := by_product.keys() - PRODUCTS:
        raise ValueError(f"unknown products: {', '.join(sorted(unknown))}")
    return {product: float(amount) for product, amount in by_product.items()}


READERS: Mapping[str, Callable[[Any], Any]] = {
    "status": str,
    "advertised_start": instant,
    "scratched": frozenset,
    "results": _places,
    "dividends": _amounts,
    "protest": bool,
    "protest_reason": str,
    "vanished": bool,
}


def _changes(body: Json, race: Race) -> Json:
    if unknown := body.keys() - READERS.keys():
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
    changes = {name: None if value is None else READERS[name](value) for name, value in body.items()}
    named = {number for place in changes.get("results") or () for number in place}
    if strangers := (named | (changes.get("scratched") or set())) - {r.number for r in race.runners}:
        raise ValueError(f"no runners {sorted(strangers)} in this race")
    return changes
