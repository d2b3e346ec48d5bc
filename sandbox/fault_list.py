"""The faults that are switched on in a server, shared by the threads of its connections."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar


@dataclass(frozen=True)
class CountedFault:
    """A fault of a kind; `times` counts the requests that it still is for, None is until it is cleared."""

    kind: str
    times: int | None = None

    def used_once(self) -> Self:
        return self if self.times is None else replace(self, times=self.times - 1)


F = TypeVar("F", bound=CountedFault)


def fault_from(body: dict[str, Any], fault_class: type[F], kinds: Collection[str]) -> F:
    """The fault that a request describes. Raises ValueError for an unknown kind or field, and for no times at all."""
    if body.get("kind") not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}")
    try:
        fault = fault_class(**body)
    except TypeError as exc:
        raise ValueError(str(exc)) from exc
    if fault.times is not None and fault.times < 1:
        raise ValueError("times must be at least 1, or null for until it is cleared")
    return fault


class FaultList(Generic[F]):
    """Oldest first. What a fault does, and which request uses it, is each server's own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[F] = []

    def add(self, fault: F) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults = []

    def _replace_faults(self, faults: list[F]) -> None:
        """Keeps those that are not used up; called with the lock held."""
        self._faults = [fault for fault in faults if fault.times != 0]
