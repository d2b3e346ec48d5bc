"""Reads and checks environment variables, and names every one that is wrong in a line of its own.

No message shows a value that may be a secret, nor a line of a file. A name with one of our prefixes that nothing reads
is a mistake, and `check` says which name it is nearest to.
"""

import os
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from polling.cadence import Window, read_windows
from polling.files import UnreadableFile, read_text
from racepoll_site.service_urls import BadURL, database_config, redis_url
from racepoll_site.unknown_variables import unknown_in_file, unknown_in_process

T = TypeVar("T")
LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
FLAGS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Environment:
    """The environment, with `NAME_FILE` for secrets stored in files; an empty value counts as absent.

    Problems are collected, so that one start names them all; `check` raises them.
    """

    def __init__(self, *files: Path) -> None:
        self._problems: list[str] = []
        self._known: set[str] = set()
        self._bad: set[str] = set()
        self._given = tuple(os.environ)  # by the process that started us, without what files add
        self._in_file: dict[str, str] = {}
        for file in files:
            self.read(file)

    def read(self, file: Path) -> list[str]:
        """Adds a file's lines and returns the names that are new; what the environment has already wins.

        A file that is absent has none. Raises ImproperlyConfigured for one that cannot be read to the end.
        """
        if not os.path.lexists(file):
            return []
        lines = read_env_file(file)
        self._in_file |= {name: f"{file}, line {number}" for name, (number, _) in lines.items()}
        added = {name: value for name, (_, value) in lines.items() if value and not os.environ.get(name)}
        os.environ.update(added)
        return list(added)

    def text(self, name: str, default: str = "") -> str:
        """The value without the spaces around it, from `NAME_FILE` where that is set."""
        self._known.add(name)
        value = self._from_file(name) if os.environ.get(f"{name}_FILE", "").strip() else self._from_variable(name)
        if CONTROL.search(value) or not _is_utf8(value):
            return self._reject_once(name, "has characters that are not text", default)
        return value or default

    def _from_file(self, name: str) -> str:
        path = Path(os.environ[f"{name}_FILE"].strip())
        try:
            value = read_text(path).strip()
        except UnreadableFile as error:
            return self._reject_once(name, f"{_quoted_path(path)} {error}", "", f"{name}_FILE:")
        return value or self._reject_once(name, f"{_quoted_path(path)} is empty", "", f"{name}_FILE:")

    def _from_variable(self, name: str) -> str:
        """The variable's own value; `$OTHER` is that of the variable OTHER, `\\$` a dollar sign at the start."""
        value = os.environ.get(name, "").strip()
        if not value.startswith("$"):
            return value.removeprefix("\\") if value.startswith("\\$") else value
        if referred := os.environ.get(value[1:].strip("{}"), "").strip():
            return referred
        problem = r"begins with $ and names no variable that is set; write \$ for a dollar sign"
        return self._reject_once(name, problem, "")

    def _reject_once(self, name: str, problem: str, fallback: T, subject: str = "") -> T:
        """Rejects a variable at its first reading only, where every reading finds the problem."""
        if name in self._bad:
            return fallback
        self._bad.add(name)
        return self.reject(subject or name, problem, fallback)

    def required(self, name: str, why: str) -> str:
        """The value of a variable that must be set; `why` says what needs it."""
        value = self.text(name)
        return value or ("" if name in self._bad else self.reject(name, f"is not set; {why}", ""))

    def matching(self, name: str, pattern: str, what: str, default: str = "") -> str:
        """A value that matches a pattern, which `what` describes; it is not shown, it may be a secret."""
        value = self.text(name, default)
        return value if not value or re.fullmatch(pattern, value) else self.reject(name, f"must be {what}", default)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self.text(name, default)
        if value in choices:
            return value
        return self.reject(name, f"is {quoted(value)}, not one of {', '.join(choices)}", default)

    def flag(self, name: str, *, default: bool) -> bool:
        """`true` or `false` and their usual synonyms; anything else is a mistake, not a no."""
        value = self.text(name, str(default)).lower()
        return FLAGS[value] if value in FLAGS else self.reject(name, f"is {quoted(value)}, not true or false", default)

    def integer(self, name: str, *, default: int, least: int, most: int) -> int:
        text = self.text(name)
        try:
            value = int(text) if text else default
        except ValueError:
            return self.reject(name, f"is {quoted(text)}, not a whole number", default)
        if least <= value <= most:
            return value
        return self.reject(name, f"is {quoted(value)}, not from {least} to {most}", default)

    def seconds(self, name: str, *, default: int, least: int, most: int) -> timedelta:
        return timedelta(seconds=self.integer(name, default=default, least=least, most=most))

    def url(
        self, name: str, default: str = "", schemes: Sequence[str] = ("http", "https"), *, is_base: bool = True
    ) -> str:
        """A URL with a host and one of `schemes`, without its last slash; a base has neither query nor fragment."""
        value = self.text(name, default)
        if not value or _is_url(value, schemes, is_base=is_base):
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
        if not _is_url(value, ("http", "https"), is_base=True) or urlsplit(value).path.strip("/"):
            return self.reject(name, "is not the URL of a proxy, such as http://proxy.example.com:3128", "")
        return value.rstrip("/")

    def redis(self, name: str) -> str:
        """The URL of a Redis; empty where there is none."""
        return self._parse_url(name, "", redis_url)

    def names(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A comma-separated list."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip()) or tuple(default)

    def hosts(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A comma-separated list of host names, without scheme, path or port."""
        found = self.names(name, default)
        if wrong := [host for host in found if not re.fullmatch(r"\*|\.?[\w.-]+|\[[0-9A-Fa-f:.]+\]", host)]:
            return self.reject(name, f"names {quoted(wrong[0])}, which is not a host name alone", tuple(default))
        return found

    def origins(self, name: str) -> tuple[str, ...]:
        """A comma-separated list of `https://host[:port]`."""
        found = self.names(name)
        if wrong := [origin for origin in found if not re.fullmatch(r"https?://(\*\.)?[\w.-]+(:\d{1,5})?", origin)]:
            return self.reject(name, f"names {quoted(wrong[0])}, not an origin like https://racepoll.example.com", ())
        return found

    def windows(self, name: str, default: tuple[Window, ...]) -> tuple[Window, ...]:
        """Windows of the cadence as `minutes before the start:step in seconds`, widest first, the last at 0."""
        try:
            return read_windows(self.text(name)) or default
        except ValueError as error:
            return self.reject(name, f"is {quoted(self.text(name))}, {error}", default)

    def database(self, name: str, default: Path) -> dict[str, Any]:
        """Django's settings of the database given as a URL; by default SQLite in the file `default`."""
        config = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default)}
        return self._parse_url(name, config, database_config)

    def _parse_url(self, name: str, default: T, parse: Callable[[str], T]) -> T:
        value = self.text(name)
        try:
            return parse(value) if value else default
        except BadURL as error:
            return self.reject(name, str(error), default)

    def reject(self, name: str, problem: str, fallback: T) -> T:
        """Records what is wrong and returns `fallback`, so that the next mistake is found too."""
        self._problems.append(f"{name} {problem}")
        return fallback

    def check(self, *read_elsewhere: str) -> None:
        """Raises ImproperlyConfigured, a line for each variable that is missing, wrong or unknown.

        Call it when all variables have been read; `read_elsewhere` are those that only a process's own environment
        may set.
        """
        known = self._known.union(read_elsewhere)
        process = [name for name in self._given if name not in self._in_file]
        problems = [
            *self._problems,
            *(f"{self._in_file[name]}: {name} counts only in the process's own environment" for name in read_elsewhere
              if name in self._in_file),
            *(f"{self._in_file[name]}: {words}" for name, words in unknown_in_file(self._in_file, known)),
            *(words for _, words in unknown_in_process(process, known)),
        ]  # fmt: skip
        if problems:
            raise ImproperlyConfigured("\n".join(dict.fromkeys(problems)))


def read_env_file(file: Path) -> dict[str, tuple[int, str]]:
    """The variables of an environment file, each with the number of its line.

    Raises ImproperlyConfigured, which names file and line and shows nothing of it.
    """
    try:
        numbered = [(number, line.strip()) for number, line in enumerate(read_text(file).splitlines(), start=1)]
    except UnreadableFile as error:
        raise ImproperlyConfigured(f"{file} {error}") from None
    found: dict[str, tuple[int, str]] = {}
    problems = []
    for number, line in numbered:
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        name, value = match.groups() if match else ("", "")
        has_open_quote = value[:1] in ("'", '"') and (len(value) < 2 or value[-1] != value[0])
        if not name or CONTROL.search(line) or has_open_quote:
            problems.append(f"{file}, line {number}: not NAME=value")
        else:
            found[name] = (number, _without_quotes(f"{name}={value}")[name])
    if problems:
        raise ImproperlyConfigured("\n".join(problems))
    return found


def _without_quotes(line: str) -> dict[str, str]:
    """The variable of one line as django-environ reads it."""

    class Line(environ.Env):  # type: ignore[misc]
        ENVIRON: ClassVar[dict[str, str]] = {}

    Line.ENVIRON = {}
    Line.read_env(StringIO(line))
    return Line.ENVIRON


def quoted(value: object) -> str:
    """A value for a message, shortened, and not at all where it may be a URL with a password."""
    text = str(value)
    if "@" in text:
        return "a text with an @"
    return repr(text if len(text) <= 40 else f"{text[:20]}…") if isinstance(value, str) else text[:40]


def _quoted_path(path: Path) -> str:
    """The path, unless it may be the secret itself, typed where its file should be named."""
    is_path = path.is_absolute() and path.parent != Path("/") and os.path.isdir(path.parent)  # noqa: PTH112 - no raise
    return str(path) if is_path and path.name.isprintable() else "the file"


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes of the process's environment that are not UTF-8
        return False
    return True


def _is_url(value: str, schemes: Iterable[str], *, is_base: bool) -> bool:
    if re.search(r"[\s\\]", value):
        return False
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and parts.port != 0
        return parts.scheme in schemes and has_host and not (is_base and (parts.query or parts.fragment))
    except ValueError:  # brackets that do not match, a port that is no number
        return False
