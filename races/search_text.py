"""What a search text means: `Mount Halloran 5`, `Halloran R5, 28 Nov`, a name, or a provider's id."""

import re
from calendar import month_abbr, month_name
from dataclasses import dataclass
from datetime import date

MOST_WORDS = 8
MOST_CHARACTERS = 200

_MONTHS = {name.lower(): number for names in (month_abbr, month_name) for number, name in enumerate(names) if name}
_MONTHS["sept"] = 9
_NUMBER = re.compile(r"(?:r|race|#)\.?([0-9]{1,2})")
_MARK = re.compile(r"(?:r|race|#)\.?")
_UNKNOWN = re.compile(r"r\?")
_DIGITS = re.compile(r"[0-9]{1,2}")
_DAY = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?")
_YEAR = re.compile(r"[12][0-9]{3}")
_ID = re.compile(r"(?=.*[0-9])\S{4,}")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A race by what is known of it; what is None or empty does not matter.

    `words` are of the track, the race's name or a runner's, in small letters, as is `phrase`, the whole text.
    `days` are those that a day may mean: without a year that of last year, of this one and of the next.
    """

    phrase: str = ""
    words: tuple[str, ...] = ()
    number: int | None = None
    days: tuple[date, ...] = ()

    @property
    def may_be_id(self) -> bool:
        """Whether the text may be a provider's id, or the beginning of one: without spaces, with a digit."""
        return bool(_ID.fullmatch(self.phrase)) and self.number is None and not self.days

    @property
    def has_taken_numbers(self) -> bool:
        """Whether a part of the text was taken for a number or a day, which may be part of a name all the same."""
        return self.number is not None or bool(self.days)


def parse_search_text(text: str, *, today: date) -> SearchQuery:
    """Reads a search text. A day stands at its end; a number of a race has an R, or is the last or the first word."""
    tokens = text[:MOST_CHARACTERS].replace("\0", "").replace(",", " ").lower().split()[:MOST_WORDS]
    rest, days = _split_day(tokens, today=today)
    rest, number = _split_number(rest)
    return SearchQuery(" ".join(tokens), tuple(rest), number, days)


def _split_day(tokens: list[str], *, today: date) -> tuple[list[str], tuple[date, ...]]:
    """The tokens before a day at the end, and what it may mean."""
    if tokens and (day := _iso_day(tokens[-1])):
        return tokens[:-1], (day,)
    with_year = len(tokens) > 2 and _YEAR.fullmatch(tokens[-1]) is not None
    years = [int(tokens[-1])] if with_year else [today.year - 1, today.year, today.year + 1]
    rest = tokens[:-1] if with_year else tokens
    for first, second in ((-2, -1), (-1, -2)):
        if len(rest) < 2:
            break
        number, month = _DAY.fullmatch(rest[first]), _MONTHS.get(rest[second].rstrip("."))
        if number and month and (days := _existing(years, month, int(number[1]))):
            return rest[:-2], days
    return tokens, ()


def _iso_day(token: str) -> date | None:
    try:
        return date.fromisoformat(token) if "-" in token else None
    except ValueError:
        return None


def _existing(years: list[int], month: int, day: int) -> tuple[date, ...]:
    """These days of the years, without 29 February where there is none."""
    days = []
    for year in years:
        try:
            days.append(date(year, month, day))
        except ValueError:
            continue
    return tuple(days)


def _split_number(tokens: list[str]) -> tuple[list[str], int | None]:
    """The tokens without the race's number; `R?` is how a race without one is shown."""
    tokens = [word for word in tokens if not _UNKNOWN.fullmatch(word)]
    for at, token in enumerate(tokens):
        if marked := _NUMBER.fullmatch(token):
            return tokens[:at] + tokens[at + 1 :], int(marked[1])
        following = tokens[at + 1] if at + 1 < len(tokens) else ""
        if _MARK.fullmatch(token) and _DIGITS.fullmatch(following):
            return tokens[:at] + tokens[at + 2 :], int(following)
    if tokens and _DIGITS.fullmatch(tokens[-1]):
        return tokens[:-1], int(tokens[-1])
    if tokens and _DIGITS.fullmatch(tokens[0]):
        return tokens[1:], int(tokens[0])
    return tokens, None
