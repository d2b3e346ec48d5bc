"""The URLs of the database and of Redis, read strictly: a part that would be ignored or misread is refused.

No message shows anything of a URL, which may carry a password.
"""

import warnings
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

SQLITE = "django.db.backends.sqlite3"
POSTGRES = "django.db.backends.postgresql"
FORM = "is not a sqlite:///PATH or postgres://USER:PASSWORD@HOST:PORT/NAME URL"
ENCODED = "special characters in its parts must be percent-encoded"


class BadURL(ValueError):
    """A URL that cannot be used; the message follows the variable's name."""


def database_config(url: str) -> dict[str, Any]:
    """Django's settings of the database of a URL. Raises BadURL."""
    try:
        parts = urlsplit(url)
        scheme, host, path = parts.scheme, parts.hostname, unquote(parts.path)
        _ = parts.port
    except ValueError:
        raise BadURL(f"{FORM}; {ENCODED}") from None
    if scheme == "sqlite":
        if parts.netloc or parts.query or parts.fragment or len(path) < 2 or path == "/:memory:":
            raise BadURL(f"is not a sqlite:///PATH URL of a file; write ? as %3F and # as %23. {ENCODED.capitalize()}")
        # As it stands: django-environ would turn a plus into a space.
        return {"ENGINE": SQLITE, "NAME": path[1:]}
    if any(sign.isspace() for sign in url) or parts.fragment or "@" in path:
        raise BadURL(f"{FORM}; {ENCODED}")
    config = _postgres_config(url)
    if config.get("ENGINE") != POSTGRES or not config.get("NAME") or not (host or config.get("HOST") or path):
        raise BadURL(FORM)
    _check_postgres_options(config.get("OPTIONS", {}))
    return config


def _postgres_config(url: str) -> dict[str, Any]:
    """The URL as django-environ reads it, without its warnings, which would show the password; empty if it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dict(environ.Env.db_url_config(url))
        except (ImproperlyConfigured, ValueError, KeyError):
            return {}


def _check_postgres_options(options: dict[str, Any]) -> None:
    import psycopg
    from psycopg.conninfo import make_conninfo

    try:
        make_conninfo("", **options)
    except psycopg.Error:
        raise BadURL("has an option after its ? that PostgreSQL does not know") from None


def redis_url(url: str) -> str:
    """The same URL, if it is one of a Redis. Raises BadURL."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    is_socket = parts.scheme == "unix" and len(parts.path) > 1
    is_server = parts.scheme in ("redis", "rediss") and bool(host)
    if not (is_socket or is_server) or parts.fragment or any(sign.isspace() for sign in url):
        raise BadURL(f"is not a URL of redis or rediss or unix; {ENCODED}")
    number = parts.path.strip("/") if is_server else dict(parse_qsl(parts.query)).get("db", "")
    if number and not (number.isascii() and number.isdigit()):
        raise BadURL("ends in a database that is not a number")
    _check_redis_accepts(url)
    return url


def _check_redis_accepts(url: str) -> None:
    """Has the client read the URL now, which it otherwise does at the first connection. Raises BadURL."""
    import redis

    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, redis.RedisError):
        raise BadURL("has an option after its ? that Redis does not know") from None
