"""The outside world of the tests: the sandbox servers on loopback, driven by a clock the test sets."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from polling import importing, planning, providers
from races.models import Race
from sandbox.provider.server import make_server
from tests.factories import START
from tests.polling.driving import Driver


@dataclass
class ProviderBox:
    """The simulated provider: `now` is its clock, and each of `before_answer` is called before it answers a request."""

    url: str
    now: list[datetime] = field(default_factory=lambda: [START])
    before_answer: list[Callable[[], object]] = field(default_factory=list)

    def _control_sandbox(self, method: str, path: str, body: object = None) -> Any:
        parts = urlsplit(self.url)
        reply = requests.request(method, f"{parts.scheme}://{parts.netloc}/sandbox/{path}", json=body, timeout=5)
        reply.raise_for_status()
        return json.loads(reply.text) if reply.text else None

    def fault(self, kind: str, **options: object) -> None:
        """Switches a fault on."""
        self._control_sandbox("POST", "faults", {"kind": kind, **options})

    def mend(self) -> None:
        """Switches all faults off."""
        self._control_sandbox("DELETE", "faults")

    def steer(self, race: Race, **facts: object) -> None:
        """Makes the provider report these facts of a race."""
        self._control_sandbox("POST", f"races/{race.provider_race_id}", facts)

    def requests(self, containing: str = "") -> list[dict[str, Any]]:
        """The API requests it got, oldest first."""
        log = self._control_sandbox("GET", "requests")
        return [entry for entry in log["requests"] if containing in entry["path"]]

    def forget_requests(self) -> None:
        """Empties the request log."""
        self._control_sandbox("DELETE", "requests")

    def import_card(self) -> list[Race]:
        """Imports the card as of its clock; the races that have not ended, nearest start first."""
        importing.import_schedule("sandbox", now=self.now[0])
        races = list(Race.objects.open().select_related("meeting"))
        return sorted(races, key=lambda race: abs(race.advertised_start - self.now[0]))


@pytest.fixture
def no_hold(settings: Any) -> Iterator[None]:
    """Races that are late go over to the window after the start at once."""
    settings.POLL_HOLD = timedelta()
    planning.default_cadence.cache_clear()
    yield
    planning.default_cadence.cache_clear()


@pytest.fixture
def provider(settings: Any) -> Iterator[ProviderBox]:
    """The simulated provider over HTTP, configured as the only one."""
    with serving(settings) as box:
        yield box


@contextmanager
def serving(settings: Any, card: str = "rolling") -> Iterator[ProviderBox]:
    """The simulated provider with one of its cards, configured as the only one."""
    box = ProviderBox("")

    def clock() -> datetime:
        for wait in box.before_answer:
            wait()
        return box.now[0]

    server = make_server(0, seed=7, card=card, clock=clock)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    box.url = f"http://127.0.0.1:{server.server_address[1]}/affiliates/v1"
    settings.RACE_PROVIDERS, settings.SANDBOX_PROVIDER_URL = ("sandbox",), box.url
    providers.get.cache_clear()
    yield box
    providers.get.cache_clear()
    server.shutdown()
    server.server_close()


@pytest.fixture
def driver(provider: ProviderBox) -> Driver:
    """Real ticks and pollers, on the provider's clock."""
    return Driver(provider)
