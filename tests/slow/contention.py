"""One of the processes that work on the same races at once; `python -m tests.slow.contention PART ROUNDS BEGAN NOW`.

The instant each round works at is made up: it moves by a tick every STRIDE seconds, for all processes alike, so that
an hour of racing passes in a minute. Errors are for the server's log; what a part did goes to stdout as a number.
"""

import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import django
from django.db import Error as DatabaseError

STRIDE = 0.25
TICK = timedelta(seconds=15)


class Clock:
    """The instant that all processes agree on."""

    def __init__(self, began: float, at: datetime) -> None:
        self._began, self._at = began, at

    def now(self) -> datetime:
        return self._at + TICK * int((time.monotonic() - self._began) / STRIDE)

    def wait(self) -> None:
        """Until the next tick."""
        elapsed = time.monotonic() - self._began
        time.sleep(STRIDE - elapsed % STRIDE)


def ticks(clock: Clock, _dice: random.Random) -> None:
    from polling import tick

    clock.wait()
    tick.run(now=clock.now())


def polls(clock: Clock, dice: random.Random) -> None:
    """Any claims in any order: what a queue that delivers late and twice brings."""
    from polling import pollers
    from polling.models import PollLog

    claims = list(PollLog.objects.open().values_list("pk", flat=True)[:60])
    if claims:
        pollers.run(dice.sample(claims, min(20, len(claims))), now=clock.now(), finished=clock.now)
    else:
        clock.wait()


def imports(clock: Clock, _dice: random.Random) -> None:
    from polling import importing

    importing.import_schedule("sandbox", now=clock.now())


def syncs(clock: Clock, _dice: random.Random) -> None:
    from polling.appwrite.pull import run as pull
    from polling.appwrite.push import run as push

    pull.run(now=clock.now())
    push.run(now=clock.now())


def staff(clock: Clock, dice: random.Random) -> None:
    """Decides on some races, in any order."""
    from polling import staff
    from races.decisions import Actor
    from races.models import Race

    races = list(Race.objects.filter(next_poll_at__isnull=False).values_list("pk", flat=True))
    ended = list(Race.objects.filter(next_poll_at=None).values_list("pk", flat=True))
    decision: dict[str, Any] = {"by": Actor("steward"), "reason": "a trial", "now": clock.now()}
    some = dice.sample(races, min(12, len(races)))
    staff.force_poll(some, **decision)
    staff.pause(some[:4], **decision)
    staff.finalize(some[4:6], **decision)
    staff.resume(dice.sample(ended, len(ended)), **decision)
    staff.reopen(dice.sample(ended, min(6, len(ended))), **decision)


def flags(clock: Clock, _dice: random.Random) -> None:
    """Flags races, then takes the flags away, as their hours pass in a trial of a minute."""
    from polling.monitoring import overdue_races

    clock.wait()
    overdue_races.escalate(now=clock.now() + timedelta(hours=7))
    overdue_races.escalate(now=clock.now() - timedelta(hours=7))


PARTS: dict[str, Callable[[Clock, random.Random], None]] = {
    "ticks": ticks, "polls": polls, "imports": imports, "syncs": syncs, "staff": staff, "flags": flags,
}  # fmt: skip


def check(now: datetime) -> dict[str, object]:
    """Races whose plan is not what their facts say: at once, and, when all open polls have ended, made once more."""
    from polling import pollers, tick
    from polling.models import PollLog
    from polling.planning import replan
    from races.models import Race

    def plans() -> dict[int, datetime | None]:
        return dict(Race.objects.values_list("pk", "next_poll_at"))

    idle = {race.pk for race in Race.objects.all() if race.is_finalized or race.polling_paused}
    # What a provider called final is looked at again for a while.
    looked_at = set(Race.objects.filter(finalized_by="provider", outcome="resulted").values_list("pk", flat=True))
    wrong = [pk for pk, at in plans().items() if (at is None) != (pk in idle) and pk not in looked_at]
    # Lost claims are retried with backoff, which counts from the instant of the plan: they are polled first.
    for later in range(2, 5):
        tick.run(now=now + later * TICK)
        while claims := list(PollLog.objects.open().values_list("pk", flat=True)[:20]):
            pollers.run(claims, now=now + later * TICK, finished=lambda at=now + later * TICK: at)  # type: ignore[misc]
    before = plans()
    replan(before, now=now + 4 * TICK)
    failing = set(Race.objects.filter(failures__gt=0).values_list("pk", flat=True))
    moved = [pk for pk, at in plans().items() if at != before[pk] and pk not in failing]
    return {"races": len(before), "wrong": wrong, "moved": moved, "failing": len(failing)}


# What these report to staff is no error of the trial: its clock runs fast, and it decides against the provider.
REPORTS = ("polling.monitoring.overdue_races", "polling.monitoring.heartbeat", "polling.monitoring.reversal_alerts")


def main(part: str, rounds: str, began: str, now: str) -> None:
    django.setup()
    for name in REPORTS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    clock, dice = Clock(float(began), datetime.fromisoformat(now)), random.Random(os.getpid())  # noqa: S311 - no secret
    if part == "check":
        sys.stdout.write(json.dumps(check(clock.now())))
        return
    done = 0
    for _ in range(int(rounds)):
        try:
            PARTS[part](clock, dice)
        except DatabaseError as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        done += 1
    sys.stdout.write(str(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
