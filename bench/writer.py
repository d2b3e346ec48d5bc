"""A process that writes as the web does; it imports no model before Django is set up."""

import time
from typing import Any

LOCKED = "database is locked"


def write(number: int, writers: int, race_ids: list[int], seconds: float, told: Any) -> None:
    """Decides about one race after another: reads, then writes, as an admin action does. Tells what it met."""
    import django

    django.setup()
    from django.db import OperationalError

    waits: list[float] = []
    locked, ends = 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.monotonic()
        try:
            _decide(race_ids[(len(waits) * writers + number) % len(race_ids)], len(waits))
        except OperationalError as error:
            assert LOCKED in str(error), error  # anything else is a bug of the bench
            locked += 1
        waits.append(time.monotonic() - began)
        time.sleep(0.005)
    told.put({"waits": waits, "locked": locked})


def _decide(race_id: int, turn: int) -> None:
    from polling import clock, staff
    from races.decisions import COMMAND

    now = clock.now()
    staff.annotate([race_id], note=f"note {turn}", by=COMMAND, now=now)
    if turn % 10 == 0:
        staff.pause([race_id], by=COMMAND, reason="bench", now=now)
        staff.resume([race_id], by=COMMAND, reason="bench", now=now)
