"""A simulated provider that is running, and a client of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import requests

from sandbox.provider.race import Race
from sandbox.provider.race_state import state_of
from sandbox.provider.rolling_card import RollingCard
from sandbox.provider.server import make_server

START = datetime(2026, 11, 23, 9, 0, 7, tzinfo=UTC)
SEED = 4
CARD = RollingCard(SEED)


class Provider:
    """A client of one running server, whose clock shows `now`."""

    def __init__(self, address: Any) -> None:
        self.now = START
        self.host, self.port = address[:2]
        self.url = f"http://{self.host}:{self.port}"
        self.session = requests.Session()

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(f"{self.url}{path}", timeout=120, **options)

    def data(self, path: str, **params: str | int) -> dict[str, Any]:
        response = self.get(path, params=params)
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    def event(self, race: Race) -> dict[str, Any]:
        return self.data(f"/racing/events/{race.id}")

    def race_rows(self, **params: str | int) -> list[dict[str, Any]]:
        """The races of /racing/meetings, without the rows that are none."""
        meetings = self.data("/racing/meetings", **params).get("meetings", [])
        return [race for meeting in meetings for race in meeting["races"] if race["race_number"]]

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self.session.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=120)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def fault(self, kind: str, **fields: Any) -> None:
        self.control("POST", "faults", {"kind": kind, **fields})

    def log(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.control("GET", "requests")["requests"]
        return entries


@contextmanager
def serving(**options: Any) -> Iterator[Provider]:
    clock = [lambda: START]
    server = make_server(0, **{"seed": SEED, "clock": lambda: clock[0](), **options})
    provider = Provider(server.server_address)
    clock[0] = lambda: provider.now
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def a_race(status: str) -> Race:
    return next(race for race in CARD.listed(now=START) if state_of(race, now=START).status == status)
