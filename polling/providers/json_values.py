"""Values as providers write them in JSON: instants in three formats, numbers, money, text."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from races.plain_text import one_line

JsonObject = dict[str, Any]

CENT = Decimal("0.01")
HIGHEST_NUMBER = 32_767  # what a small column holds; no saddlecloth, barrier, place or distance is above it
HIGHEST_ODDS = Decimal(10_000_000)
FLAGS = {True: True, False: False, "true": True, "false": False, "yes": True, "no": False}
LETTERED = re.compile(r"(?P<number>[0-9]{1,5})\s*(?P<letters>[A-Za-z]{1,2})")
GO_STYLE = re.compile(r"(?P<day>\S+) (?P<time>\S+) (?P<offset>[+-]\d{4})(?: \S+)*")


class Saddlecloth(NamedTuple):
    """A runner's number and, of a coupled entry, its letter: `1` and `A` for "1A"."""

    number: int
    letter: str = ""


def instant(value: Any) -> datetime | None:
    """The UTC instant of ISO text, of seconds since 1970 or of Go's `2025-07-17 00:50:00 +0000 UTC`.

    None for a missing value, 0, and Go's zero time, in the year 1. Raises ValueError for anything else, and for text
    without an offset.
    """
    if value is None or value == "" or (_is_number(value) and value <= 0):
        return None
    try:
        parsed = datetime.fromtimestamp(value, UTC) if _is_number(value) else _parse_instant_text(value)
        parsed = parsed.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, OSError) as exc:
        raise ValueError(f"not an instant: {repr(value)[:80]}") from exc
    return parsed if parsed.year > 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parse_instant_text(value: str) -> datetime:
    if go := GO_STYLE.fullmatch(value):
        value = f"{go['day']}T{go['time']}{go['offset']}"
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError("no offset: the zone would be a guess")
    return parsed


def instant_or_none(value: Any) -> datetime | None:
    """As `instant`, but None also for what is unreadable: for facts that a race can do without."""
    try:
        return instant(value)
    except ValueError:
        return None


def day(value: Any) -> date | None:
    """The date that text begins with, as written: a racing day has no zone."""
    try:
        return date.fromisoformat(text(value)[:10])
    except ValueError:
        return None


def positive(value: Any) -> int | None:
    """A whole number from 1 that a column can hold, also from digits as text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:9])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= HIGHEST_NUMBER else None


def number(value: Any) -> Decimal | None:
    """The exact decimal of a number or of digits as text; None where it is none, or not finite."""
    if not _is_number(value) and not isinstance(value, str):
        return None
    try:
        exact = Decimal(str(value))  # by way of text: Decimal(0.4) is not 0.4
    except InvalidOperation:
        return None
    return exact if exact.is_finite() else None


def money(value: Any) -> Decimal | None:
    """An amount above zero, in cents; None where there is none."""
    exact = number(value)
    try:
        amount = exact.quantize(CENT) if exact else None
    except InvalidOperation:
        return None
    return amount if amount and amount > 0 else None


def odds(value: Any) -> Decimal | None:
    """Decimal odds, stake included; None where none are offered (0 or missing)."""
    amount = money(value)
    return amount if amount and amount < HIGHEST_ODDS else None


def text(value: Any, longest: int = 120) -> str:
    """Trimmed text of one line, cut to what a column holds, without what no database takes: halves of characters."""
    return one_line(value).strip()[:longest].strip() if isinstance(value, str) else ""


def flag(value: Any) -> bool | None:
    """Yes or no, also as text or as 1 and 0; None for neither, because a missing value is no "no"."""
    value = value.strip().casefold() if isinstance(value, str) else value
    return FLAGS.get(value) if isinstance(value, str | int | float) else None


def saddlecloth(value: Any) -> Saddlecloth | None:
    """A runner's number, with the letter by which a coupled entry differs from others; None where it is no number."""
    lettered = LETTERED.fullmatch(value.strip()) if isinstance(value, str) else None
    number = positive(lettered["number"] if lettered else value)
    return Saddlecloth(number, lettered["letters"].upper() if lettered else "") if number else None


def to_object(value: Any) -> JsonObject:
    """The JSON object, or an empty one where there is none."""
    return value if isinstance(value, dict) else {}


def first_value(row: JsonObject, *names: str) -> Any:
    """The first of these fields that is not empty; dialects name one thing differently. None where all are."""
    return next((value for name in names if (value := row.get(name))), None)
