"""A problem that lasts: reported when it begins and when it ends, not each time it is seen."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from polling.errors import error_text


@dataclass(slots=True)
class LastingProblem:
    """One kind of problem as this process sees it; what all hosts share is kept in a row of the database instead.

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
        """Notes that the problem is there; whether it was not before, for a caller that reports it in other words."""
        was_there = self.lasts
        self._began_at = self._began_at if was_there else time.monotonic()
        return not was_there

    def begin(self, why: str) -> None:
        """Notes that the problem is there, and reports it unless it was there already."""
        if self.begins():
            self.logger.warning("%s: %s", self.problem, why)

    def end(self) -> None:
        """Notes that the problem is not there, and reports its end if it was."""
        if self._began_at is not None:
            lasted = timedelta(seconds=round(time.monotonic() - self._began_at))
            self._began_at = None
            self.logger.warning("no longer, after %s: %s", lasted, self.problem)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Runs a block that must not stop its caller: any error in it begins the problem, its success ends it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever fails here, its caller goes on without it
            self.begin(error_text(error))
        else:
            self.end()
