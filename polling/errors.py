"""Errors of providers and of Appwrite, by what happens next.

PollingError
├── Unavailable        no answer, or a 5xx: ask again
│   └── Ambiguous      a write whose answer was lost: it may have landed, read it back
├── OutOfTime          our own deadline ended first: no failure of the other side, the next run goes on
├── RateLimited        too fast: not before `retry_after`
│   └── NotAsked       no request was made: it asked us to wait, we have no tokens, or its breaker is open
├── Blocked            refused (401, 403, wrong set-up): a person must act
├── NotFound           the other side does not know the thing
├── Malformed          an answer that cannot be read: keep `sample`, fix the parser
└── Conflict           the row changed since we read it: read, merge, write again
"""

from dataclasses import dataclass
from datetime import timedelta

SAMPLE_BYTES = 2_000


def _storable_text(text: str) -> str:
    """The text without what no database takes: NUL, and halves of characters."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


@dataclass(eq=False)  # an exception must stay hashable
class PollingError(Exception):
    """The root of these errors; `http_status` is None where no answer came, `sample` the start of an unreadable one."""

    message: str = ""
    http_status: int | None = None
    sample: str = ""

    def __post_init__(self) -> None:
        super().__init__(self.message)
        self.message = _storable_text(self.message)
        self.sample = _storable_text(self.sample).encode()[:SAMPLE_BYTES].decode(errors="ignore")

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class Unavailable(PollingError):
    """No answer, or an error of the other side's own (5xx): ask again later.

    `foreign` where the answer is not the other side's own: a proxy before it, or another service, gave it.
    """

    foreign: bool = False


class Ambiguous(Unavailable):
    """A write was sent and no answer came: it may have landed."""


@dataclass(eq=False)
class OutOfTime(PollingError):
    """Our own deadline ended after `waited_seconds` without an answer. A write may have landed."""

    waited_seconds: float = 0.0


@dataclass(eq=False)
class RateLimited(PollingError):
    """Asked too fast; `retry_after` is None where the other side did not say how long to wait."""

    retry_after: timedelta | None = None


class NotAsked(RateLimited):
    """No request was made; the next poll or import that is due asks again."""


class Blocked(PollingError):
    """Refused for our credentials or configuration: a person must act."""


class NotFound(PollingError):
    """The other side does not know what was asked for."""


class Malformed(PollingError):
    """An answer that cannot be read."""


class Conflict(PollingError):
    """The row changed since it was read."""


def error_text(error: Exception) -> str:
    """An error as records keep it: its class and message, 500 characters at most."""
    return f"{type(error).__name__}: {error}"[:500]
