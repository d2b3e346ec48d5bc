"""A request of the API and how its query is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sandbox.provider.formats import iso, iso_day
from sandbox.provider.replies import Refused
from sandbox.provider.simulation import Simulation

DAY = re.compile(r"\d{4}-\d\d-\d\d")
# Words the API takes for a date. The rolling card holds hours only, so none of them narrows it.
DATE_WORDS = ("", "today", "week", "month", "all")
LARGEST_LIMIT = 200

Bound = date | datetime


@dataclass(frozen=True)
class Call:
    """`target` is the path with the query as it came. Unknown parameters are ignored, as the real API ignores them.

    The methods raise Refused (400) for values that cannot be read.
    """

    simulation: Simulation
    target: str
    query: Mapping[str, str]
    now: datetime

    def _read_number(self, name: str, default: int) -> int:
        try:
            return int(self.query.get(name, default))
        except ValueError as exc:
            raise Refused(400, f"{name} must be a number") from exc

    def ids(self) -> list[str]:
        """The meetings that the request names, comma-separated."""
        return [name for name in self.query.get("ids", "").split(",") if name]

    @property
    def limit(self) -> int:
        return min(max(1, self._read_number("limit", 100)), LARGEST_LIMIT)

    @property
    def offset(self) -> int:
        return max(0, self._read_number("offset", 0))

    def bound(self, name: str) -> Bound | None:
        """A day, an instant, or None where the whole card is meant."""
        text = self.query.get(name, "")
        if text in DATE_WORDS:
            return None
        try:
            return date.fromisoformat(text) if DAY.fullmatch(text) else instant(text)
        except ValueError as exc:
            raise Refused(400, f"{name} must be a day or an instant") from exc


def instant(text: str) -> datetime:
    """Raises ValueError for text that is no instant or has no offset from UTC."""
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    return read.astimezone(UTC)


def echo(bound: Bound) -> str:
    """How the API repeats a bound; a day stands for its midnight."""
    return iso(bound) if isinstance(bound, datetime) else iso_day(bound)
