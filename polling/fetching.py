"""Whom to ask for what: which races of a poll want their detail, and which a status answers."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from polling import providers
from polling.errors import NotFound, PollingError
from polling.providers.base import Answer, BatchScope, Provider, RaceRef
from races.models import Race
from races.snapshots import RaceSnapshot
from races.status import RaceStatus, ResultState


def wants_detail(race: Race, *, policy: str, now: datetime) -> bool:
    """Up to the start the odds are the point, after it what moved; RACE_DETAIL may say otherwise."""
    never_had_it = not race.content_hash
    if policy == "always" or race.detail_wanted or never_had_it:
        return True
    return policy == "until_start" and now < race.advertised_start


def has_news(race: Race, told: RaceSnapshot) -> bool:
    """Whether a status answer says that the detail has changed: status or start moved, interim, final."""
    moved = told.provider_status is not None and told.provider_status != race.provider_status
    postponed = told.advertised_start is not None and told.advertised_start != race.provider_start
    ended = told.status is RaceStatus.FINALIZED and not race.is_finalized
    return moved or postponed or ended or told.result_state is ResultState.INTERIM


def fetch(provider_name: str, races: Sequence[Race], *, now: datetime, deadline: float) -> dict[int, Answer]:
    """An answer for every race, by primary key. One request that fails is the answer of its races alone."""
    try:
        provider = providers.get(provider_name)
        answers = _ask(provider, races, now=now, deadline=deadline)
    except PollingError as error:
        return dict.fromkeys((race.pk for race in races), error)
    unanswered = NotFound("the provider said nothing of this race")
    return {race.pk: answers.get(race.provider_race_id, unanswered) for race in races}


def _ask(provider: Provider, races: Sequence[Race], *, now: datetime, deadline: float) -> dict[str, Answer]:
    by_status = [race for race in races if not _asks_singly(provider, race, len(races), now=now)]
    statuses = _ask_statuses(provider, by_status, now=now, deadline=deadline)
    # A race missing from the list is unknown, never finished: it is asked singly.
    singly = [race for race in races if (told := statuses.get(race.provider_race_id)) is None or has_news(race, told)]
    details = provider.fetch_races(map(ref, singly), now=now, deadline=deadline) if singly else {}
    return {**statuses, **details}


def _asks_singly(provider: Provider, race: Race, count: int, *, now: datetime) -> bool:
    """One race alone is cheapest asked whole; so is any where the provider has no list of statuses."""
    if count == 1 or provider.capabilities.batch_scope is BatchScope.NONE:
        return True
    return wants_detail(race, policy=settings.RACE_DETAIL, now=now)


def _ask_statuses(
    provider: Provider, races: Sequence[Race], *, now: datetime, deadline: float
) -> dict[str, RaceSnapshot]:
    return dict(provider.fetch_statuses(map(ref, races), now=now, deadline=deadline)) if races else {}


def ref(race: Race) -> RaceRef:
    """How the provider knows the race; reads `race.meeting`."""
    return RaceRef(race.provider_race_id, race.meeting.provider_meeting_id if race.meeting else "")
