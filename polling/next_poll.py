"""When a race is polled next, from stored facts: on its grid, or sooner where news or a failure asks for it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from polling.cadence import ZERO, Cadence, ceiling, floor, next_tick

# After what a provider called final: corrections come within the hour, or not at all.
RECHECKS = (timedelta(minutes=15), timedelta(minutes=60))
RECHECK_UNTIL = timedelta(hours=2)
LOOK_AGAIN = timedelta(minutes=5)  # after a look that was let go: paused, no tokens, a provider that fails
CATCH_UP = timedelta(hours=1)  # a race longer past its start than this has time until its next slot
PROVE_UNTIL = timedelta(hours=24)  # a Final without proof for so long is left to staff
TRIES_OF_A_DETAIL = 24  # of a race that has ended; with backoff about two hours


def backoff(failures: int, *, tick: timedelta, most: timedelta = timedelta(minutes=5)) -> timedelta:
    """How long to wait after `failures` polls in a row failed: a tick, then twice as long each time."""
    return min(tick * 2 ** min(failures - 1, 16), most) if failures else ZERO


@dataclass(frozen=True, slots=True)
class RaceFacts:
    """What the plan of a race depends on.

    `waiting` says that it has not started, `ended_at` since when a result is to be looked at again, `bare_final_at`
    since when the provider reports a Final without proof; `covered` is the newest slot that was claimed or
    skipped, `asked` the newest that was not skipped, `planned` the plan so far. A race that is `refused` is asked with
    backoff alone, one that the provider no longer knows (`unknown`) at the slowest step.
    """

    advertised_start: datetime
    waiting: bool = False
    finalized: bool = False
    ended_at: datetime | None = None
    paused: bool = False
    snoozed_until: datetime | None = None
    covered: datetime | None = None
    asked: datetime | None = None
    planned: datetime | None = None
    failures: int = 0
    detail_wanted: bool = False
    bare_final_at: datetime | None = None
    refused: bool = False
    unknown: bool = False
    not_before: datetime | None = None
    thin_to: timedelta = ZERO


def next_poll(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime | None:
    """When the race is polled next: on its grid, or sooner where `_sooner` says so; None when it is not polled."""
    if facts.paused:
        return None
    if facts.finalized:
        return _next_recheck(facts, cadence=cadence, now=now)
    if facts.planned and _awaits_its_tick(facts.planned, facts, now=now):
        return facts.planned
    if facts.refused:
        return _retry(facts, cadence=cadence, now=now)
    if facts.unknown:
        slow = floor((facts.covered or now) + cadence.windows[-1].step, cadence.tick)
        return max(slow, _retry(facts, cadence=cadence, now=now))
    suited = cadence.suited(waiting=facts.waiting, thin_to=facts.thin_to)
    after = max(now, facts.covered or now, facts.snoozed_until or now)
    planned = suited.next_slot(facts.advertised_start, after=after, thin_to=facts.thin_to)
    sooner = _sooner(facts, cadence=suited, now=now)
    return min(planned, sooner) if sooner else planned


def _awaits_its_tick(planned: datetime, facts: RaceFacts, *, now: datetime) -> bool:
    """Whether the poll planned so far is due and the tick has not claimed it yet: to plan on now would lose it."""
    claimed = facts.covered is not None and facts.covered >= planned
    return planned <= now and not claimed and (facts.snoozed_until or now) <= now


def _next_recheck(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime | None:
    """The next look at a result; one that failed, was skipped or was swallowed by an outage is made up for.

    A detail that is wanted (news of a race that has ended, a Final without proof) comes first.
    """
    if facts.detail_wanted and (detail := _next_detail(facts, cadence=cadence, now=now)):
        return detail
    if facts.ended_at is None or now > facts.ended_at + RECHECK_UNTIL:
        return None
    if facts.failures:
        return _retry(facts, cadence=cadence, now=now)
    looks = [ceiling(facts.ended_at + wait, cadence.tick) for wait in RECHECKS]
    left = [look for look in looks if facts.asked is None or look > facts.asked]
    if not left:
        return None
    let_go = facts.covered is not None and facts.covered >= left[0]
    look = ceiling(facts.covered + LOOK_AGAIN, cadence.tick) if facts.covered and let_go else left[0]
    return max(look, next_tick(now, cadence.tick))


def _next_detail(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime | None:
    """When the detail of an ended race is asked for: at the next tick, later after failures; None once given up."""
    if facts.failures:
        return _retry(facts, cadence=cadence, now=now) if facts.failures < TRIES_OF_A_DETAIL else None
    following = next_tick(now, cadence.tick)
    if facts.covered and (facts.asked is None or facts.covered > facts.asked):
        return max(ceiling(facts.covered + LOOK_AGAIN, cadence.tick), following)
    if facts.bare_final_at is None:
        return following
    if now - facts.bare_final_at > PROVE_UNTIL:
        return None
    return _next_proof(facts.bare_final_at, facts.asked, cadence=cadence, now=now)


def _next_proof(since: datetime, asked: datetime | None, *, cadence: Cadence, now: datetime) -> datetime:
    """The next tick at first, then ever later: half as long as the Final has lacked its placings, 5 min at most."""
    asked = max(asked or since, since)
    wait = min(max((asked - since) / 2, cadence.tick), LOOK_AGAIN)
    return max(floor(asked + wait, cadence.tick), next_tick(now, cadence.tick))


def _sooner(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime | None:
    """The tick at which a race is polled off its grid.

    At the next one where a slot of the present grid has begun and is not covered (a race found late, a start
    that moved, a pause that ended), or where the status brought news and the detail is not here; with backoff
    where polls failed. A race long past its start has time until its next slot unless it was polled before: a first
    import of a whole day must not ask for every race at once. A Final without proof waits for no window.
    """
    if facts.bare_final_at and facts.detail_wanted and not facts.failures:
        proof = _next_proof(facts.bare_final_at, facts.asked, cadence=cadence, now=now)
        return max(proof, _retry(facts, cadence=cadence, now=now))
    newest = cadence.newest_slot(facts.advertised_start, now=now, thin_to=facts.thin_to)
    is_news = facts.detail_wanted and facts.asked is not None
    if newest is None or (now - facts.advertised_start > CATCH_UP and not is_news):
        return None
    uncovered = facts.covered is None or newest > facts.covered
    if not (uncovered or facts.detail_wanted or facts.failures):
        return None
    return _retry(facts, cadence=cadence, now=now)


def _retry(facts: RaceFacts, *, cadence: Cadence, now: datetime) -> datetime:
    """The next tick, later after failures and not while the provider or staff want the race left alone."""
    retry = floor(now + max(backoff(facts.failures, tick=cadence.tick), cadence.tick), cadence.tick)
    held = max(facts.not_before or now, facts.snoozed_until or now)
    return max(retry, ceiling(held, cadence.tick))


@dataclass(frozen=True, slots=True)
class Wanted:
    """The poll a due race wants: on the grid (`on_grid`) or at the tick; and the slots that passed unclaimed."""

    slot_at: datetime
    on_grid: bool
    missed: tuple[datetime, ...] = ()


def wanted(start: datetime, *, planned: datetime, cadence: Cadence, now: datetime, thin_to: timedelta = ZERO) -> Wanted:
    """What to claim for a race that was planned for `planned` and is due now.

    The newest begun slot wins; what lies on the grid between the plan and it was missed.
    """
    newest = cadence.newest_slot(start, now=now, thin_to=thin_to)
    if newest is None or newest < planned:
        return Wanted(floor(now, cadence.tick), on_grid=False)
    missed = cadence.between(start, since=planned, until=newest, thin_to=thin_to)
    return Wanted(newest, on_grid=True, missed=tuple(missed))
