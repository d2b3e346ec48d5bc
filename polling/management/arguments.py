"""The arguments of the commands: read and bounded; what is wrong is one line and exit code 2."""

import ipaddress
import math
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management import CommandError, CommandParser
from django.db.models import Q

from polling.files import UnreadableFile, read_text
from polling.management.exit_codes import BAD_INPUT
from races.models import Race

YEAR = timedelta(days=365)
UNITS = {"s": 1, "m": 60, "h": 3600}


def argument_error(message: str) -> CommandError:
    """The error of a command that was given something wrong: exit code 2."""
    return CommandError(message, returncode=BAD_INPUT)


def add_races_or_all(parser: CommandParser) -> None:
    """Adds the arguments of `pause` and `resume`: races, or all polling."""
    parser.add_argument("races", nargs="*", metavar="RACE", help="our id or the provider's")
    parser.add_argument("--all", action="store_true", help="all polling, by the switch that the admin shows")


def races_or_all(options: dict[str, Any]) -> list[Race]:
    """The races that were named, none for all polling. Raises CommandError (exit 2) for both at once, or neither."""
    if bool(options["races"]) == options["all"]:
        raise argument_error("name races, or give --all")
    return find_races(options["races"])


def find_races(names: Sequence[str]) -> list[Race]:
    """The races of these ids, ours or the provider's. Raises CommandError (exit 2) naming those unknown."""
    found = []
    for name in names:
        ours = Q(pk=int(name)) if name.isascii() and name.isdigit() and len(name) < 19 else Q()
        race = Race.objects.filter(Q(provider_race_id=name) | ours if ours else Q(provider_race_id=name)).first()
        if race is None or not name:
            raise argument_error(f"no race has the id {quoted(name)}")
        if race not in found:
            found.append(race)
    return found


def whole_number(argument: str, text: str, *, least: int, most: int) -> int:
    """The number in the text of an argument. Raises CommandError (exit 2)."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise argument_error(f"{argument} is {quoted(text)}, not a whole number")
    if int(text) < least:
        raise argument_error(f"{argument} must be at least {least}")
    if int(text) > most:
        raise argument_error(f"{argument} must be at most {most}")
    return int(text)


def seconds_up_to_a_year(argument: str, text: str) -> timedelta:
    """A number of seconds above 0. Raises CommandError (exit 2)."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= YEAR.total_seconds():  # as no NaN is
        raise argument_error(f"{argument} is {quoted(text)}; it must be above 0 and at most a year, in seconds")
    return timedelta(seconds=value)


def duration(argument: str, text: str, *, most: timedelta) -> timedelta:
    """A time like 90s, 3m or 1h. Raises CommandError (exit 2)."""
    match = re.fullmatch(r"(\d{1,9})([smh])", text, re.ASCII)
    if match is None:
        raise argument_error(f"{argument} is {quoted(text)}, not like 90s, 3m or 1h")
    value = timedelta(seconds=int(match[1]) * UNITS[match[2]])
    if value > most:
        raise argument_error(f"{argument} is {quoted(text)}, more than {most / timedelta(hours=1):g} hours")
    return value


def host_and_port(argument: str, text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT. Raises CommandError (exit 2)."""
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]", host):
        raise argument_error(f"{argument} is {quoted(text)}, not HOST:PORT")
    return host.strip("[]"), whole_number(argument, port, least=1, most=65_535)


def ip_address(argument: str, text: str) -> str:
    """An IP address as connections have it: no name, no network and no `*`. Raises CommandError (exit 2)."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise argument_error(f"{argument} is {quoted(text)}, not an IP address") from error


def text_of_file(argument: str, file: Path) -> str:
    """The content of a small text file, without blanks around it. Raises CommandError (exit 2)."""
    try:
        return read_text(file).strip()
    except UnreadableFile as error:
        raise argument_error(f"{argument}: {quoted_path(file)} {error}") from error


def quoted(text: str) -> str:
    """An argument as it was typed, for a message; shortened, so that it stays one line."""
    return repr(text if len(text) <= 60 else f"{text[:40]}…")


def quoted_path(path: Path) -> str:
    """A path for a message: without quotes where it is one line of text."""
    return str(path) if str(path).isprintable() else quoted(str(path))


def reason_of_decision(text: str) -> str:
    """The text of --reason without blanks around it. Raises CommandError (exit 2) where it is empty."""
    if reason := text.strip():
        return reason
    raise argument_error("--reason must not be empty")
