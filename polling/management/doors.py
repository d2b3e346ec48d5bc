"""What the commands share: finding what they are told of, and refusing what they do not know."""

from collections.abc import Sequence

from django.core.management import CommandError
from django.db.models import Q

from races.models import Race

BAD_INPUT = 2


def races_named(names: Sequence[str]) -> list[Race]:
    """The races of these ids, ours or the provider's. Raises CommandError (exit 2) naming those unknown."""
    found = []
    for name in names:
        ours = Q(pk=int(name)) if name.isascii() and name.isdigit() and len(name) < 19 else Q()
        race = Race.objects.filter(Q(provider_race_id=name) | ours if ours else Q(provider_race_id=name)).first()
        if race is None or not name:
            raise CommandError(f"no race has the id {name!r}", returncode=BAD_INPUT)
        if race not in found:
            found.append(race)
    return found


def reason_given(text: str) -> str:
    """The reason of a decision without blanks around it. Raises CommandError (exit 2) where it says nothing."""
    if reason := text.strip():
        return reason
    raise CommandError("--reason must say something", returncode=BAD_INPUT)
