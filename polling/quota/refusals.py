"""Whether a refusal (401, 403) is one race's or the provider's: the rule, on values alone.

One race can be refused for reasons of its own (its country, its broadcaster). A second one that is refused before
anything was answered, or a list of many, means that the provider refuses us.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

REMEMBERED_FOR = timedelta(hours=1)  # since its last refusal
MOST_REMEMBERED = 50


@dataclass(frozen=True, slots=True)
class Refusals:
    """What is remembered: the one race refused since the last answer, and those refused while others were answered.

    `alone` has ISO instants, as they are stored.
    """

    suspect: str = ""
    alone: Mapping[str, str] | None = None

    def is_alone(self, race_id: str, *, now: datetime) -> bool:
        """Whether the race was refused lately while others were answered."""
        last = (self.alone or {}).get(race_id)
        return last is not None and now - datetime.fromisoformat(last) <= REMEMBERED_FOR


def refused(before: Refusals, race_ids: Iterable[str], *, now: datetime) -> tuple[Refusals, bool]:
    """What to remember of these refusals, and whether the provider itself refuses us."""
    races = set(race_ids)
    own = {race_id for race_id in races if before.is_alone(race_id, now=now)}
    fresh = races - own
    remembered = replace(before, alone=_kept(before, own, now=now)) if own else before
    suspects = fresh | ({before.suspect} if before.suspect else set())
    if not fresh or len(suspects) > 1:
        return remembered, bool(fresh)
    return replace(remembered, suspect=next(iter(suspects))), False


def answered(before: Refusals, race_ids: Iterable[str], *, now: datetime) -> Refusals:
    """After something was answered: whoever was refused since the last answer, or with this one, was so alone."""
    alone = {*race_ids, before.suspect} - {""}
    return Refusals("", _kept(before, alone, now=now))


def _kept(before: Refusals, newest: Iterable[str], *, now: datetime) -> dict[str, str]:
    """The latest of those that were refused lately."""
    lately = {race_id: at for race_id, at in (before.alone or {}).items() if before.is_alone(race_id, now=now)}
    lately |= dict.fromkeys(newest, now.isoformat())
    return dict(sorted(lately.items(), key=lambda item: item[1])[-MOST_REMEMBERED:])
