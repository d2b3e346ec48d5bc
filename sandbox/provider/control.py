"""The routes under /sandbox/, by which a test steers the provider; they are no part of the API.

POST, DELETE /sandbox/faults      switches a fault on, or all off; faults.py lists the kinds
GET, DELETE /sandbox/requests     the requests of the API since the last DELETE
POST /sandbox/races/{id}          steers a race: any of status, advertised_start, scratched (numbers), results
                                  (numbers by place), dividends (by product), protest, protest_reason and vanished;
                                  null goes back to the card
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.provider.call import instant
from sandbox.provider.dividends import PRODUCTS
from sandbox.provider.faults import read_fault
from sandbox.provider.formats import Json
from sandbox.provider.race import Race
from sandbox.provider.replies import Refused, Reply
from sandbox.provider.runners import Places
from sandbox.provider.simulation import Simulation

PREFIX = "/sandbox/"
RACE = re.compile(r"/sandbox/races/([^/]+)")


def answer(simulation: Simulation, method: str, path: str, raw: bytes) -> Reply:
    """400 with the reason for a body that cannot be read, 404 for a route or a race that does not exist."""
    try:
        body = json.loads(raw or b"{}")
        if method == "POST" and (match := RACE.fullmatch(path)):
            return Reply(200, _steer_race(simulation, match[1], body))
        route = ROUTES.get((method, path.removeprefix(PREFIX)))
        if route is None:
            return Reply(404, {"error": f"no control route {method} {path}"})
        return Reply(200, route(simulation, body))
    except Refused as refused:
        return Reply(refused.status, {"error": str(refused)})
    except (ValueError, TypeError, AttributeError) as exc:
        return Reply(400, {"error": str(exc)})


def _add_fault(simulation: Simulation, body: Json) -> Json:
    simulation.faults.add(read_fault(body))
    return {}


def _clear_faults(simulation: Simulation, _: Json) -> Json:
    simulation.faults.clear()
    return {}


def _list_requests(simulation: Simulation, _: Json) -> Json:
    return {"requests": simulation.log.entries()}


def _clear_requests(simulation: Simulation, _: Json) -> Json:
    simulation.log.clear()
    return {}


ROUTES: Mapping[tuple[str, str], Callable[[Simulation, Json], Json]] = {
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "requests"): _list_requests,
    ("DELETE", "requests"): _clear_requests,
}


def _steer_race(simulation: Simulation, race_id: str, body: Json) -> Json:
    now = simulation.now()
    race = simulation.card.find_race(race_id, now=now)
    if race is None:
        raise Refused(404, f"no race {race_id}")
    simulation.steer(race.id, _read_changes(body, race), now=now)
    return {"race_id": race.id}


def _read_places(rows: list[list[int]]) -> Places:
    return tuple(tuple(row) for row in rows)


def _read_dividends(by_product: Json) -> dict[str, float]:
    if unknown := by_product.keys() - PRODUCTS:
        raise ValueError(f"unknown products: {', '.join(sorted(unknown))}")
    return {product: float(amount) for product, amount in by_product.items()}


READERS: Mapping[str, Callable[[Any], Any]] = {
    "status": str,
    "advertised_start": instant,
    "scratched": frozenset,
    "results": _read_places,
    "dividends": _read_dividends,
    "protest": bool,
    "protest_reason": str,
    "vanished": bool,
}


def _read_changes(body: Json, race: Race) -> Json:
    if unknown := body.keys() - READERS.keys():
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
    changes = {name: None if value is None else READERS[name](value) for name, value in body.items()}
    named = {number for place in changes.get("results") or () for number in place}
    if missing := (named | (changes.get("scratched") or set())) - {r.number for r in race.runners}:
        raise ValueError(f"no runners {sorted(missing)} in this race")
    return changes
