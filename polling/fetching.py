"""Whom to ask for what: which races of a poll want their detail, and which a status answers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from polling import providers
from polling.errors import Blocked, NotFound, PollingError, RateLimited
from polling.models import SkipReason
from polling.providers.base import BatchScope, Provider, RaceRef
from polling.quota import Purse
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
    """Whether a status answer says that the detail has changed: status or start moved, a protest, interim, final."""
    moved = told.provider_status is not None and told.provider_status != race.provider_status
    protested = told.protest is not None and told.protest != race.protest
    postponed = told.advertised_start is not None and told.advertised_start != race.provider_start
    ended = told.status is RaceStatus.FINALIZED and not race.is_finalized
    return moved or protested or postponed or ended or told.result_state is ResultState.INTERIM


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a race: what was told, or the error, or the status told and its detail's error.

    `skipped` says why it was not asked, or not asked for its detail.
    """

    told: RaceSnapshot | None = None
    error: PollingError | None = None
    skipped: SkipReason | None = None


def fetch(
    purse: Purse, races: Sequence[Race], *, whole: Collection[int] = (), now: datetime, deadline: float
) -> dict[int, Answer]:
    """An answer for every race, by primary key; those in `whole` are asked for their detail whatever the policy.

    Every request takes a token of the purse first; where they run out the races nearest to their start were asked.
    """
    nearest_first = sorted(races, key=lambda race: abs(race.advertised_start - now))
    try:
        provider = providers.get(purse.provider)
        detailed = {race.pk for race in races if race.pk in whole or _asks_singly(provider, race, now=now)}
        return _ask(provider, purse, nearest_first, detailed, now=now, deadline=deadline)
    except PollingError as error:
        return {race.pk: Answer(error=error) for race in races}


def _ask(
    provider: Provider, purse: Purse, races: Sequence[Race], detailed: set[int], *, now: datetime, deadline: float
) -> dict[int, Answer]:
    """The list of statuses, then the details; a list that fails is the answer of its own races alone."""
    listed = [race for race in races if race.pk not in detailed]
    unlisted = bool(listed) and not purse.take(1)
    statuses, failure = ({}, None) if unlisted else _ask_statuses(provider, listed, now=now, deadline=deadline)
    # A race missing from the list is unknown, never finished: it is asked singly.
    detailed |= {
        race.pk
        for race in listed
        if not (failure or unlisted) and ((told := statuses.get(race.provider_race_id)) is None or has_news(race, told))
    }
    singly = [race for race in races if race.pk in detailed]
    asked = singly[: purse.take(len(singly))]
    details = provider.fetch_races(map(ref, asked), now=now, deadline=deadline) if asked else {}
    let_go = {race.pk for race in (listed if unlisted else [])} | {race.pk for race in singly[len(asked) :]}
    answers = {}
    for race in races:
        status, missing = (
            statuses.get(race.provider_race_id),
            failure or NotFound("the provider said nothing of this race"),
        )
        if race.pk in let_go:
            answers[race.pk] = Answer(told=status, skipped=purse.refusal)
        else:
            detail = details.get(race.provider_race_id) if race.pk in detailed else None
            answers[race.pk] = _answer(status, detail, missing)
    return answers


def _answer(status: RaceSnapshot | None, detail: RaceSnapshot | PollingError | None, missing: PollingError) -> Answer:
    """The detail counts; where it failed the status told is kept, and the failure said all the same."""
    if isinstance(detail, PollingError):
        return Answer(told=status, error=detail)
    told = detail or status
    return Answer(told=told) if told else Answer(error=missing)


def _asks_singly(provider: Provider, race: Race, *, now: datetime) -> bool:
    if provider.capabilities.batch_scope is BatchScope.NONE:
        return True
    return wants_detail(race, policy=settings.RACE_DETAIL, now=now)


def _ask_statuses(
    provider: Provider, races: Sequence[Race], *, now: datetime, deadline: float
) -> tuple[dict[str, RaceSnapshot], PollingError | None]:
    """The statuses, or why there are none. Raises where the provider wants to be left alone."""
    try:
        return dict(provider.fetch_statuses(map(ref, races), now=now, deadline=deadline)) if races else {}, None
    except (RateLimited, Blocked):
        raise
    except PollingError as error:
        return {}, error


def ref(race: Race) -> RaceRef:
    """How the provider knows the race; reads `race.meeting`."""
    return RaceRef(race.provider_race_id, race.meeting.provider_meeting_id if race.meeting else "")
