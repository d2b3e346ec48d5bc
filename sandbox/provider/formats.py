"""The ways in which the API writes instants, and its envelope."""

from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sandbox.provider.race_grid import NZ
from sandbox.provider.seeded_random import chance

Json = dict[str, Any]


def iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_day(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def unix_seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def go_string(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


@lru_cache(maxsize=4096)
def nanoseconds(instant: datetime) -> str:
    """ISO with nine digits of a second, of which the clock knows six."""
    return f"{instant:%Y-%m-%dT%H:%M:%S.%f}{int(1000 * chance(instant.isoformat())):03d}Z"


def nz_time(instant: datetime) -> str:
    return instant.astimezone(NZ).strftime("%H:%M:%S %Z")


def tote_clock(instant: datetime, racing_day: date) -> str:
    """Time in New Zealand counted from midnight of the racing day: half past two at night is 26:30:00."""
    local = instant.astimezone(NZ)
    days = (local.date() - racing_day).days
    return f"{24 * days + local.hour:02d}:{local:%M:%S}"


def envelope(title: str, url: str, params: Json, data: Json, *, now: datetime) -> Json:
    return {"header": _envelope_header(title, url, now), "params": params, "data": data}


def error(message: str, url: str, *, now: datetime) -> Json:
    return {"header": {**_envelope_header("Error", url, now), "error": message}}


def _envelope_header(title: str, url: str, now: datetime) -> Json:
    return {"title": title, "generated_time": nanoseconds(now), "url": url}
