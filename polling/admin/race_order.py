"""The default order of the race list, as keys."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from polling.admin.bounded_lists import MAX_ROWS, KeyPaginator
from races.status import TERMINAL, RaceStatus

OPEN = [status.value for status in RaceStatus if status not in TERMINAL]


class NearestFirst(KeyPaginator):
    """Open races by nearest start, then races that ended, the latest first: the order of `nearest_first`.

    Races ahead, started races and races that ended are each read along an index, because SQLite would call a Python
    function for every difference of two instants.
    """

    def __init__(self, *args: Any, now: datetime, **options: Any) -> None:
        super().__init__(*args, **options)
        self.now = now

    @cached_property
    def keys(self) -> list[Any]:
        """The keys of the races in the order of the list, one more than the limit if there are more."""
        unordered = self.object_list.order_by()
        open_races = unordered.filter(status__in=OPEN)
        ahead = open_races.filter(advertised_start__gt=self.now).order_by("advertised_start", "-pk")
        past = open_races.filter(advertised_start__lte=self.now).order_by("-advertised_start", "-pk")
        found: list[tuple[timedelta, Any]] = []
        for races in (ahead, past):
            for key, start in races.values_list("pk", "advertised_start")[: MAX_ROWS + 1]:
                found.append((abs(start - self.now), key))
        keys = [key for _, key in sorted(found, key=lambda pair: pair[0])][: MAX_ROWS + 1]
        ended = unordered.filter(status__in=TERMINAL).order_by("-advertised_start", "-pk")
        return keys + list(ended.values_list("pk", flat=True)[: MAX_ROWS + 1 - len(keys)])
