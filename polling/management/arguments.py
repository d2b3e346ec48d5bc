"""What the commands are given: read, bounded, and refused in one line with exit code 2."""

import ipaddress
import math
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from django.core.management import CommandError
from django.db.models import Q

from polling.files import Unusable, read_text
from races.models import Race

BAD_INPUT = 2
YEAR = timedelta(days=365)
UNITS = {"s": 1, "m": 60, "h": 3600}


def refusal(words: str) -> CommandError:
    """The error of a command that was given something wrong."""
    return CommandError(words, returncode=BAD_INPUT)


def races_named(names: Sequence[str]) -> list[Race]:
    """The races of these ids, ours or the provider's. Raises CommandError (exit 2) naming those unknown."""
    found = []
    for name in names:
        ours = Q(pk=int(name)) if name.isascii() and name.isdigit() and len(name) < 19 else Q()
        race = Race.objects.filter(Q(provider_race_id=name) | ours if ours else Q(provider_race_id=name)).first()
        if race is None or not name:
            raise refusal(f"no race has the id {shown(name)}")
        if race not in found:
            found.append(race)
    return found


def whole_number(argument: str, text: str, *, least: int, most: int) -> int:
    """The number in the text of an argument. Raises CommandError (exit 2)."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise refusal(f"{argument} is {shown(text)}, not a whole number")
    if int(text) < least:
        raise refusal(f"{argument} must be at least {least}")
    if int(text) > most:
        raise refusal(f"{argument} must be at most {most}")
    return int(text)


def seconds_up_to_a_year(argument: str, text: str) -> timedelta:
    """A number of seconds above 0. Raises CommandError (exit 2)."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= YEAR.total_seconds():  # as no NaN is
        raise refusal(f"{argument} is {shown(text)}; it must be above 0 and at most a year, in seconds")
    return timedelta(seconds=value)


def duration(argument: str, text: str, *, most: timedelta) -> timedelta:
    """A time like 90s, 3m or 1h. Raises CommandError (exit 2)."""
    match = re.fullmatch(r"(\d{1,9})([smh])", text, re.ASCII)
    if match is None:
        raise refusal(f"{argument} is {shown(text)}, not like 90s, 3m or 1h")
    value = timedelta(seconds=int(match[1]) * UNITS[match[2]])
    if value > most:
        raise refusal(f"{argument} is {shown(text)}, more than {most / timedelta(hours=1):g} hours")
    return value


def address(argument: str, text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT. Raises CommandError (exit 2)."""
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]", host):
        raise refusal(f"{argument} is {shown(text)}, not HOST:PORT")
    return host.strip("[]"), whole_number(argument, port, least=1, most=65_535)


def ip_address(argument: str, text: str) -> str:
    """An IP address as connections have it: no name, no network and no `*`. Raises CommandError (exit 2)."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise refusal(f"{argument} is {shown(text)}, not an IP address") from error


def text_of(argument: str, file: Path) -> str:
    """What is in a small text file. Raises CommandError (exit 2)."""
    try:
        return read_text(file).strip()
    except Unusable as error:
        raise refusal(f"{argument}: {shown_path(file)} {error}") from error


def shown(text: str) -> str:
    """What was typed, for a message; shortened, so that it stays one line."""
    return repr(text if len(text) <= 60 else f"{text[:40]}…")


def shown_path(path: Path) -> str:
    """A path for a message: as it stands where it is one line of text."""
    return str(path) if str(path).isprintable() else shown(str(path))


def reason_given(text: str) -> str:
    """The reason of a decision without blanks around it. Raises CommandError (exit 2) where it says nothing."""
    if reason := text.strip():
        return reason
    raise CommandError("--reason must say something", returncode=BAD_INPUT)
