"""Foreign errors of the transport: each is one of ours, and none says a secret."""

import inspect
import ssl
from typing import Any

import pytest
import requests
import urllib3
from appwrite.exception import AppwriteException
from pytest_httpserver import HTTPServer

from polling.appwrite.api.client import TRANSLATIONS, SyncClient, TablesDB, sdk_errors_translated, translation
from polling.appwrite.api.errors import InvalidRequest
from polling.errors import Ambiguous, Blocked, Conflict, Malformed, NotFound, PollingError, RateLimited, Unavailable

KEY = "standard_0123456789abcdef"


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/v1/health/version").respond_with_json({"version": "1.9.6"})
    return httpserver


@pytest.fixture
def client(server: HTTPServer) -> SyncClient:
    client = SyncClient(server.url_for("/v1"), "project", KEY)
    assert client.server_version() == (1, 9, 6)
    return client


PATH = "/tablesdb/racepoll/tables/races/rows"


def classes_of(module: Any, root: type[BaseException]) -> list[type[BaseException]]:
    found = [thing for _, thing in inspect.getmembers(module, inspect.isclass) if issubclass(thing, root)]
    return sorted(found, key=lambda thing: thing.__name__)


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


@pytest.mark.parametrize(
    "foreign", classes_of(requests.exceptions, requests.RequestException), ids=lambda foreign: foreign.__name__
)
def test_every_error_of_requests_is_translated(foreign: type[BaseException]) -> None:
    exc = foreign("x", "doc", 0) if foreign.__name__ == "JSONDecodeError" else foreign(f"says {KEY}")
    for write, meaning in zip((False, True), MEANINGS[foreign.__name__], strict=True):
        error = translation(exc, write=write)
        assert type(error) is meaning
        assert KEY not in str(error)


def test_no_error_of_urllib3_escapes() -> None:
    kin = classes_of(urllib3.exceptions, urllib3.exceptions.HTTPError)
    assert len(kin) > 20
    assert all(any(parent in TRANSLATIONS for parent in foreign.__mro__) for foreign in kin)


def test_a_certificate_that_is_not_trusted_is_the_set_up() -> None:
    cause = urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed"))
    assert type(translation(requests.exceptions.SSLError(cause), write=True)) is Blocked


@pytest.mark.parametrize(
    ("exc", "meaning"),
    [
        pytest.param(AppwriteException("Unable to parse response into Row"), Malformed, id="a model that does not fit"),
        pytest.param(AppwriteException("no", 401, "user_unauthorized"), Blocked, id="a wrong key"),
        pytest.param(AppwriteException("gone", 404, "row_not_found"), NotFound, id="a row is gone"),
        pytest.param(AppwriteException("newer", 409, "row_update_conflict"), Conflict, id="the row changed"),
        pytest.param(AppwriteException("bad", 400, "row_invalid_structure"), InvalidRequest, id="a bad row"),
        pytest.param(AppwriteException("slow down", 429, "general_rate_limit_exceeded"), RateLimited, id="too fast"),
        pytest.param(AppwriteException("broken", 500, "general_unknown"), Unavailable, id="the server broke"),
        *[
            pytest.param(kin("x"), Malformed, id=f"its kin {kin.__name__}")
            for kin in AppwriteException.__subclasses__()
        ],
    ],
)
def test_every_error_of_the_sdk_is_translated(exc: AppwriteException, meaning: type[PollingError]) -> None:
    assert type(translation(exc, write=False)) is meaning


def test_the_sdks_services_run_on_this_transport(server: HTTPServer, client: SyncClient) -> None:
    row = {
        "$id": "a", "$sequence": 7, "$createdAt": "", "$updatedAt": "", "$permissions": [],
        "$databaseId": "racepoll", "$tableId": "races", "name": "Cup",
    }  # fmt: skip
    server.expect_request(f"/v1{PATH}/a").respond_with_json(row)
    assert TablesDB(client).get_row("racepoll", "races", "a").sequence == "7"


def test_a_service_that_cannot_read_its_answer_raises_one_of_ours(server: HTTPServer, client: SyncClient) -> None:
    server.expect_request("/v1/tablesdb/racepoll").respond_with_json({"name": {"not": "a name"}})
    with pytest.raises(Malformed), sdk_errors_translated():
        TablesDB(client).get("racepoll")
