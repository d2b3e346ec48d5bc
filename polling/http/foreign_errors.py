"""The errors of requests and urllib3 as ours, by their class."""

from collections.abc import Iterator

import requests
import urllib3

from polling.errors import Ambiguous, Blocked, Malformed, PollingError, Unavailable

# UnicodeError: a header that cannot be sent. urllib3's own errors slip through requests now and then.
FOREIGN_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError)

# Where Unavailable stands, a write that was sent becomes Ambiguous.
TRANSLATIONS: dict[type[BaseException], type[PollingError]] = {
    requests.exceptions.URLRequired: Blocked,
    requests.exceptions.MissingSchema: Blocked,
    requests.exceptions.InvalidSchema: Blocked,
    requests.exceptions.InvalidURL: Blocked,
    requests.exceptions.InvalidHeader: Blocked,
    requests.exceptions.TooManyRedirects: Blocked,
    requests.exceptions.InvalidJSONError: Malformed,
    requests.exceptions.ContentDecodingError: Malformed,
    requests.RequestException: Unavailable,
    urllib3.exceptions.DecodeError: Malformed,
    urllib3.exceptions.HTTPError: Unavailable,
    UnicodeError: Blocked,
}
NEVER_SENT = (requests.exceptions.ConnectTimeout, urllib3.exceptions.NewConnectionError)
TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)


def translate(
    exc: BaseException, *, subject: str = "", is_write: bool = False, http_status: int | None = None
) -> PollingError:
    """A foreign error as one of ours: `subject` and the class of its innermost cause.

    Its own text is left out, because it may quote a URL or a header that holds a key. `http_status` is that of an
    answer whose body was lost.
    """
    ours = next((ours for kin in type(exc).__mro__ if (ours := TRANSLATIONS.get(kin))), Unavailable)
    causes = list(causes_of(exc))
    if is_write and ours is Unavailable and not any(isinstance(cause, NEVER_SENT) for cause in causes):
        ours = Ambiguous
    return ours(f"{subject}: {type(causes[-1]).__name__}".removeprefix(": "), http_status=http_status)


def is_timeout(exc: BaseException) -> bool:
    """Whether the wait for a connection or an answer ended, and not the connection."""
    return any(isinstance(cause, TIMEOUTS) for cause in causes_of(exc))


def causes_of(exc: BaseException) -> Iterator[BaseException]:
    """The error, and inside it what requests and urllib3 wrapped: the innermost one last."""
    inner: object = exc
    while isinstance(inner, BaseException):
        yield inner
        reason = getattr(inner, "reason", None)
        inner = (
            reason
            if isinstance(reason, BaseException)
            else next((arg for arg in inner.args if isinstance(arg, Exception)), None)
        )
