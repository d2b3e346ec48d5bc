"""Races whose requests were refused (401, 403), and whether the provider itself refuses us: a rule on values alone.

One race can be refused for reasons of its own (its country, its broadcaster). A second one that is refused before
anything was answered, or a list of many, means that the provider refuses us.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

REMEMBERED_FOR = timedelta(hours=1)  # since its last refusal
MOST_REMEMBERED = 50


@dataclass(frozen=True, slots=True)
class RefusedRaces:
    """What is remembered of a provider: the race refused since its last answer, and races refused beside answers.

    `suspect` is that race's id, empty for none; `alone` has an ISO instant, the last refusal, by race id.
    """

    suspect: str = ""
    alone: Mapping[str, str] | None = None

    def is_alone(self, race_id: str, *, now: datetime) -> bool:
        """Whether the race was refused lately while others were answered."""
        last = (self.alone or {}).get(race_id)
        return last is not None and now - datetime.fromisoformat(last) <= REMEMBERED_FOR


def after_refusals(before: RefusedRaces, race_ids: Iterable[str], *, now: datetime) -> tuple[RefusedRaces, bool]:
    """What to remember after the requests of these races were refused, and whether the provider itself refuses us."""
    races = set(race_ids)
    own = {race_id for race_id in races if before.is_alone(race_id, now=now)}
    fresh = races - own
    remembered = replace(before, alone=_latest_alone(before, own, now=now)) if own else before
    suspects = fresh | ({before.suspect} if before.suspect else set())
    if not fresh or len(suspects) > 1:
        return remembered, bool(fresh)
    return replace(remembered, suspect=next(iter(suspects))), False


def after_answer(before: RefusedRaces, race_ids: Iterable[str], *, now: datetime) -> RefusedRaces:
    """What to remember after an answer: the races refused since the one before, or with this one, were so alone."""
    alone = {*race_ids, before.suspect} - {""}
    return RefusedRaces("", _latest_alone(before, alone, now=now))


def _latest_alone(before: RefusedRaces, newest: Iterable[str], *, now: datetime) -> dict[str, str]:
    """The races refused alone lately, and `newest`; of too many the latest."""
    lately = {race_id: at for race_id, at in (before.alone or {}).items() if before.is_alone(race_id, now=now)}
    lately |= dict.fromkeys(newest, now.isoformat())
    return dict(sorted(lately.items(), key=lambda item: item[1])[-MOST_REMEMBERED:])
