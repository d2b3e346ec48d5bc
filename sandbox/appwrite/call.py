"""One API request, as its handler sees it, and the reply it makes."""

import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from typing import Any

from sandbox.appwrite.datetimes import parse
from sandbox.appwrite.dialects import Dialect
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.events import Event
from sandbox.appwrite.store import Store

# As in the server's messages: no special character first, 36 at most. Keys of columns follow it too.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}")


@dataclass(frozen=True)
class Reply:
    """A body that is text is an HTML page. `is_from_appwrite` is false for what stands in front of it."""

    status: int = 200
    body: JsonObject | str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    is_from_appwrite: bool = True


@dataclass(frozen=True)
class Call:
    """A request with its route's placeholders in `path`.

    `now` is what rows are stamped with, `publish` takes the events of rows that were written, and `before_write` is
    called before a write takes its lock.
    """

    store: Store
    dialect: Dialect
    now: datetime
    path: dict[str, str]
    query: list[tuple[str, str]]
    headers: Message
    body: JsonObject
    publish: Callable[[Sequence[Event]], None]
    before_write: Callable[[], None] | None = None

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """The transaction of a write, for which it may have to wait."""
        if self.before_write is not None:
            self.before_write()
        with self.store.write() as db:
            yield db

    @property
    def queries(self) -> list[str]:
        """`queries[0]=…` and `queries[]=…` of the address, in the order they came."""
        return [text for name, text in self.query if name.startswith("queries[")]

    @property
    def wants_total(self) -> bool:
        """Only `total=0` leaves out the count: the text "false" is true in PHP."""
        return dict(self.query).get("total") != "0"

    @property
    def text_sequence(self) -> bool:
        """Whether $sequence is shown as text: from 1.9 on, unless the client asks for an older format."""
        wanted = response_format(self.headers)
        return self.dialect.text_sequence and (wanted is None or wanted >= (1, 9, 0))

    def base(self) -> datetime | None:
        """The $updatedAt that the writer last saw. PHP takes "" and "0" for none."""
        text = self.headers.get("X-Appwrite-Timestamp", "")
        if text in ("", "0"):
            return None
        try:
            return parse(text)
        except ValueError as exc:
            raise ApiError("general_argument_invalid", "X-Appwrite-Timestamp") from exc

    def text(self, name: str) -> str:
        value = self.body.get(name)
        if not isinstance(value, str):
            raise ApiError("general_argument_invalid", name)
        return value

    def new_id(self, name: str) -> str:
        """The id that the body gives to what it creates, or a random one for `unique()`."""
        value = self.body.get(name)
        if value == "unique()":
            return unique_id()
        if not valid_id(value):
            raise ApiError("general_argument_invalid", name)
        return str(value)


def read_flag(body: JsonObject, name: str, default: bool | None) -> bool:
    """A boolean of a body; without a default it must be given. Raises general_argument_invalid."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise ApiError("general_argument_invalid", name)
    return value


def unique_id() -> str:
    return secrets.token_hex(10)


def valid_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def response_format(headers: Message) -> tuple[int, ...] | None:
    """The version of the format that the client asks for, or None."""
    text = headers.get("X-Appwrite-Response-Format", "")
    return version_number(text) if re.fullmatch(r"\d+(\.\d+)*", text) else None


def version_number(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def read_body(content_type: str, raw: bytes) -> JsonObject:
    """What is not sent as JSON, or is cut off, counts as no parameters at all."""
    if content_type.split(";")[0].strip().lower() != "application/json":
        return {}
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
        if b"\\u" in raw:
            json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _refuse_constant(name: str) -> None:
    """NaN and the infinities are no JSON."""
    raise ValueError(name)
