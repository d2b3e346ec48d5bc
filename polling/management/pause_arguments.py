"""What `pause` and `resume` are given: races, or all polling."""

from typing import Any

from django.core.management import CommandError, CommandParser

from polling.management.arguments import BAD_INPUT, races_named
from races.models import Race


def add_races(parser: CommandParser) -> None:
    """The arguments that both take."""
    parser.add_argument("races", nargs="*", metavar="RACE", help="our id or the provider's")
    parser.add_argument("--all", action="store_true", help="all polling, by the switch that the admin shows")


def races_or_all(options: dict[str, Any]) -> list[Race]:
    """The races, none for all polling. Raises CommandError (exit 2) for both at once, or neither."""
    if bool(options["races"]) == options["all"]:
        raise CommandError("name races, or say --all", returncode=BAD_INPUT)
    return races_named(options["races"])
