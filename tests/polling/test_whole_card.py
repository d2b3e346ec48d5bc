"""Hours of a card, every tick of them: each race is polled at each of its slots, once, and brought to its end."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from polling import importing, planning
from polling.models import PollLog, PollState, Trigger
from races.models import Race
from sandbox.provider.race import Race as SimulatedRace
from sandbox.provider.race_state import state_of
from sandbox.provider.rolling_card import RollingCard
from tests.factories import START
from tests.polling.conftest import ProviderBox
from tests.polling.driving import ANSWERED_IN, STEP, TASK_LATE, Driver, ticks

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
SEED = 7
EVERY, AFTER = 5 * MINUTE, timedelta(seconds=5)  # the import


@pytest.mark.parametrize(
    ("hours", "every"),
    [
        pytest.param(1.7, 9, id="a few races"),
        pytest.param(3, 1, marks=[pytest.mark.slow, pytest.mark.timeout(900)], id="all races of three hours"),
    ],
)
def test_each_slot_of_each_race_is_polled_once_and_each_race_that_ended_is_finalized(
    provider: ProviderBox, hours: float, every: int
) -> None:
    """The races of the card start a minute or two apart; of them every so many are kept."""
    driver, until = Driver(provider), START + hours * 60 * MINUTE
    imports = [START - AFTER]
    provider.now[0] = imports[0]
    importing.import_schedule("sandbox", now=imports[0])
    kept = Race.objects.filter(advertised_start__gte=START + 65 * MINUTE, advertised_start__lt=until)
    chosen = [race.pk for race in kept.order_by("advertised_start")[::every]]
    if every > 1:
        Race.objects.exclude(pk__in=chosen).delete()
    provider.forget_requests()
    for slot in ticks(START, until):
        driver.tick(slot)
        if every == 1 and (slot - START) % EVERY == timedelta():
            provider.now[0] = slot + AFTER
            importing.import_schedule("sandbox", now=slot + AFTER)
            imports.append(slot + AFTER)

    races = list(Race.objects.filter(pk__in=chosen))
    assert len(races) >= 2
    for race in races:
        simulated = RollingCard(SEED).find_race(race.provider_race_id, now=until)
        assert simulated is not None
        logs = list(race.poll_logs.order_by("slot_at"))
        assert {log.state for log in logs} == {PollState.OK.value}
        assert_no_slot_passed(logs, simulated, imports, until)
        assert_brought_to_its_end(race, logs, simulated, until)
    assert_each_request_belongs_to_a_claim(provider)


def asked_at(polls: Sequence[PollLog], imports: Sequence[datetime], *, before: datetime) -> list[datetime]:
    """When the provider was asked about the race before an instant: by a poll of its own, or by an import."""
    asked = [log.slot_at + TASK_LATE for log in polls if log.slot_at < before]
    return [*asked, *(instant for instant in imports if instant < before)]


def reported_start(
    simulated: SimulatedRace, polls: Sequence[PollLog], imports: Sequence[datetime], *, now: datetime
) -> datetime:
    """The start that had been reported by `now`."""
    return simulated.advertised_start(max(asked_at(polls, imports, before=now)))


def waits(simulated: SimulatedRace, polls: Sequence[PollLog], imports: Sequence[datetime], *, now: datetime) -> bool:
    """Whether we had no report of its jump by `now`."""
    return not any(
        simulated.status(instant) not in ("Open", "Abandoned") for instant in asked_at(polls, imports, before=now)
    )


def assert_no_slot_passed(
    logs: list[PollLog], simulated: SimulatedRace, imports: list[datetime], until: datetime
) -> None:
    """Between a poll and the next lay no slot of the grid of the start reported by then, nor before the first.

    The grid is held past the start until the jump was reported.
    """
    cadence = planning.default_cadence()
    before_end = [log for log in logs if log.trigger != Trigger.RECHECK.value]
    start = reported_start(simulated, before_end[:1], imports, now=before_end[0].slot_at)
    assert before_end[0].slot_at == cadence.anchor(start) - 60 * MINUTE
    for earlier, later in pairwise(before_end):
        start = reported_start(simulated, before_end, imports, now=later.slot_at)
        grid = cadence.for_race(waiting=waits(simulated, before_end, imports, now=later.slot_at))
        assert grid.next_slot(start, after=earlier.slot_at) >= later.slot_at, (simulated.moves, earlier, later)
    # Off the grid is only what follows an import, which learned some news.
    off_grid = [log for log in before_end if log.trigger != Trigger.SLOT.value]
    assert all(any(timedelta() < log.slot_at - instant <= STEP for instant in imports) for log in off_grid)
    if not simulated.moves:
        slots = [log.slot_at for log in before_end if log.trigger == Trigger.SLOT.value]
        end = before_end[-1].slot_at + timedelta(seconds=1)
        held, plain = (
            cadence.for_race(waiting=waiting).plan(simulated.first_start, until=end) for waiting in (True, False)
        )
        waited = [slot for slot in held if waits(simulated, before_end, imports, now=slot)]
        assert slots == waited + [slot for slot in plain if not waits(simulated, before_end, imports, now=slot)]


def assert_brought_to_its_end(race: Race, logs: list[PollLog], simulated: SimulatedRace, until: datetime) -> None:
    """Within a step of its end, with the outcome and the result that the provider reported at the last poll."""
    ends_at = simulated.abandoned_at or simulated.final_at
    if ends_at > until - EVERY:
        return
    outcome = "abandoned" if simulated.abandoned_at else "resulted"
    assert (race.status, race.outcome) == ("finalized", outcome)
    assert race.finalized_at is not None
    assert timedelta() <= race.finalized_at - ends_at <= EVERY + TASK_LATE + ANSWERED_IN
    places = state_of(simulated, now=logs[-1].slot_at + TASK_LATE).places
    placed = [(row["position"], row["runner_number"]) for row in race.results if row["position"]]
    in_order = [number for place in places for number in place]
    assert sorted(number for _, number in placed) == sorted(in_order)
    assert [number for position, number in placed if position == 1] == list(places[0] if places else ())


def assert_each_request_belongs_to_a_claim(provider: ProviderBox) -> None:
    """No detail is asked twice in a slot, and none without a claim; nor a list for a race that none was for."""
    claims: dict[str, set[str]] = {}
    meetings: dict[str, set[str]] = {}
    for log in PollLog.objects.select_related("race__meeting"):
        at = (log.slot_at + TASK_LATE).isoformat(timespec="milliseconds")
        claims.setdefault(at, set()).add(log.race.provider_race_id)
        if log.race.meeting:
            meetings.setdefault(at, set()).add(log.race.meeting.provider_meeting_id)
    details = Counter((entry["at"], entry["race_id"]) for entry in provider.requests("/events/"))
    assert set(details.values()) == {1}
    assert all(race_id in claims[at] for at, race_id in details)
    lists = [entry for entry in provider.requests("/racing/meetings") if "ids=" in entry["query"]]
    assert lists
    for entry in lists:
        assert _listed_ids(entry) <= meetings[entry["at"]]


def _listed_ids(entry: dict[str, Any]) -> set[str]:
    [ids] = [part.removeprefix("ids=") for part in entry["query"].split("&") if part.startswith("ids=")]
    return set(ids.replace("%2C", ",").split(","))
