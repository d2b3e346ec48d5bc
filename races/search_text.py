"""What a search text means: `Mount Halloran 5`, `Halloran R5, 28 Nov`, a name, or a provider's id."""

import re
from calendar import month_abbr, month_name
from dataclasses import dataclass
from datetime import date

MAX_WORDS = 8
MAX_CHARACTERS = 200

_MONTHS = {name.lower(): number for names in (month_abbr, month_name) for number, name in enumerate(names) if name}
_MONTHS["sept"] = 9
_NUMBER = re.compile(r"(?:r|race|#)\.?([0-9]{1,2})")
_NUMBER_MARK = re.compile(r"(?:r|race|#)\.?")
_UNKNOWN_NUMBER = re.compile(r"r\?")
_DIGITS = re.compile(r"[0-9]{1,2}")
_DAY = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?")
_YEAR = re.compile(r"[12][0-9]{3}")
_PROVIDER_ID = re.compile(r"(?=.*[0-9])\S{4,}")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The parts of a search text; a part that is None or empty matches everything.

    `words` belong to a track, a race or a runner; they are in lower case, like `phrase`, the whole text. `days` are the
    days that the text may mean: without a year those of last year, this year and the next.
    """

    phrase: str = ""
    words: tuple[str, ...] = ()
    number: int | None = None
    days: tuple[date, ...] = ()

    @property
    def may_be_id(self) -> bool:
        """Whether the text may be a provider's id or its beginning: it has no spaces and at least one digit."""
        return bool(_PROVIDER_ID.fullmatch(self.phrase)) and self.number is None and not self.days

    @property
    def has_taken_numbers(self) -> bool:
        """Whether a part of the text was taken for a race number or a day, although it may belong to a name."""
        return self.number is not None or bool(self.days)


def parse_search_text(text: str, *, today: date) -> SearchQuery:
    """Reads a search text. A day is at its end; a race number has an R, or is the last or the first word."""
    tokens = text[:MAX_CHARACTERS].replace("\0", "").replace(",", " ").lower().split()[:MAX_WORDS]
    rest, days = _split_day(tokens, today=today)
    rest, number = _split_number(rest)
    return SearchQuery(" ".join(tokens), tuple(rest), number, days)


def _split_day(tokens: list[str], *, today: date) -> tuple[list[str], tuple[date, ...]]:
    """Splits off a day at the end; returns the tokens before it and the days it may mean."""
    if tokens and (day := _iso_day(tokens[-1])):
        return tokens[:-1], (day,)
    with_year = len(tokens) > 2 and _YEAR.fullmatch(tokens[-1]) is not None
    years = [int(tokens[-1])] if with_year else [today.year - 1, today.year, today.year + 1]
    rest = tokens[:-1] if with_year else tokens
    for first, second in ((-2, -1), (-1, -2)):
        if len(rest) < 2:
            break
        number, month = _DAY.fullmatch(rest[first]), _MONTHS.get(rest[second].rstrip("."))
        if number and month and (days := _existing_days(years, month, int(number[1]))):
            return rest[:-2], days
    return tokens, ()


def _iso_day(token: str) -> date | None:
    try:
        return date.fromisoformat(token) if "-" in token else None
    except ValueError:
        return None


def _existing_days(years: list[int], month: int, day: int) -> tuple[date, ...]:
    """This day in each of the years, without 29 February in years that have none."""
    days = []
    for year in years:
        try:
            days.append(date(year, month, day))
        except ValueError:
            continue
    return tuple(days)


def _split_number(tokens: list[str]) -> tuple[list[str], int | None]:
    """Splits off the race number; `R?`, which names a race without a number, is dropped."""
    tokens = [word for word in tokens if not _UNKNOWN_NUMBER.fullmatch(word)]
    for position, token in enumerate(tokens):
        if marked := _NUMBER.fullmatch(token):
            return tokens[:position] + tokens[position + 1 :], int(marked[1])
        following = tokens[position + 1] if position + 1 < len(tokens) else ""
        if _NUMBER_MARK.fullmatch(token) and _DIGITS.fullmatch(following):
            return tokens[:position] + tokens[position + 2 :], int(following)
    if tokens and _DIGITS.fullmatch(tokens[-1]):
        return tokens[:-1], int(tokens[-1])
    if tokens and _DIGITS.fullmatch(tokens[0]):
        return tokens[1:], int(tokens[0])
    return tokens, None
