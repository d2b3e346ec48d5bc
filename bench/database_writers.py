"""Processes that write as the web and the pollers do; they import no model before Django is set up."""

import time
from typing import Any

LOCKED = "database is locked"


def write_decisions(number: int, writers: int, race_ids: list[int], seconds: float, results: Any) -> None:
    """Decides about one race after another: reads, then writes, as an admin action does.

    Puts how long each took, and how many were locked out, into the queue `results`.
    """
    import django

    django.setup()
    from django.db import OperationalError

    waits: list[float] = []
    locked, ends = 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.monotonic()
        try:
            _decide_race(race_ids[(len(waits) * writers + number) % len(race_ids)], len(waits))
        except OperationalError as error:
            assert LOCKED in str(error), error  # anything else is a bug of the bench
            locked += 1
        waits.append(time.monotonic() - began)
        time.sleep(0.005)
    results.put({"waits": waits, "locked": locked})


def _decide_race(race_id: int, turn: int) -> None:
    from polling import clock, staff
    from races.decisions import COMMAND

    now = clock.now()
    staff.annotate([race_id], note=f"note {turn}", by=COMMAND, now=now)
    if turn % 10 == 0:
        staff.pause([race_id], by=COMMAND, reason="bench", now=now)
        staff.resume([race_id], by=COMMAND, reason="bench", now=now)


def write_polls(race_ids: list[int], seconds: float, waits: Any) -> None:
    """Writes a race and its log in one transaction, and puts how long each took into the queue `waits`."""
    import django

    django.setup()
    from django.db import transaction
    from django.db.models import F

    from polling import clock
    from polling.models import PollLog
    from races.models import Race

    took: list[float] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        race, began = race_ids[len(took) % len(race_ids)], time.monotonic()
        with transaction.atomic():
            Race.objects.filter(pk=race).update(version=F("version") + 1, last_poll_time=clock.now())
            PollLog.objects.create(race_id=race, slot_at=clock.now(), trigger="slot", state="ok")
        took.append(time.monotonic() - began)
        time.sleep(0.003)
    waits.put(took)
