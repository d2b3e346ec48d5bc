"""What is missing in Appwrite, and how it is created."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from polling.appwrite.api.client import sdk_errors_translated
from polling.errors import Conflict


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is missing, in words, and what creates it."""

    words: str
    create: Callable[[], object]

    def carry_out(self) -> None:
        """Creates it, unless somebody else has done so meanwhile. Raises PollingError."""
        with created_by_anybody():
            self.create()


@contextmanager
def created_by_anybody() -> Iterator[None]:
    """Somebody else may create the same at the same time. The SDK's warning of text columns is left out."""
    with suppress(Conflict), sdk_errors_translated(), warnings.catch_warnings(record=True):
        yield
