"""Each error of requests and urllib3 is one of ours, by what happens next, and none quotes a secret."""

import inspect
from types import ModuleType

import pytest
import requests
import urllib3

from polling.errors import Ambiguous, Blocked, Malformed, PollingError, Unavailable
from polling.http.foreign_errors import FOREIGN_ERRORS, TRANSLATIONS, is_timeout, translate

PATH = "/racing/meetings"
KEY = "standard_0123456789abcdef"

# By class: what a read's and a write's failure of it mean. A class that is not here fails the test below.
LOST = (Unavailable, Ambiguous)
SET_UP = (Blocked, Blocked)
UNREADABLE = (Malformed, Malformed)
MEANINGS: dict[str, tuple[type[PollingError], type[PollingError]]] = {
    **dict.fromkeys(
        ("RequestException", "HTTPError", "ConnectionError", "ProxyError", "SSLError", "Timeout", "ReadTimeout",
         "ChunkedEncodingError", "StreamConsumedError", "RetryError", "UnrewindableBodyError"),
        LOST,
    ),
    **dict.fromkeys(
        ("URLRequired", "MissingSchema", "InvalidSchema", "InvalidURL", "InvalidHeader", "InvalidProxyURL",
         "TooManyRedirects"),
        SET_UP,
    ),
    **dict.fromkeys(("InvalidJSONError", "JSONDecodeError", "ContentDecodingError"), UNREADABLE),
    "ConnectTimeout": (Unavailable, Unavailable),
}  # fmt: skip


def classes_of(module: ModuleType, root: type[BaseException]) -> list[type[BaseException]]:
    found = [thing for _, thing in inspect.getmembers(module, inspect.isclass) if issubclass(thing, root)]
    return sorted(found, key=lambda thing: thing.__name__)


OF_REQUESTS = classes_of(requests.exceptions, requests.RequestException)


def test_no_error_of_requests_is_left_without_a_translation() -> None:
    assert {foreign.__name__ for foreign in OF_REQUESTS} == set(MEANINGS)


@pytest.mark.parametrize("foreign", OF_REQUESTS, ids=lambda foreign: foreign.__name__)
def test_every_error_of_requests_is_translated(foreign: type[BaseException]) -> None:
    exc = foreign(KEY, "text", 0) if issubclass(foreign, requests.JSONDecodeError) else foreign(f"quotes {KEY}")
    for is_write, meaning in zip((False, True), MEANINGS[foreign.__name__], strict=True):
        error = translate(exc, subject=PATH, is_write=is_write, http_status=200)
        assert type(error) is meaning
        assert (str(error), error.http_status) == (f"{PATH}: {foreign.__name__}", 200)
        assert KEY not in f"{error!r} {error.sample}"


def test_no_error_of_urllib3_escapes() -> None:
    kin = classes_of(urllib3.exceptions, urllib3.exceptions.HTTPError)
    assert len(kin) > 20
    assert all(any(parent in TRANSLATIONS for parent in foreign.__mro__) for foreign in kin)


@pytest.mark.parametrize(
    ("exc", "expected", "message"),
    [
        (urllib3.exceptions.HTTPError(), Unavailable, "HTTPError"),
        (urllib3.exceptions.ProtocolError("cut"), Unavailable, "ProtocolError"),
        (UnicodeEncodeError("latin-1", "☃", 0, 1, "no"), Blocked, "UnicodeEncodeError"),
    ],
)
def test_what_slips_through_requests_becomes_ours_too(
    exc: BaseException, expected: type[PollingError], message: str
) -> None:
    assert isinstance(exc, FOREIGN_ERRORS)
    assert (type(translate(exc)), str(translate(exc))) == (expected, message)


def test_the_innermost_cause_is_named() -> None:
    refused = urllib3.exceptions.ConnectTimeoutError("pool", "no answer")
    exc = requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", refused))  # type: ignore[arg-type]
    assert str(translate(exc, subject=PATH)) == f"{PATH}: ConnectTimeoutError"


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (requests.ReadTimeout(), True),
        (requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "/", "late")), True),  # type: ignore[arg-type]
        (requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", ConnectionResetError())), False),
    ],
    ids=repr,
)
def test_a_wait_that_ended_differs_from_a_connection_that_ended(exc: BaseException, expected: bool) -> None:
    assert is_timeout(exc) is expected
