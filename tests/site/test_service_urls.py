"""URLs of database, queue and other servers: used as they are meant, or refused without a password in the message."""

import os

import pytest
from django.core.exceptions import ImproperlyConfigured

from racepoll_site.environment import Environment
from racepoll_site.service_urls import BadURL, database_config, redis_url


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////srv/racepoll/day.sqlite3", "/srv/racepoll/day.sqlite3"),
        ("sqlite:///day.sqlite3", "day.sqlite3"),
        ("sqlite:////srv/a%23b%3Fc%25d+e/day.sqlite3", "/srv/a#b?c%d+e/day.sqlite3"),
    ],
)
def test_sqlite_is_the_very_file(url: str, name: str) -> None:
    assert database_config(url) == {"ENGINE": "django.db.backends.sqlite3", "NAME": name}


@pytest.mark.parametrize(
    ("url", "host", "name", "password"),
    [
        ("postgres://racepoll:p%40ss%2Fw%23@db.example:5433/day", "db.example", "day", "p@ss/w#"),
        ("postgresql://racepoll:p@ss@db.example/day", "db.example", "day", "p@ss"),
        ("postgres:///day", "", "day", ""),
    ],
)
def test_postgres_is_read_with_its_password(url: str, host: str, name: str, password: str) -> None:
    config = database_config(url)
    assert (config["HOST"], config["NAME"], config["PASSWORD"]) == (host, name, password)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("racepoll:s3cret@db.example/day", id="no scheme"),
        pytest.param("//racepoll:s3cret@db.example/day", id="no scheme, slashes"),
        pytest.param("db.example", id="a host"),
        pytest.param("mysql://racepoll:s3cret@db.example/day", id="another database"),
        pytest.param("postgres:/racepoll:s3cret@db.example/day", id="one slash"),
        pytest.param("postgres://racepoll:s3cret@db.example", id="no name"),
        pytest.param("postgres://racepoll:s3cret@db.example:99999/day", id="a port out of range"),
        pytest.param("postgres://racepoll:s3#cret@db.example/day", id="a hash in the password"),
        pytest.param("postgres://racepoll:s3/cret@db.example/day", id="a slash in the password"),
        pytest.param("postgres://racepoll:s3?cret@db.example/day", id="a question mark in the password"),
        pytest.param("postgres://racepoll:s3cret@db.example/my day", id="a space"),
        pytest.param("postgres://racepoll:s3cret@[::1/day", id="an open bracket"),
        pytest.param("postgres://racepoll:s3cret@db.example/day?ssl=on", id="an option that is none"),
        pytest.param("sqlite://day.sqlite3", id="two slashes"),
        pytest.param("sqlite://", id="no file"),
        pytest.param("sqlite://:memory:", id="in memory, where no other process sees it"),
        pytest.param("sqlite:////srv/a?b/day.sqlite3", id="a question mark in a path"),
        pytest.param("sqlite:////srv/a#b/day.sqlite3", id="a hash in a path"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_database_that_would_be_misread_is_refused(url: str) -> None:
    with pytest.raises(BadURL) as caught:
        database_config(url)
    assert "s3" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://:p%23ss@h:6379/3", "rediss://h/0?socket_timeout=5", "unix:///run/r.sock?db=2"]
)
def test_a_redis_is_taken_as_it_stands(url: str) -> None:
    assert redis_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "h:6379", "redis//:s3cret@h", "redis://:s3#cret@h", "redis://:s3cret@", "redis://h/first", "redis://h/0?soket=1",
        "http://h/0", "unix://", "redis://h:99999/0", "redis://h /0",
    ],
)  # fmt: skip
def test_a_redis_that_would_be_misread_is_refused(url: str) -> None:
    with pytest.raises(BadURL) as caught:
        redis_url(url)
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("https://a.example/v1", "https://a.example/v1"),
        ("  https://a.example/v1/ ", "https://a.example/v1"),
        ("https://a .example/v1", None),
        ("https://a.example/v 1", None),
        ("https://a.example/v1\t", "https://a.example/v1"),
        ("https://a.example\\v1", None),
        ("https://:8000/v1", None),
        ("https://a.example/v1?project=x", None),
        ("https://a.example/v1#top", None),
        ("https://a.example:0/v1", None),
        ("https:///v1", None),
        ("a.example/v1", None),
        ("ftp://a.example/v1", None),
    ],
)
def test_an_endpoint_is_a_url_without_spaces(value: str, taken: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPWRITE_ENDPOINT", value)
    environment = Environment()
    assert environment.url("APPWRITE_ENDPOINT") == (taken or "")
    if taken is None:
        with pytest.raises(ImproperlyConfigured, match="^APPWRITE_ENDPOINT is not a URL of http or https$"):
            environment.check(*os.environ)


@pytest.mark.parametrize(
    ("reader", "value", "problem"),
    [
        ("hosts", "https://racepoll.example", "names 'https://racepoll.example', which is not a host name alone"),
        ("hosts", "a.example, b.example:8000", "names 'b.example:8000', which is not a host name alone"),
        ("origins", "racepoll.example", "names 'racepoll.example', not an origin like https://racepoll.example.com"),
        ("origins", "https://a:s3cret@a.example", "names a text with an @, not an origin like"),
        ("origins", "https://a.example/admin", "names 'https://a.example/admin', not an origin like"),
    ],
)
def test_hosts_and_origins_are_not_mixed_up(
    reader: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X_NAMES", value)
    environment = Environment()
    getattr(environment, reader)("X_NAMES")
    with pytest.raises(ImproperlyConfigured) as caught:
        environment.check(*os.environ)
    assert str(caught.value).startswith(f"X_NAMES {problem}")


@pytest.mark.parametrize("value", ["1_000x", "1e3", "nan", "-1", "99999999999999999999", "9" * 5000, "4.0", ""])
def test_a_number_is_whole_and_in_its_range(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_NUMBER", value)
    environment = Environment()
    assert environment.integer("X_NUMBER", default=7, least=1, most=100) == 7
    if value:
        with pytest.raises(ImproperlyConfigured, match="^X_NUMBER is .{1,60}$"):
            environment.check(*os.environ)


def test_a_value_that_is_not_text_is_refused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_KEY", "s3cret\udcff")
    environment = Environment()
    assert (environment.text("X_KEY"), environment.required("X_KEY", "for the test")) == ("", "")
    with pytest.raises(ImproperlyConfigured) as caught:
        environment.check(*os.environ)
    assert str(caught.value) == "X_KEY has characters that are not text"
