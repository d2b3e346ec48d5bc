"""The requests of a poll: one list for the races that a status answers, one request for each that needs its detail."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from polling import providers
from polling.errors import Blocked, NotFound, PollingError, RateLimited
from polling.models import SkipReason
from polling.providers.base import Provider, RaceRef
from polling.quota.request_budget import RequestBudget
from polling.request_policy import BatchScope, asks_singly
from races.detail_check import is_detail_outdated
from races.models import Race
from races.snapshots import RaceSnapshot, Scope
from races.status import ResultState


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a race: a snapshot, or an error, or the status and the error of its detail.

    `skipped` and, in words, `why` say why it was not asked, or not asked for its detail; `lacks_tokens` that our own
    quota is the cause.
    """

    snapshot: RaceSnapshot | None = None
    error: PollingError | None = None
    skipped: SkipReason | None = None
    why: str = ""
    lacks_tokens: bool = False

    @property
    def lacks_detail(self) -> bool:
        """Whether the status called for the detail, which did not come: the next status would not call for it."""
        return self.snapshot is not None and bool(self.error or self.skipped)


@dataclass(slots=True)
class FetchResult:
    """An answer for every race, by primary key; and the error of each request that was made, None where it succeeded.

    `refused` are the races, by the provider's ids, whose own requests were refused.
    """

    answers: dict[int, Answer] = field(default_factory=dict)
    errors: list[PollingError | None] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class RaceList:
    """What one request for many races answered, by the provider's ids; or why there is no answer.

    It failed (`failure`), or was not made (`was_made`).
    """

    snapshots: Mapping[str, RaceSnapshot]
    failure: PollingError | None = None
    was_made: bool = True

    def leaves_open(self, race: Race) -> bool:
        """Whether the race must be asked singly too.

        So it is where the list answers a status alone, and that is news or an interim result, which may change at any
        poll; and where the race is missing from the list, which never means finished.
        """
        if self.failure or not self.was_made:
            return False
        answer = self.snapshots.get(race.provider_race_id)
        if answer is None:
            return True
        return answer.scope is Scope.STATUS and (
            is_detail_outdated(race, answer) or answer.result_state is ResultState.INTERIM
        )


def fetch(
    budget: RequestBudget, races: Sequence[Race], *, whole: Collection[int] = (), now: datetime, deadline: float
) -> FetchResult:
    """Asks the budget's provider for these races; for those in `whole` (primary keys) all there is, by any policy.

    Every request takes a token of the budget first; where they run out the races nearest to their start were asked.
    `deadline` is an instant of time.monotonic(). Raises nothing of the provider's: each race has its error as answer.
    """
    try:
        provider = providers.get(budget.provider)
    except Blocked as error:
        return FetchResult({race.pk: Answer(error=error) for race in races}, [error])
    return ask(provider, budget, races, whole=whole, now=now, deadline=deadline)


def ask(
    provider: Provider,
    budget: RequestBudget,
    races: Sequence[Race],
    *,
    whole: Collection[int] = (),
    now: datetime,
    deadline: float,
) -> FetchResult:
    """Asks a provider as `fetch` does, by whichever adapter; `budget` is of its requests."""
    fetched = FetchResult()
    nearest_first = sorted(races, key=lambda race: abs(race.advertised_start - now))
    singly = _races_asked_singly(provider, races, whole, now=now)
    try:
        fetched.answers = _ask_provider(provider, budget, nearest_first, singly, fetched, now=now, deadline=deadline)
    except PollingError as error:
        fetched.errors.append(error)
        fetched.answers = {race.pk: Answer(error=error) for race in races}
    return fetched


def _races_asked_singly(
    provider: Provider, races: Sequence[Race], whole: Collection[int], *, now: datetime
) -> set[int]:
    """The races that are asked by requests of their own from the outset, whatever the list of the others answers."""
    scope = provider.capabilities.batch_scope
    if scope is BatchScope.FULL:
        return set()
    return {
        race.pk for race in races
        if race.pk in whole or asks_singly(
            scope, race.advertised_start, waiting=race.is_waiting, policy=settings.RACE_DETAIL,
            has_detail=bool(race.content_hash), wanted=race.detail_wanted, now=now,
        )
    }  # fmt: skip


def _ask_provider(
    provider: Provider,
    budget: RequestBudget,
    races: Sequence[Race],
    singly: set[int],
    fetched: FetchResult,
    *,
    now: datetime,
    deadline: float,
) -> dict[int, Answer]:
    """Asks for the list, then for single races; a list that fails is the answer of its own races alone."""
    listed = [race for race in races if race.pk not in singly]
    race_list = _ask_for_list(provider, budget, listed, now=now, deadline=deadline)
    if listed and race_list.was_made:
        fetched.errors.append(race_list.failure)
    singly = singly | {race.pk for race in listed if race_list.leaves_open(race)}
    needed = [race for race in races if race.pk in singly]
    asked = needed[: budget.take(len(needed))]
    details = provider.fetch_races(map(race_ref, asked), now=now, deadline=deadline) if asked else {}
    fetched.errors += [detail if isinstance(detail, PollingError) else None for detail in details.values()]
    fetched.refused |= {race_id for race_id, detail in details.items() if isinstance(detail, Blocked)}
    skipped = {race.pk for race in needed[len(asked) :] + ([] if race_list.was_made else listed)}
    missing = race_list.failure or NotFound("the provider's answers do not have this race")
    answers = {}
    for race in races:
        status, detail = race_list.snapshots.get(race.provider_race_id), details.get(race.provider_race_id)
        if race.pk in skipped:
            answers[race.pk] = Answer(status, skipped=budget.refusal, why=budget.why, lacks_tokens=budget.is_short)
        elif isinstance(detail, PollingError):  # the status is kept, and the failure counts all the same
            answers[race.pk] = Answer(status, error=detail)
        else:
            snapshot = detail or status
            answers[race.pk] = Answer(snapshot) if snapshot else Answer(error=missing)
    return answers


def _ask_for_list(
    provider: Provider, budget: RequestBudget, races: Sequence[Race], *, now: datetime, deadline: float
) -> RaceList:
    """Asks for many races by one request. Raises RateLimited and Blocked, after which no other request is made."""
    if not races:
        return RaceList({})
    if not budget.take(1):
        return RaceList({}, was_made=False)
    try:
        return RaceList(provider.fetch_statuses(map(race_ref, races), now=now, deadline=deadline))
    except (RateLimited, Blocked):
        raise
    except PollingError as error:
        return RaceList({}, failure=error)


def race_ref(race: Race) -> RaceRef:
    """How the provider knows the race; reads `race.meeting`."""
    return RaceRef(race.provider_race_id, race.meeting.provider_meeting_id if race.meeting else "")
