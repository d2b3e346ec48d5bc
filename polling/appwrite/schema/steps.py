"""What is wanting in Appwrite, and how it is made."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from polling.appwrite.api.client import sdk_errors_translated
from polling.errors import Conflict


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is wanting, in words, and how to make it so."""

    words: str
    make: Callable[[], object]


@contextmanager
def made_by_anybody() -> Iterator[None]:
    """Somebody else may make the same at the same time. The SDK's warning of text columns is left out."""
    with suppress(Conflict), sdk_errors_translated(), warnings.catch_warnings(record=True):
        yield
