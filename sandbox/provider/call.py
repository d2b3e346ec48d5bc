"""A request of the API and how its query is read."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sandbox.provider.formats import iso
from sandbox.provider.replies import Refused
from sandbox.provider.world import World

DAY = re.compile(r"\d{4}-\d\d-\d\d")
# Words the API takes for a date. The rolling card holds hours only, so none of them narrows it.
WORDS = ("", "today", "week", "month", "all")
LARGEST_LIMIT = 200

Bound = date | datetime


@dataclass(frozen=True)
class Call:
    """`target` is the path with the query as it came. Parameters that nobody knows are ignored.

    The methods raise Refused (400) for values that cannot be read.
    """

    world: World
    target: str
    query: Mapping[str, str]
    now: datetime

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.query.get(name, default))
        except ValueError as exc:
            raise Refused(400, f"{name} must be a number") from exc

    @property
    def limit(self) -> int:
        return min(max(1, self.number("limit", 100)), LARGEST_LIMIT)

    @property
    def offset(self) -> int:
        return max(0, self.number("offset", 0))

    def words(self, name: str) -> list[str]:
        return [word for word in self.query.get(name, "").split(",") if word]

    def flag(self, name: str) -> bool:
        return self.query.get(name) == "true"

    def bound(self, name: str) -> Bound | None:
        """A day, an instant, or None where the whole card is meant."""
        text = self.query.get(name, "")
        if text in WORDS:
            return None
        try:
            return date.fromisoformat(text) if DAY.fullmatch(text) else instant(text)
        except ValueError as exc:
            raise Refused(400, f"{name} must be a day or an instant") from exc

    def page(self) -> tuple[int, datetime]:
        """The page asked for, and the instant of the first page: later pages go on in the same list."""
        token = self.query.get("page_token")
        if not token:
            return 1, self.now
        try:
            page = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            return int(page["page_number"]), datetime.fromtimestamp(int(page["page_request_hash"]), UTC)
        except (ValueError, KeyError, TypeError) as exc:
            raise Refused(400, "page_token is not one of ours") from exc


def page_token(number: int, first_page_at: datetime) -> str:
    token: dict[str, Any] = {
        "page_number": number,
        "page_request_hash": str(int(first_page_at.timestamp())),
    }
    return base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")


def instant(text: str) -> datetime:
    """Raises ValueError for text that is no instant or has no offset from UTC."""
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    return read.astimezone(UTC)


def echo(bound: Bound, *, time: str = "00:00:00") -> str:
    """How the API repeats a bound; `time` is the time of day that a day stands for."""
    return iso(bound) if isinstance(bound, datetime) else f"{bound.isoformat()}T{time}Z"
