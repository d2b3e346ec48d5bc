"""Faults of requests to come: some replace the answer or how it is sent, some falsify the races in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sandbox.fault_list import CountedFault, FaultList, fault_from
from sandbox.provider.formats import Json, error
from sandbox.provider.race_state import RaceState
from sandbox.provider.replies import Reply

# Kinds that replace the answer, with their status; None where no answer comes, or the usual one in a bad way:
# a byte every `delay_ms` (drip), reset in the middle (cut), late (slow), or the one to another question.
REPLACING: dict[str, int | None] = {
    "rate_limited": 429,
    "error": 500,
    "blocked": 403,
    "html": 200,
    "malformed": 200,
    "drop": None,
    "cut": None,
    "drip": None,
    "wrong_race": None,
    "slow": None,
}
# Kinds that falsify a race, with how often a list then holds it.
FALSIFYING = {"missing_race": 0, "unknown_status": 1, "duplicate_race": 2}
MESSAGES = {
    "rate_limited": "You're requesting data too fast! Set your identification headers and contact us.",
    "error": "We had a problem with our server. Try again later.",
}
PAGE = "<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
PAGES = {"blocked": "Access Denied", "html": "Down for maintenance"}


@dataclass(frozen=True)
class Fault(CountedFault):
    """One fault; `race_id` narrows it to the event of that race, a falsifying one to that race in any answer."""

    path_contains: str = ""
    race_id: str | None = None
    retry_after: int | str | None = None
    status: int | None = None
    delay_ms: float = 0
    value: str = "Suspended"

    def replaces(self, target: str) -> bool:
        if self.kind == "wrong_race" and "/events/" not in target:
            return False
        return self.kind in REPLACING and self.path_contains in target and (self.race_id or "") in target

    def falsify(self, states: Sequence[RaceState], *, is_list: bool) -> list[RaceState]:
        """The races as this fault shows them."""
        return [shown for state in states for shown in self._falsify_race(state, is_list)]

    def _falsify_race(self, state: RaceState, is_list: bool) -> list[RaceState]:
        if self.race_id not in (None, state.race.id):
            return [state]
        if self.kind == "unknown_status":
            return [replace(state, status=self.value)]
        return [state] * FALSIFYING[self.kind] if is_list else [state]


def read_fault(body: Json) -> Fault:
    """The fault that a request describes. Raises ValueError."""
    return fault_from(body, Fault, (*REPLACING, *FALSIFYING))


def fault_reply(fault: Fault, url: str, *, now: datetime) -> Reply:
    """The answer of a fault that replaces it: an error of the API, or a page from what stands before it."""
    status = fault.status or REPLACING[fault.kind] or 200
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.kind in PAGES:
        return Reply(status, PAGE.format(title=PAGES[fault.kind]), headers)
    return Reply(status, error(MESSAGES[fault.kind], url, now=now), headers)


class Faults(FaultList[Fault]):
    """The faults of this server."""

    def take(self, target: str) -> list[Fault]:
        """The faults that replace the answer to this request: all slow ones and the first other."""
        with self._lock:
            found = [fault for fault in self._faults if fault.replaces(target)]
            taken = [fault for fault in found if fault.kind == "slow"]
            taken += [fault for fault in found if fault.kind != "slow"][:1]
            self._count_down(taken)
        return taken

    def falsify(self, states: Sequence[RaceState], target: str, *, is_list: bool) -> list[RaceState]:
        """The races as the faults show them; a fault that changed nothing is not used up."""
        shown, used = list(states), []
        with self._lock:
            for fault in self._faults:
                if fault.kind in FALSIFYING and fault.path_contains in target:
                    before, shown = shown, fault.falsify(shown, is_list=is_list)
                    used += [fault] if shown != before else []
            self._count_down(used)
        return shown

    def _count_down(self, taken: Sequence[Fault]) -> None:
        """Counts one request for each of these faults; called with the lock held."""
        self._replace_faults(
            [fault.used_once() if any(fault is used for used in taken) else fault for fault in self._faults]
        )
