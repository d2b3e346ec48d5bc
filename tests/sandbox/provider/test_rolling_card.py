"""The card as a pure function of seed and instant: what may happen to a race, and how often it does."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import pytest

from sandbox.provider.odds import market
from sandbox.provider.race import Race, race_at
from sandbox.provider.race_grid import position_at, start_of
from sandbox.provider.race_state import RaceState, state_of
from sandbox.provider.rolling_card import RollingCard
from sandbox.provider.seeded_random import chance

REPOSITORY = Path(__file__).resolve().parents[3]
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TICK = timedelta(seconds=15)
MINUTE = timedelta(minutes=1)
# A request leaves shortly after its slot, never before.
LATENESS_OF_A_POLL = timedelta(milliseconds=40)


@pytest.fixture(scope="module")
def races() -> list[Race]:
    """Four days of one card."""
    first = position_at(START)
    return [race_at(3, position) for position in range(first, first + 4 * 720)]


def statuses_through(race: Race) -> Iterator[str]:
    instant = race.first_start - 30 * MINUTE
    while instant < race.first_start + 30 * MINUTE:
        yield race.status(instant)
        instant += TICK


def seen(seed: int, now: datetime) -> list[RaceState]:
    return [state_of(race, now=now) for race in RollingCard(seed).listed(now=now)]


def test_another_process_shows_the_same_card() -> None:
    program = (
        "import json, sys; from datetime import datetime; from tests.sandbox.provider.test_rolling_card import shown;"
        "print(json.dumps(shown(int(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))))"
    )
    command = [sys.executable, "-c", program, "11", START.isoformat()]
    answer = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert json.loads(answer.stdout) == shown(11, START)


def shown(seed: int, now: datetime) -> list[list[str]]:
    return [
        [race.race.id, race.status, str(race.advertised_start), str(race.actual_start), repr(market(race))]
        for race in seen(seed, now)
    ]


def test_a_later_instant_shows_the_same_races_further_on() -> None:
    earlier = {race.race.id: race for race in seen(5, START)}
    later = {race.race.id: race for race in seen(5, START + 20 * MINUTE)}
    both = earlier.keys() & later.keys()
    assert len(both) == len(earlier) - 10
    assert any(earlier[i].status == "Open" and later[i].status == "Final" for i in both)


def test_another_seed_is_another_card() -> None:
    assert not {race.id for race in RollingCard(1).listed(now=START)} & {
        race.id for race in RollingCard(2).listed(now=START)
    }


def test_a_race_starts_every_two_minutes_for_three_hours_around_now() -> None:
    starts = [race.first_start for race in RollingCard(1).listed(now=START)]
    assert len(starts) == 180
    assert {after - before for before, after in zip(starts, starts[1:], strict=False)} == {2 * MINUTE}
    assert starts[0] > START - timedelta(hours=3)
    assert starts[-1] <= START + timedelta(hours=3)


def test_meetings_have_twelve_races_and_overlap() -> None:
    card = RollingCard(1).listed(now=START)
    meetings = {race.meeting.id for race in card if abs(race.first_start - START) < 10 * MINUTE}
    assert len(meetings) >= 8
    whole = RollingCard(1).find_meeting(card[90].meeting.id, now=START)
    assert [race.number for race in whole] == list(range(1, 13))
    assert {race.meeting for race in whole} == {card[90].meeting}


@pytest.mark.parametrize(("hours", "is_found"), [(-35.9, True), (35.9, True), (-36.1, False), (36.1, False)])
def test_a_race_is_addressable_for_36_hours_on_either_side(hours: float, is_found: bool) -> None:
    race = race_at(1, position_at(START + timedelta(hours=hours)))
    assert (RollingCard(1).find_race(race.id, now=START) is race) == is_found


def test_every_status_appears_and_in_order(races: list[Race]) -> None:
    paths = {tuple(dict.fromkeys(statuses_through(race))) for race in races[:400]}
    assert paths == {
        ("Open", "Closed", "Interim", "Final"),
        ("Open", "Live", "Interim", "Final"),
        ("Open", "Abandoned"),
    }


def test_races_jump_as_late_as_recorded_ones(races: list[Race]) -> None:
    late = [race.lateness.total_seconds() for race in races]
    assert 58 <= median(late) <= 75
    assert 235 <= quantiles(late, n=10)[-1] <= 320
    assert 0.02 <= late.count(0) / len(late) <= 0.08
    assert min(late) == 0


def test_results_come_two_to_four_minutes_after_the_jump_and_are_final_two_to_five_later(
    races: list[Race],
) -> None:
    assert {2 * MINUTE <= race.interim_after <= 4 * MINUTE for race in races} == {True}
    assert {2 * MINUTE <= race.final_after <= 5 * MINUTE for race in races} == {True}


def test_some_starts_move_once_or_twice_in_the_last_quarter_of_an_hour(races: list[Race]) -> None:
    moved = [race for race in races if race.moves]
    assert 0.05 <= len(moved) / len(races) <= 0.15
    assert {len(race.moves) for race in moved} == {1, 2}
    assert {sum((move.by for move in race.moves), timedelta()) / MINUTE for race in moved} == {-1, 1, 2, 3, 4}
    befores = [race.first_start - move.at for race in moved for move in race.moves]
    assert all(timedelta() < before <= 15 * MINUTE for before in befores)


def test_a_moved_start_is_reported_from_the_move_on() -> None:
    race = next(race for race in RollingCard(1).listed(now=START) if race.moves)
    move = race.moves[0]
    assert state_of(race, now=move.at - TICK).advertised_start == race.first_start
    assert state_of(race, now=move.at).advertised_start == race.first_start + move.by


def test_about_one_race_in_25_is_abandoned_before_or_after_its_start(races: list[Race]) -> None:
    abandoned = [race for race in races if race.abandoned_at]
    assert 0.02 <= len(abandoned) / len(races) <= 0.06
    assert {race.abandoned_at > race.first_start for race in abandoned if race.abandoned_at} == {True, False}
    assert not any(state_of(race, now=race.first_start + 60 * MINUTE).places for race in abandoned)


def test_scratchings_happen_early_and_late_and_some_are_undone(races: list[Race]) -> None:
    scratched = [(race, runner) for race in races for runner in race.runners if runner.scratched_at]
    before = [race.first_start - runner.scratched_at for race, runner in scratched if runner.scratched_at]
    assert min(before) < 15 * MINUTE < timedelta(hours=4) < max(before)
    race, runner = next((race, runner) for race, runner in scratched if runner.unscratched_at)
    assert runner.scratched_at is not None
    assert runner.unscratched_at is not None
    assert runner.number in state_of(race, now=runner.scratched_at).scratched
    assert runner.number not in state_of(race, now=runner.unscratched_at).scratched


def test_a_field_has_six_to_twelve_runners_of_different_names_and_barriers(races: list[Race]) -> None:
    sizes = {len(race.runners) for race in races}
    assert sizes == set(range(6, 13))
    for race in races[:200]:
        assert len({runner.name for runner in race.runners}) == len(race.runners)
        assert {runner.barrier for runner in race.runners} == {runner.number for runner in race.runners}


def test_final_places_hold_who_ran_with_a_few_dead_heats_and_non_finishers(races: list[Race]) -> None:
    finals = [state_of(race, now=race.final_at) for race in races if not race.abandoned_at]
    for final in finals:
        placed = [number for place in final.places for number in place]
        assert len(placed) == len(set(placed))
        assert not set(placed) & final.scratched.keys()
    tied = [final for final in finals if len(final.places) < sum(map(len, final.places))]
    assert 0 < len(tied) / len(finals) < 0.1
    finishers = [sum(map(len, final.places)) for final in finals]
    starters = [len(final.race.runners) - len(final.scratched) for final in finals]
    assert {ran - home for ran, home in zip(starters, finishers, strict=True)} == {0, 1}


def test_a_few_races_jump_before_their_start_and_say_so(races: list[Race]) -> None:
    early = [race for race in races if race.early_by]
    assert 0.005 <= len(early) / len(races) <= 0.05
    assert all(timedelta(seconds=10) <= race.early_by <= timedelta(seconds=90) for race in early)
    assert not any(race.lateness or race.moves for race in early)
    race = next(race for race in early if not race.abandoned_at)
    seen = state_of(race, now=race.first_start - race.early_by)
    assert seen.status in ("Closed", "Live")
    assert seen.actual_start < seen.advertised_start == race.first_start


def test_a_protest_comes_after_interim_and_postpones_final_by_some_minutes(races: list[Race]) -> None:
    protested = [(race, race.protest) for race in races if race.protest and not race.abandoned_at]
    assert 0.01 <= len(protested) / len(races) <= 0.07
    for race, protest in protested:
        assert timedelta() < protest.after < race.final_after
        assert 2 * MINUTE <= protest.delay <= 8 * MINUTE
        assert race.final_at == race.interim_at + race.final_after + protest.delay
        raised_at = race.interim_at + protest.after
        before, after, decided = (state_of(race, now=now) for now in (raised_at - TICK / 15, raised_at, race.final_at))
        assert (before.status, before.protest) == ("Interim", None)
        assert (after.status, after.protest) == ("Interim", protest.reason)
        assert (decided.status, decided.protest) == ("Final", protest.reason)


def test_a_rare_final_result_is_corrected_within_the_hour(races: list[Race]) -> None:
    corrected = [race for race in races if race.corrected_after and not race.abandoned_at]
    assert 0.003 <= len(corrected) / len(races) <= 0.03
    for race in corrected:
        assert race.corrected_after
        assert 10 * MINUTE <= race.corrected_after <= 50 * MINUTE
        at = race.final_at + race.corrected_after
        first, then = (state_of(race, now=now) for now in (at - TICK, at))
        assert first.status == then.status == "Final"
        assert then.places == (first.places[1], first.places[0], *first.places[2:])


def test_interim_places_begin_as_the_final_ones_do(races: list[Race]) -> None:
    for race in (race for race in races[:200] if not race.abandoned_at):
        interim = state_of(race, now=race.interim_at).places
        assert interim == state_of(race, now=race.final_at).places[: len(interim)]
        assert len(interim) >= 2


def steady(seed: int) -> Race:
    """A race whose start does not move and that nobody is scratched from in the last half hour."""
    return next(
        race
        for race in RollingCard(seed).listed(now=START)
        if race.position % 4 == 0 and not any(runner.scratched_at for runner in race.runners)
    )


@pytest.mark.parametrize("seed", range(10))
def test_odds_move_every_15_seconds_in_the_last_five_minutes_and_at_no_other_instant(seed: int) -> None:
    race = steady(seed)
    slots = [race.first_start - 5 * MINUTE + tick * TICK for tick in range(20)]
    prices = [market(state_of(race, now=slot)) for slot in slots]
    assert all(before != after for before, after in zip(prices, prices[1:], strict=False))
    assert [market(state_of(race, now=slot + TICK - MINUTE / 1000)) for slot in slots] == prices


@pytest.mark.parametrize("seed", range(10))
def test_odds_move_every_three_minutes_before(seed: int) -> None:
    race = steady(seed)
    minutes = [race.first_start - (60 - minute) * MINUTE for minute in range(50)]
    prices = [market(state_of(race, now=minute)) for minute in minutes]
    moves = sum(before != after for before, after in zip(prices, prices[1:], strict=False))
    assert 16 <= moves <= 17


def test_odds_stay_from_the_jump_on() -> None:
    race = steady(1)
    assert market(state_of(race, now=race.jump_at)) == market(state_of(race, now=race.final_at + 60 * MINUTE))
    assert market(state_of(race, now=race.jump_at)) != market(state_of(race, now=race.jump_at - MINUTE))


def polls_of_two_minutes(seed: int, boot: datetime) -> Iterator[tuple[int, RaceState]]:
    """What a poller sees that starts at `boot`, with the number of the tick.

    It asks for every race at its first tick, then every 15 seconds in the last five minutes before the start
    that was reported to it, and at 0, +5 and +10 minutes after it.
    """
    first = boot + (datetime.min.replace(tzinfo=UTC) - boot) % TICK
    for tick in range(8):
        slot = first + tick * TICK
        for race in seen(seed, slot + LATENESS_OF_A_POLL):
            to_start = race.advertised_start - slot
            if tick == 0 or timedelta() < to_start <= 5 * MINUTE or -to_start / MINUTE in (0, 5, 10):
                yield tick, race


@pytest.mark.parametrize("case", range(20))
def test_two_minutes_after_any_boot_a_poller_has_seen_all_there_is_to_see(case: int) -> None:
    seed = int(1_000_000 * chance("seed", case))
    boot = START + timedelta(days=365 * chance("boot", case))
    polls = list(polls_of_two_minutes(seed, boot))
    statuses = {race.status for _, race in polls}
    late = [race for _, race in polls if race.status == "Open" and race.now > race.advertised_start]
    assert {"Open", "Interim", "Final"} <= statuses
    assert late
    prices = {(tick, race.race.id): market(race) for tick, race in polls if race.now < race.advertised_start}
    following = [(prices[tick, i], prices.get((tick + 1, i))) for tick, i in prices]
    assert any(after not in (None, before) for before, after in following)


def test_no_instant_of_a_card_is_without_a_late_and_an_interim_race() -> None:
    for step in range(120):
        polls = [race for _, race in polls_of_two_minutes(9, START + step * timedelta(seconds=23))]
        assert any(race.status == "Interim" for race in polls)
        assert any(race.status == "Open" and race.now > race.advertised_start for race in polls)


def test_positions_and_instants_are_inverse() -> None:
    assert start_of(position_at(START)) == START
    assert position_at(START - TICK) == position_at(START) - 1
