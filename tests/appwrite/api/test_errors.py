"""Which of our errors an answer stands for, what it says to do, and which errors meet every row."""

from datetime import timedelta

import pytest

from polling.appwrite.api.errors import InvalidRequest, MissingResource, affects_every_row, error_of_answer
from polling.errors import Ambiguous, Blocked, Conflict, Malformed, NotFound, PollingError, RateLimited, Unavailable


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        pytest.param({"Retry-After": "7"}, timedelta(seconds=7), id="in seconds"),
        pytest.param({"Retry-After": "0.5"}, timedelta(seconds=0.5), id="in parts of seconds"),
        pytest.param({"Retry-After": "999999999"}, timedelta(hours=1), id="at most an hour"),
        pytest.param(
            {"Retry-After": "Mon, 23 Nov 2026 10:00:30 GMT", "Date": "Mon, 23 Nov 2026 10:00:00 GMT"},
            timedelta(seconds=30), id="until an instant, by the server's clock",
        ),
        pytest.param(
            {"X-RateLimit-Reset": "1795428020", "Date": "Mon, 23 Nov 2026 10:00:00 GMT"},
            timedelta(seconds=20), id="until the limit is reset",
        ),
        pytest.param({"Retry-After": "soon"}, None, id="unreadable"),
        pytest.param({}, None, id="no header"),
    ],
)  # fmt: skip
def test_a_429_says_how_long_to_wait(headers: dict[str, str], wait: timedelta | None) -> None:
    error = error_of_answer(429, {}, headers=headers, is_write=True, host="appwrite")
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait


@pytest.mark.parametrize(
    ("status", "kind", "setting"),
    [
        pytest.param(401, "user_unauthorized", "APPWRITE_API_KEY", id="a wrong key"),
        pytest.param(401, "project_key_expired", "APPWRITE_API_KEY", id="an expired key"),
        pytest.param(401, "general_unauthorized_scope", "APPWRITE_API_KEY", id="a scope"),
        pytest.param(403, "project_id_missing", "APPWRITE_PROJECT_ID", id="no project"),
        pytest.param(404, "project_not_found", "APPWRITE_PROJECT_ID", id="another project"),
        pytest.param(404, "database_not_found", "APPWRITE_DATABASE_ID", id="another database"),
        pytest.param(404, "general_route_not_found", "APPWRITE_ENDPOINT", id="another path"),
        pytest.param(407, "", "APPWRITE_PROXY", id="the proxy"),
    ],
)
def test_a_refusal_names_the_setting_to_change(status: int, kind: str, setting: str) -> None:
    error = error_of_answer(
        status, {"type": kind, "message": "no"} if kind else {}, headers={}, is_write=False, host="appwrite"
    )
    assert isinstance(error, Blocked)
    assert setting in str(error)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(),
        Unavailable(http_status=200),
        Unavailable(http_status=503),
        Unavailable(http_status=404, foreign=True),
        RateLimited(),
        Blocked(),
        MissingResource(),
    ],
    ids=repr,
)
def test_an_error_of_the_server_is_about_every_row(error: PollingError) -> None:
    assert affects_every_row(error)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(http_status=500),
        Unavailable(http_status=502, foreign=True),
        Ambiguous(),
        Conflict(),
        NotFound(),
        Malformed(),
        InvalidRequest(),
    ],
    ids=repr,
)
def test_an_error_of_a_row_is_about_that_row(error: PollingError) -> None:
    assert not affects_every_row(error)
