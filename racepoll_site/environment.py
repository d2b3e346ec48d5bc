"""Reads and checks environment values, and names every one that is wrong in a line of its own."""

import os
import re
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from polling.cadence import Window, read_windows

T = TypeVar("T")


class Environment:
    """The environment, with `NAME_FILE` for secrets kept in files; an empty value counts as absent.

    Problems are collected, so that one start names them all; `check` raises them.
    """

    def __init__(self, *files: Path) -> None:
        self._env = environ.FileAwareEnv()
        self._problems: list[str] = []
        for file in files:
            self.read(file)

    def read(self, file: Path) -> list[str]:
        """Adds a file's lines and returns the names that are new; what the environment has already wins."""
        if not file.is_file():
            return []
        added = {name: value for name, value in _lines(file).items() if value and not os.environ.get(name)}
        os.environ.update(added)
        return list(added)

    def text(self, name: str, default: str = "") -> str:
        try:
            return str(self._env.str(name, default=default)) or default
        except ImproperlyConfigured as error:
            self._problems.append(f"{name}: {error}")
            return default

    def needed(self, name: str, why: str) -> str:
        """The value of a variable that must be there; `why` says what needs it."""
        return self.text(name) or self.reject(name, f"is not set; {why}", "")

    def matching(self, name: str, pattern: str, what: str, default: str = "") -> str:
        """A value of a form, which `what` says; it is not shown, it may be a secret."""
        value = self.text(name, default)
        return value if not value or re.fullmatch(pattern, value) else self.reject(name, f"must be {what}", default)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self.text(name, default)
        if value in choices:
            return value
        return self.reject(name, f"is {value!r}, not one of {', '.join(choices)}", default)

    def flag(self, name: str, *, default: bool) -> bool:
        """`true` or `false` and their usual spellings; anything else is a mistake, not a no."""
        words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False}
        words["off"] = False
        value = self.text(name, str(default)).lower()
        return words[value] if value in words else self.reject(name, f"is {value!r}, not true or false", default)

    def integer(self, name: str, *, default: int, least: int, most: int) -> int:
        value = self._cast(name, int, default, "a whole number")
        if least <= value <= most:
            return value
        return self.reject(name, f"is {value}, not from {least} to {most}", default)

    def seconds(self, name: str, *, default: int, least: int, most: int) -> timedelta:
        return timedelta(seconds=self.integer(name, default=default, least=least, most=most))

    def url(self, name: str, default: str = "", schemes: Sequence[str] = ("http", "https")) -> str:
        """A URL with a host and one of `schemes`, without its last slash."""
        value = self.text(name, default)
        if not value or _is_url(value, schemes):
            return value.rstrip("/")
        # The value is not shown: URLs carry passwords.
        return self.reject(name, f"is not a URL of {' or '.join(schemes)}", "")

    def ca_file(self, name: str) -> str:
        """The path of a file of CA certificates that can be read now; empty for the public CAs."""
        path = self.text(name)
        if not path:
            return ""
        try:
            ssl.create_default_context(cafile=path)
        except ssl.SSLError:
            return self.reject(name, f"names {path}, which has no certificate in PEM form", "")
        except (OSError, ValueError) as error:
            why = (getattr(error, "strerror", None) or "it cannot be read").lower()
            return self.reject(name, f"names {path}: {why}", "")
        return path

    def proxy(self, name: str) -> str:
        """The URL of an HTTP proxy, empty for none; not shown, it may hold a password."""
        value = self.text(name)
        if not value:
            return ""
        parts = urlsplit(value) if _is_url(value, ("http", "https")) else None
        if parts is None or not parts.hostname or parts.path.strip("/") or parts.query or re.search(r"\s", value):
            return self.reject(name, "is not the URL of a proxy, such as http://proxy.example.com:3128", "")
        return value.rstrip("/")

    def names(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A comma-separated list."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip()) or tuple(default)

    def windows(self, name: str, default: tuple[Window, ...]) -> tuple[Window, ...]:
        """Windows of the cadence as `minutes before the start:step in seconds`, widest first, the last at 0."""
        try:
            return read_windows(self.text(name)) or default
        except ValueError:
            return self.reject(name, f"is {self.text(name)!r}, not minutes:seconds, comma-separated", default)

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Django's settings of a database given as a URL."""
        value = self.text(name, default)
        try:
            config: dict[str, Any] = environ.Env.db_url_config(value)
        except (ImproperlyConfigured, ValueError, KeyError):
            config = {}
        if config.get("ENGINE") in ("django.db.backends.sqlite3", "django.db.backends.postgresql"):
            return config
        return self.reject(name, "is not a sqlite:// or postgres:// URL", environ.Env.db_url_config(default))

    def reject(self, name: str, problem: str, fallback: T) -> T:
        """Notes what is wrong and goes on with `fallback`, so that the next mistake is found too."""
        self._problems.append(f"{name} {problem}")
        return fallback

    def check(self) -> None:
        """Raises ImproperlyConfigured, a line for each variable that is missing or wrong."""
        if self._problems:
            raise ImproperlyConfigured("\n".join(self._problems))

    def _cast(self, name: str, cast: Callable[[str], T], default: T, kind: str) -> T:
        value = self.text(name)
        try:
            return cast(value) if value else default
        except ValueError:
            return self.reject(name, f"is {value!r}, not {kind}", default)


def _lines(file: Path) -> dict[str, str]:
    """The variables of an environment file, read as django-environ reads it."""

    class Lines(environ.Env):  # type: ignore[misc]
        ENVIRON: ClassVar[dict[str, str]] = {}

    Lines.read_env(str(file))
    return Lines.ENVIRON


def _is_url(value: str, schemes: Sequence[str]) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.netloc or parts.scheme == "unix") and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        return False
