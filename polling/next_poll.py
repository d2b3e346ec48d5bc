"""When a race is polled next, from stored facts: on its grid, or sooner where news or a failure asks for it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from polling.cadence import ZERO, Cadence, ceiling, floor, next_tick

# How long after its end a result is polled again: corrections come within the hour, or not at all.
RECHECKS = (timedelta(minutes=15), timedelta(minutes=60))
RECHECK_WITHIN = timedelta(hours=2)
AFTER_A_SKIP = timedelta(minutes=5)  # until an ended race is polled again that was skipped or has no placings
CATCH_UP = timedelta(hours=1)  # a race longer past its start than this has time until its next slot
CONFIRM_WITHIN = timedelta(hours=24)  # a Final without placings for so long is left to staff
DETAIL_TRIES = 24  # of a race that has ended; with backoff about two hours


def backoff(failures: int, *, tick: timedelta, most: timedelta = timedelta(minutes=5)) -> timedelta:
    """How long to wait after so many failures in a row: a tick, then twice as long each time, `most` at the longest."""
    return min(tick * 2 ** min(failures - 1, 16), most) if failures else ZERO


@dataclass(frozen=True, slots=True)
class RaceFacts:
    """What the plan of a race depends on; all instants are aware.

    `waiting` says that it has not started; `ended_at` is when its result came, which is then polled again;
    `unproven_final_at` since when the provider reports a Final without proof. `covered_at` is the newest slot that was
    claimed or skipped, `asked_at` the newest that was not skipped, `planned_at` the plan so far. A race that is
    `refused` is asked with backoff alone, one the provider no longer knows (`unknown`) at the slowest step.
    `not_before` is until when the provider wants no request, `min_interval` the shortest time between two with news.
    """

    advertised_start: datetime
    waiting: bool = False
    finalized: bool = False
    ended_at: datetime | None = None
    paused: bool = False
    snoozed_until: datetime | None = None
    covered_at: datetime | None = None
    asked_at: datetime | None = None
    planned_at: datetime | None = None
    failures: int = 0
    detail_wanted: bool = False
    unproven_final_at: datetime | None = None
    refused: bool = False
    unknown: bool = False
    not_before: datetime | None = None
    min_interval: timedelta = ZERO


def next_poll(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime | None:
    """When the race is polled next, or None where it is not polled.

    That is the next slot of its cadence, or a tick before it: for a failure, for news whose detail is missing, for a
    slot that has begun and that nobody claimed. A race that has ended gets its rechecks, and a detail that is missing.
    """
    if facts.paused:
        return None
    if facts.finalized:
        return _next_recheck(facts, cadence=cadence, now=now)
    is_snoozed = facts.snoozed_until is not None and facts.snoozed_until > now
    if facts.planned_at and facts.planned_at <= now and not is_snoozed:
        is_claimed = facts.covered_at is not None and facts.covered_at >= facts.planned_at
        if not is_claimed:  # another plan now would lose it
            return facts.planned_at
    if facts.refused:
        return _retry_tick(facts, cadence=cadence, now=now)
    if facts.unknown:
        slow = floor((facts.covered_at or now) + cadence.windows[-1].step, cadence.tick)
        return max(slow, _retry_tick(facts, cadence=cadence, now=now))
    grid = cadence.for_race(waiting=facts.waiting, min_interval=facts.min_interval)
    after = max(now, facts.covered_at or now, facts.snoozed_until or now)
    planned = grid.next_slot(facts.advertised_start, after=after, min_interval=facts.min_interval)
    sooner = _off_grid_tick(facts, grid=grid, now=now)
    return min(planned, sooner) if sooner else planned


def _next_recheck(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime | None:
    """The next recheck of a result; one that failed, was skipped or fell into an outage is made later.

    A detail that is missing (news of a race that has ended, a Final without placings) comes first.
    """
    if facts.detail_wanted and (detail := _next_detail(facts, cadence=cadence, now=now)):
        return detail
    if facts.ended_at is None or now > facts.ended_at + RECHECK_WITHIN:
        return None
    if facts.failures:
        return _retry_tick(facts, cadence=cadence, now=now)
    rechecks = [ceiling(facts.ended_at + wait, cadence.tick) for wait in RECHECKS]
    left = [recheck for recheck in rechecks if facts.asked_at is None or recheck > facts.asked_at]
    if not left:
        return None
    recheck = left[0]
    if facts.covered_at and facts.covered_at >= recheck:  # it was skipped
        recheck = ceiling(facts.covered_at + AFTER_A_SKIP, cadence.tick)
    return max(recheck, next_tick(now, cadence.tick))


def _next_detail(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime | None:
    """When the detail of an ended race is asked for: the next tick, a later one after failures; None once given up."""
    if facts.failures:
        return _retry_tick(facts, cadence=cadence, now=now) if facts.failures < DETAIL_TRIES else None
    following = next_tick(now, cadence.tick)
    if facts.covered_at and (facts.asked_at is None or facts.covered_at > facts.asked_at):
        return max(ceiling(facts.covered_at + AFTER_A_SKIP, cadence.tick), following)
    if facts.unproven_final_at is None:
        return following
    if now - facts.unproven_final_at > CONFIRM_WITHIN:
        return None
    return _next_confirmation(facts.unproven_final_at, facts.asked_at, cadence=cadence, now=now)


def _next_confirmation(since: datetime, asked: datetime | None, *, cadence: Cadence, now: datetime) -> datetime:
    """When a Final without placings is polled again: the next tick at first, then ever later.

    The wait is half as long as the placings have been missing, five minutes at most.
    """
    asked = max(asked or since, since)
    wait = min(max((asked - since) / 2, cadence.tick), AFTER_A_SKIP)
    return max(floor(asked + wait, cadence.tick), next_tick(now, cadence.tick))


def _off_grid_tick(facts: RaceFacts, *, grid: Cadence, now: datetime) -> datetime | None:
    """The tick at which a race is polled off its grid, or None where it can wait for its next slot.

    That is the next tick where a slot of the present grid has begun and is not covered (a race found late, a start
    that moved, a pause that ended), or where the status brought news and the detail is missing; a later one where
    polls failed. A race long past its start can wait unless it was polled before: the first import of a whole day must
    not ask for every race at once. A Final without placings waits for no window.
    """
    if facts.unproven_final_at and facts.detail_wanted and not facts.failures:
        confirmation = _next_confirmation(facts.unproven_final_at, facts.asked_at, cadence=grid, now=now)
        return max(confirmation, _retry_tick(facts, cadence=grid, now=now))
    newest = grid.newest_slot(facts.advertised_start, now=now, min_interval=facts.min_interval)
    is_news = facts.detail_wanted and facts.asked_at is not None
    if newest is None or (now - facts.advertised_start > CATCH_UP and not is_news):
        return None
    uncovered = facts.covered_at is None or newest > facts.covered_at
    if not (uncovered or facts.detail_wanted or facts.failures):
        return None
    return _retry_tick(facts, cadence=grid, now=now)


def _retry_tick(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime:
    """The next tick, a later one after failures, and none while the provider or staff want no request for the race."""
    retry = floor(now + max(backoff(facts.failures, tick=cadence.tick), cadence.tick), cadence.tick)
    held = max(facts.not_before or now, facts.snoozed_until or now)
    return max(retry, ceiling(held, cadence.tick))


@dataclass(frozen=True, slots=True)
class DueSlot:
    """What to claim for a due race: a slot of its grid (`on_grid`) or the tick; and the slots that passed unclaimed."""

    slot_at: datetime
    on_grid: bool
    missed: tuple[datetime, ...] = ()


def due_slot(
    start: datetime, *, planned_at: datetime, cadence: Cadence, now: datetime, min_interval: timedelta = ZERO
) -> DueSlot:
    """What to claim for a race that was planned for `planned_at` and is due now.

    The newest begun slot wins; what lies on the grid between the plan and it was missed.
    """
    newest = cadence.newest_slot(start, now=now, min_interval=min_interval)
    if newest is None or newest < planned_at:
        return DueSlot(floor(now, cadence.tick), on_grid=False)
    missed = cadence.between(start, since=planned_at, until=newest, min_interval=min_interval)
    return DueSlot(newest, on_grid=True, missed=tuple(missed))
