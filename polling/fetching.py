"""Whom to ask for what: which races of a poll want their detail, and which a status answers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from polling import providers
from polling.errors import Blocked, NotFound, PollingError, RateLimited
from polling.models import SkipReason
from polling.providers.base import Provider, RaceRef
from polling.quota.request_budget import RequestBudget
from polling.request_policy import asks_singly
from races.detail_check import is_detail_outdated
from races.models import Race
from races.snapshots import RaceSnapshot
from races.status import ResultState


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a race: what was told, or the error, or the status told and its detail's error.

    `skipped` and, in words, `why` say why it was not asked, or not asked for its detail; `lacks_tokens` that our own
    quota is the cause.
    """

    told: RaceSnapshot | None = None
    error: PollingError | None = None
    skipped: SkipReason | None = None
    why: str = ""
    lacks_tokens: bool = False

    @property
    def owes_detail(self) -> bool:
        """Whether the status told called for the detail, which did not come: the next status shows no news."""
        return self.told is not None and bool(self.error or self.skipped)


@dataclass(slots=True)
class Fetched:
    """An answer for every race, by primary key; and what each request met, an error or None.

    `refused` are the races, by the provider's ids, whose own requests were refused.
    """

    answers: dict[int, Answer] = field(default_factory=dict)
    met: list[PollingError | None] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)


def fetch(
    budget: RequestBudget, races: Sequence[Race], *, whole: Collection[int] = (), now: datetime, deadline: float
) -> Fetched:
    """Asks for these races; those in `whole` for their detail whatever the policy.

    Every request takes a token of the budget first; where they run out the races nearest to their start were asked.
    """
    nearest_first = sorted(races, key=lambda race: abs(race.advertised_start - now))
    fetched = Fetched()
    try:
        provider = providers.get(budget.provider)
        detailed = {race.pk for race in races if race.pk in whole or _asks_singly(provider, race, now=now)}
        fetched.answers = _ask(provider, budget, nearest_first, detailed, fetched, now=now, deadline=deadline)
    except PollingError as error:
        fetched.met.append(error)
        fetched.answers = {race.pk: Answer(error=error) for race in races}
    return fetched


@dataclass(frozen=True, slots=True)
class Listing:
    """What one request told of many races; or why it told nothing: it failed, or was not made."""

    statuses: Mapping[str, RaceSnapshot]
    failure: PollingError | None = None
    was_made: bool = True

    def leaves_open(self, race: Race) -> bool:
        """Whether the race must be asked singly: news, an interim result, which may change at any poll, or missing.

        Missing never means finished.
        """
        if self.failure or not self.was_made:
            return False
        told = self.statuses.get(race.provider_race_id)
        return told is None or is_detail_outdated(race, told) or told.result_state is ResultState.INTERIM


def _ask(
    provider: Provider,
    budget: RequestBudget,
    races: Sequence[Race],
    detailed: set[int],
    fetched: Fetched,
    *,
    now: datetime,
    deadline: float,
) -> dict[int, Answer]:
    """The list of statuses, then the details; a list that fails is the answer of its own races alone."""
    listed = [race for race in races if race.pk not in detailed]
    listing = _ask_statuses(provider, budget, listed, now=now, deadline=deadline)
    if listed and listing.was_made:
        fetched.met.append(listing.failure)
    open_still = {race.pk for race in listed if listing.leaves_open(race)}
    singly = [race for race in races if race.pk in detailed | open_still]
    asked = singly[: budget.take(len(singly))]
    details = provider.fetch_races(map(ref, asked), now=now, deadline=deadline) if asked else {}
    fetched.met += [detail if isinstance(detail, PollingError) else None for detail in details.values()]
    fetched.refused |= {race_id for race_id, detail in details.items() if isinstance(detail, Blocked)}
    let_go = {race.pk for race in singly[len(asked) :] + ([] if listing.was_made else listed)}
    missing = listing.failure or NotFound("the provider said nothing of this race")
    answers = {}
    for race in races:
        status = listing.statuses.get(race.provider_race_id)
        if race.pk in let_go:
            answers[race.pk] = Answer(told=status, skipped=budget.refusal, why=budget.why, lacks_tokens=budget.is_short)
        else:
            answers[race.pk] = _answer(status, details.get(race.provider_race_id), missing)
    return answers


def _answer(status: RaceSnapshot | None, detail: RaceSnapshot | PollingError | None, missing: PollingError) -> Answer:
    """The detail counts; where it failed the status told is kept, and the failure said all the same."""
    if isinstance(detail, PollingError):
        return Answer(told=status, error=detail)
    told = detail or status
    return Answer(told=told) if told else Answer(error=missing)


def _asks_singly(provider: Provider, race: Race, *, now: datetime) -> bool:
    return asks_singly(
        provider.capabilities.batch_scope, race.advertised_start, waiting=race.is_waiting, policy=settings.RACE_DETAIL,
        has_detail=bool(race.content_hash), wanted=race.detail_wanted, now=now,
    )  # fmt: skip


def _ask_statuses(
    provider: Provider, budget: RequestBudget, races: Sequence[Race], *, now: datetime, deadline: float
) -> Listing:
    """Raises where the provider wants to be left alone."""
    if not races:
        return Listing({})
    if not budget.take(1):
        return Listing({}, was_made=False)
    try:
        return Listing(provider.fetch_statuses(map(ref, races), now=now, deadline=deadline))
    except (RateLimited, Blocked):
        raise
    except PollingError as error:
        return Listing({}, failure=error)


def ref(race: Race) -> RaceRef:
    """How the provider knows the race; reads `race.meeting`."""
    return RaceRef(race.provider_race_id, race.meeting.provider_meeting_id if race.meeting else "")
