"""Which requests a poll makes of a provider, by what a list of the provider answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from polling import fetching
from polling.errors import NotFound, Unavailable
from polling.fetching import FetchResult
from polling.providers.base import Answer, Capabilities, RaceRef, Schedule
from polling.quota.request_budget import RequestBudget
from polling.quota.token_bucket import Priority
from polling.request_policy import BatchScope
from races.models import Race
from races.snapshots import RaceSnapshot, Scope
from races.status import RaceStatus, ResultState
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db

NOW = START - timedelta(minutes=3)
SCOPES = {BatchScope.STATUS: Scope.STATUS, BatchScope.FULL: Scope.FULL}


@dataclass
class Adapter:
    """A provider that answers from a table, and keeps the requests it got."""

    capabilities: Capabilities
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    lists: list[list[str]] = field(default_factory=list)
    single: list[str] = field(default_factory=list)
    name: str = "sandbox"

    def fetch_schedule(self, since: datetime, until: datetime, *, now: datetime, deadline: float) -> Schedule:
        return Schedule([])

    def fetch_statuses(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, RaceSnapshot]:
        ids = [ref.provider_race_id for ref in refs]
        self.lists.append(ids)
        scope = SCOPES[self.capabilities.batch_scope]
        return {race_id: self._snapshot(race_id, scope, now) for race_id in ids if race_id not in self.unlisted}

    def fetch_races(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, Answer]:
        ids = [ref.provider_race_id for ref in refs]
        self.single += ids
        return {race_id: self._snapshot(race_id, Scope.FULL, now) for race_id in ids}

    def _snapshot(self, race_id: str, scope: Scope, now: datetime) -> RaceSnapshot:
        facts = {"status": RaceStatus.SCHEDULED, "provider_status": "Open"} | self.facts.get(race_id, {})
        return RaceSnapshot("sandbox", race_id, scope, now, advertised_start=START, **facts)


def adapter(scope: BatchScope, **values: Any) -> Adapter:
    return Adapter(Capabilities(scope, max_batch=20), **values)


def ask(provider: Adapter, races: list[Race], whole: Iterable[Race] = ()) -> FetchResult:
    budget = RequestBudget("sandbox", Priority.URGENT, NOW)
    return fetching.ask(provider, budget, races, whole={race.pk for race in whole}, now=NOW, deadline=1e9)


def news_of(race: Race) -> dict[str, Any]:
    """What makes a status answer call for the detail: another status, an interim result, a postponed start."""
    other = {"status": RaceStatus.IN_PROGRESS, "provider_status": "Interim", "result_state": ResultState.INTERIM}
    return {race.provider_race_id: other}


def test_a_list_that_answers_all_there_is_is_the_only_request_whatever_it_says() -> None:
    known, new, forced = make_race(content_hash="known"), make_race(detail_wanted=True), make_race()
    provider = adapter(BatchScope.FULL, facts=news_of(known))
    fetched = ask(provider, [known, new, forced], whole=[forced])
    assert (len(provider.lists), provider.single, fetched.errors) == (1, [], [None])
    assert sorted(provider.lists[0]) == sorted(race.provider_race_id for race in (known, new, forced))
    answers = fetched.answers.values()
    assert all(
        answer.snapshot and answer.snapshot.scope is Scope.FULL and not answer.lacks_detail for answer in answers
    )


def test_a_race_that_such_a_list_leaves_out_is_asked_singly() -> None:
    listed, missing = make_race(), make_race()
    provider = adapter(BatchScope.FULL, unlisted={missing.provider_race_id})
    fetched = ask(provider, [listed, missing])
    assert (len(provider.lists), provider.single) == (1, [missing.provider_race_id])
    assert all(answer.snapshot for answer in fetched.answers.values())


def test_a_list_of_statuses_is_followed_by_the_detail_of_those_with_news(settings: Any) -> None:
    settings.RACE_DETAIL = "changed"
    quiet, moved, forced = (make_race(content_hash="known", provider_status="Open") for _ in range(3))
    provider = adapter(BatchScope.STATUS, facts=news_of(moved))
    ask(provider, [quiet, moved, forced], whole=[forced])
    assert [sorted(ids) for ids in provider.lists] == [sorted([quiet.provider_race_id, moved.provider_race_id])]
    assert sorted(provider.single) == sorted([moved.provider_race_id, forced.provider_race_id])


def test_where_there_is_no_list_each_race_is_asked_singly() -> None:
    races = [make_race(content_hash="known") for _ in range(2)]
    provider = adapter(BatchScope.NONE)
    ask(provider, races)
    assert (provider.lists, len(provider.single)) == ([], 2)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_list_that_fails_is_the_answer_of_its_races_and_nothing_is_asked_singly(
    scope: BatchScope, settings: Any
) -> None:
    settings.RACE_DETAIL = "changed"
    failure = Unavailable("no answer")

    class Failing(Adapter):
        def fetch_statuses(
            self, refs: Iterable[RaceRef], *, now: datetime, deadline: float
        ) -> Mapping[str, RaceSnapshot]:
            raise failure

    provider = Failing(Capabilities(scope, max_batch=20))
    fetched = ask(provider, [make_race(content_hash="known") for _ in range(2)])
    assert (provider.single, fetched.errors) == ([], [failure])
    assert [answer.error for answer in fetched.answers.values()] == [failure] * 2


def test_a_race_that_no_answer_has_is_not_found() -> None:
    race = make_race()

    class Forgetful(Adapter):
        def fetch_races(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, Answer]:
            return {}

    provider = Forgetful(Capabilities(BatchScope.FULL, max_batch=20), unlisted={race.provider_race_id})
    [answer] = ask(provider, [race]).answers.values()
    assert isinstance(answer.error, NotFound)
