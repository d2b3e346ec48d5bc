"""A simulated provider: its card, its clock, and what a test switched on."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sandbox.provider.cards import Card
from sandbox.provider.faults import Faults
from sandbox.provider.race import Race
from sandbox.provider.race_state import Override, RaceState, state_of
from sandbox.request_log import RequestLog


class Simulation:
    """The state that the API and the control routes share; the card itself never changes."""

    def __init__(self, card: Card, clock: Callable[[], datetime], log: RequestLog) -> None:
        self.card = card
        self.now = clock
        self.log = log
        self.faults = Faults()
        self._lock = threading.Lock()
        self._overrides: dict[str, Override] = {}

    def report(self, races: Sequence[Race], target: str, *, now: datetime, is_event: bool = False) -> list[RaceState]:
        """The races as the API reports them to this request: without the vanished ones, with faults."""
        with self._lock:
            overrides = dict(self._overrides)
        states = [
            state_of(race, now=now, override=overrides.get(race.id))
            for race in races
            if race.id not in overrides or not overrides[race.id].vanished
        ]
        return self.faults.falsify(states, target, is_list=not is_event)

    def steer(self, race_id: str, changes: dict[str, Any], *, now: datetime) -> None:
        """Adds to what the race was steered to before; a field that is None goes back to the card."""
        with self._lock:
            known = self._overrides.get(race_id, Override(set_at=now))
            # Other fields keep the instant of a scratching that stands.
            set_at = now if "scratched" in changes else known.set_at
            self._overrides[race_id] = replace(known, **changes, set_at=set_at)
