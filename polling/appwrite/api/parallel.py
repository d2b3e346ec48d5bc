"""Many calls at once: as many as the server takes without slowing down, until one fails as all others would."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from statistics import median, quantiles
from time import monotonic
from typing import TypeVar

from django.conf import settings

from polling.appwrite.api.errors import affects_every_row
from polling.errors import Ambiguous, OutOfTime, PollingError

T = TypeVar("T")
R = TypeVar("R")

MOST_AT_ONCE, LEAST_AT_ONCE, FIRST_AT_ONCE = 16, 4, 8
REMEMBERED_ANSWERS = 256
# The median answer, in multiples of an unloaded one: below EASY the limit doubles, above HARD it shrinks.
EASY, HARD = 1.5, 3.0
SHRINKS_TO = 0.75
QUICK_SECONDS, SLOW_SECONDS = 0.005, 1.0  # noise below the first; slow above the other, whatever unloaded ones take
# A call is begun only if an ordinary one would still be answered in time.
LEAST_SECONDS, MOST_SECONDS = 1.0, 3.0


class Concurrency:
    """How many calls one server gets at once: more while it answers as if it were idle, fewer when it slows down."""

    def __init__(self) -> None:
        self.limit = FIRST_AT_ONCE
        self._recent: deque[float] = deque(maxlen=REMEMBERED_ANSWERS)
        self._since_change = 0

    def note_answer(self, seconds: float) -> None:
        """Adjusts the limit by a call that was answered, or cut off, after so many seconds."""
        self._recent.append(max(seconds, QUICK_SECONDS))
        self._since_change += 1
        if self._since_change >= self.limit:
            self._since_change = 0
            self.limit = self._next_limit()

    def _next_limit(self) -> int:
        """The limit doubled, raised by one or shrunk, by the answers since the last change."""
        typical, unloaded = median(list(self._recent)[-self.limit :]), min(self._recent)
        if typical > SLOW_SECONDS or typical > HARD * unloaded:
            return max(LEAST_AT_ONCE, int(self.limit * SHRINKS_TO))
        return min(MOST_AT_ONCE, self.limit * 2 if typical < EASY * unloaded else self.limit + 1)

    @property
    def seconds_to_begin(self) -> float:
        """How much time must be left to begin a call: three of four recent ones took no longer."""
        if len(self._recent) < 4:
            return LEAST_SECONDS
        ordinary = quantiles(list(self._recent)[-4 * MOST_AT_ONCE :], n=4)[2]
        return min(max(ordinary, LEAST_SECONDS), MOST_SECONDS)


@cache
def concurrency_of(endpoint: str) -> Concurrency:
    """The concurrency of one Appwrite, as this process has measured it."""
    return Concurrency()


def concurrency() -> Concurrency:
    """The concurrency of the configured Appwrite."""
    return concurrency_of(settings.APPWRITE_ENDPOINT)


def in_parallel(
    call: Callable[[T], R], items: Sequence[T], *, has_time: Callable[[float], bool]
) -> list[tuple[T, R | PollingError | None]]:
    """Each item with the result of its call, or its error; None where no time was left to begin it.

    `has_time` says whether so many seconds are left. After an error of the server no further call begins: the items
    left get that error. `call` runs in a thread, so it must not use the database.
    """
    if not items:
        return []
    limits = concurrency()
    outcomes: list[R | PollingError | None] = [None] * len(items)
    waiting: Iterator[int] = iter(range(len(items)))
    running: dict[Future[tuple[R | PollingError | None, float]], int] = {}
    stop: PollingError | None = None
    with ThreadPoolExecutor(min(MOST_AT_ONCE, len(items))) as threads:
        while True:
            while stop is None and len(running) < limits.limit and has_time(limits.seconds_to_begin):
                number = next(waiting, None)
                if number is None:
                    break
                running[threads.submit(_timed_call, call, items[number])] = number
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                outcome, seconds = done.result()
                outcomes[running.pop(done)] = outcome
                # Whether the server did the work, or was too slow for it: a refusal, or no connection, comes quickly.
                was_slow = isinstance(outcome, OutOfTime | Ambiguous)
                if was_slow or not (outcome is None or isinstance(outcome, PollingError)):
                    limits.note_answer(seconds)
                if isinstance(outcome, PollingError) and affects_every_row(outcome):
                    stop = stop or outcome
    for number in waiting if stop else ():
        outcomes[number] = stop
    return list(zip(items, outcomes, strict=True))


def _timed_call(call: Callable[[T], R], item: T) -> tuple[R | PollingError | None, float]:
    """The outcome and how long it took. A call that found no time to be sent was not begun: None."""
    began = monotonic()
    try:
        outcome: R | PollingError | None = call(item)
    except OutOfTime as error:
        outcome = error if error.waited_seconds else None
    except PollingError as error:
        outcome = error
    return outcome, monotonic() - began
