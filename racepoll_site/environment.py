"""Reads and checks environment values, and names every one that is wrong in a line of its own."""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from polling.cadence import Cadence, Window

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
        before = set(os.environ)
        if file.is_file():
            environ.Env.read_env(str(file))
        return sorted(set(os.environ) - before)

    def text(self, name: str, default: str = "") -> str:
        try:
            return str(self._env.str(name, default=default)) or default
        except ImproperlyConfigured as error:
            self._problems.append(f"{name}: {error}")
            return default

    def needed(self, name: str, why: str) -> str:
        """The value of a variable that must be there; `why` says what needs it."""
        return self.text(name) or self.reject(name, f"is not set; {why}", "")

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
        if not value:
            return ""
        parts = urlsplit(value)
        if parts.scheme in schemes and parts.netloc:
            return value.rstrip("/")
        return self.reject(name, f"is {value!r}, not a URL of {' or '.join(schemes)}", "")

    def names(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A comma-separated list."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip()) or tuple(default)

    def windows(self, name: str, default: tuple[Window, ...], tick: timedelta) -> tuple[Window, ...]:
        """Windows of the cadence as `minutes before the start:step in seconds`, widest first, the last at 0."""
        try:
            pairs = [part.split(":") for part in self.names(name)]
            windows = tuple(
                Window(timedelta(minutes=float(opens)), timedelta(seconds=int(step))) for opens, step in pairs
            )
            return Cadence(windows or default, tick).windows
        except ValueError as error:
            return self.reject(name, f"is {self.text(name)!r}: {error}", default)

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Django's settings of a database given as a URL."""
        value = self.text(name, default)
        try:
            config: dict[str, Any] = environ.Env.db_url_config(value)
        except (ImproperlyConfigured, ValueError, KeyError):
            config = {}
        if config.get("ENGINE") in ("django.db.backends.sqlite3", "django.db.backends.postgresql"):
            return config
        shown = value.split("@")[-1]  # never a password
        return self.reject(name, f"({shown}) is not a sqlite:// or postgres:// URL", environ.Env.db_url_config(default))

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
