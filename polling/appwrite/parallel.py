"""Many calls at once, until one meets what the others would meet too."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from polling.appwrite.jobs import is_of_all
from polling.errors import PollingError

T = TypeVar("T")
R = TypeVar("R")

# As a transaction of 100 staged updates is slower up to 80 ms of delay: see bench/README.md.
THREADS = 16


def in_parallel(
    call: Callable[[T], R], things: Sequence[T], *, has_time: Callable[[], bool]
) -> list[tuple[T, R | PollingError | None]]:
    """What the call brought for each thing, or its error; None where no time was left to begin it.

    After an error of the server no further call begins: the things left get that error. No database in the call.
    """
    stop: list[PollingError] = []

    def one(thing: T) -> R | PollingError | None:
        if stop or not has_time():
            return stop[0] if stop else None
        try:
            return call(thing)
        except PollingError as error:
            if is_of_all(error):
                stop.append(error)
            return error

    if not things:
        return []
    with ThreadPoolExecutor(min(THREADS, len(things))) as threads:
        return list(zip(things, threads.map(one, things), strict=True))
