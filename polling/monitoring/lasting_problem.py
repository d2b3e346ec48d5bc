"""A problem that lasts: reported when it begins and when it ends, not each time it is seen."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from polling.errors import words_of


@dataclass(slots=True)
class Edge:
    """One kind of problem as this process sees it.

    `problem` names it and what follows from it ("the statistics cannot be stored; ticks go on"); both messages go to
    `logger` at WARNING.
    """

    logger: logging.Logger
    problem: str
    _began_at: float | None = field(default=None, init=False)

    @property
    def lasts(self) -> bool:
        """Whether the problem was there at the last look."""
        return self._began_at is not None

    def begins(self) -> bool:
        """The problem is there; whether it was not before, for who reports it in words of its own."""
        was_there = self.lasts
        self._began_at = self._began_at if was_there else time.monotonic()
        return not was_there

    def begin(self, why: str) -> None:
        """The problem is there; reported unless it was there already."""
        if self.begins():
            self.logger.warning("%s: %s", self.problem, why)

    def end(self) -> None:
        """The problem is not there; reported if it was."""
        if self._began_at is not None:
            lasted = timedelta(seconds=round(time.monotonic() - self._began_at))
            self._began_at = None
            self.logger.warning("no longer, after %s: %s", lasted, self.problem)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Runs what must not stop its caller: an error of it begins the problem, its success ends it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever fails here is a by-product, and the duty goes on
            self.begin(words_of(error))
        else:
            self.end()
