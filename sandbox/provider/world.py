"""What one simulated provider is made of: its card, its clock, and what a test switched on."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sandbox.provider.card import Card, Override, RaceState, state
from sandbox.provider.faults import Faults
from sandbox.provider.life import Race
from sandbox.request_log import RequestLog


class World:
    """The state that the API and the control routes share; the card itself never changes."""

    def __init__(self, card: Card, clock: Callable[[], datetime], log: RequestLog) -> None:
        self.card = card
        self.log = log
        self.faults = Faults()
        self.offset = timedelta()
        self._clock = clock
        self._lock = threading.Lock()
        self._overrides: dict[str, Override] = {}

    def now(self) -> datetime:
        return self._clock() + self.offset

    def see(self, races: Sequence[Race], target: str, *, now: datetime, is_list: bool = False) -> list[RaceState]:
        """The races as the API shows them to this request: without the vanished ones, with faults."""
        with self._lock:
            overrides = dict(self._overrides)
        states = [
            state(race, now=now, override=overrides.get(race.id))
            for race in races
            if race.id not in overrides or not overrides[race.id].vanished
        ]
        return self.faults.falsify(states, target, is_list=is_list)

    def steer(self, race_id: str, changes: dict[str, Any], *, now: datetime) -> Override:
        """Adds to what was said of the race before; a field that is None goes back to the card."""
        with self._lock:
            known = self._overrides.get(race_id, Override(set_at=now))
            # Other fields keep the instant of a scratching that stands.
            set_at = now if "scratched" in changes else known.set_at
            self._overrides[race_id] = replace(known, **changes, set_at=set_at)
            return self._overrides[race_id]

    def release(self, race_id: str) -> None:
        with self._lock:
            self._overrides.pop(race_id, None)
