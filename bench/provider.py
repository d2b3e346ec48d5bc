"""The simulated provider in a process of its own, so that it does not share our interpreter; we set its clock."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings

from sandbox.provider.server import make_server
from tests.processes import eventually

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass
class Provider:
    """The handle on the running provider. Its clock is the wall's until it is set."""

    url: str
    _clock: Any  # a shared integer: microseconds since 1970, 0 for the wall's

    def set_clock(self, now: datetime) -> None:
        self._clock.value = (now - EPOCH) // MICROSECOND

    def requests(self) -> list[dict[str, Any]]:
        """Every request of the API it got, oldest first; `at` is when it arrived, by its clock."""
        log = self._call_control("GET", "requests")["requests"]
        return [entry | {"at": datetime.fromisoformat(entry["at"])} for entry in log]

    def steer(self, race_id: str, **changes: Any) -> None:
        """Makes it report this of a race."""
        self._call_control("POST", f"races/{race_id}", changes)

    def fault(self, kind: str, **options: Any) -> None:
        self._call_control("POST", "faults", {"kind": kind, **options})

    def clear_requests(self) -> None:
        self._call_control("DELETE", "requests")

    def _call_control(self, method: str, path: str, body: object = None) -> Any:
        reply = requests.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=60)
        reply.raise_for_status()
        return reply.json()


def given() -> AbstractContextManager[None] | None:
    """Stands for a provider that the command names, and that nobody can steer; None where it names none."""
    return nullcontext() if os.environ.get("BENCH_PROVIDER_IS_GIVEN") else None


@contextmanager
def provider(*, seed: int = 7, now: datetime | None = None, **options: Any) -> Iterator[Provider]:
    """Serves at SANDBOX_PROVIDER_URL until the end; `options` are those of make_server."""
    context = multiprocessing.get_context("spawn")
    clock = context.Value("q", 0, lock=False)
    parts = urlsplit(settings.SANDBOX_PROVIDER_URL)
    arguments = (parts.port, seed, clock, options)
    process = context.Process(target=_serve_provider, args=arguments, daemon=True)
    handle = Provider(f"http://{parts.netloc}", clock)
    if now:
        handle.set_clock(now)
    process.start()
    try:
        eventually("the provider serves", lambda: _does_answer(handle))
        yield handle
    finally:
        process.terminate()
        process.join(10)


def _serve_provider(port: int, seed: int, clock: Any, options: dict[str, Any]) -> None:
    def now() -> datetime:
        return EPOCH + clock.value * MICROSECOND if clock.value else datetime.fromtimestamp(time.time(), UTC)

    make_server(port, seed=seed, clock=now, **options).serve_forever()


def _does_answer(handle: Provider) -> bool:
    try:
        handle.clear_requests()
    except requests.ConnectionError:
        return False
    return True
