"""When a race is polled: windows of slots on a grid anchored to its advertised start.

    T-60 ≤ t < T-20   every 5 min     8 slots
    T-20 ≤ t < T-10   every 2 min     5
    T-10 ≤ t < T-5    every 1 min     5
    T-5  ≤ t < start  every 15 s     20
    start ≤ t         every 5 min, the first at the start itself, until finalized

The grid is anchored to the start floored to the tick step, so that every slot falls on a tick. Three things change it:
a race that is late keeps its last step past the start (*hold*), slots far from the start are left out while the
provider's tokens run short (*throttle*, `keeps`), and a result is polled again later (`next_poll.RECHECKS`). Pure.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

CLOCK_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
ZERO = timedelta()
WIDEST_WINDOW = timedelta(days=2)  # longer than races are known ahead; every slot of a grid is held in memory
LONGEST_STEP = timedelta(days=1)
URGENT_WITHIN = timedelta(minutes=5)  # a race this near to its start never waits behind a far one


def floor(instant: datetime, step: timedelta) -> datetime:
    """The last tick at or before `instant`: ticks lie on whole multiples of `step` of the wall clock."""
    return instant - (instant - CLOCK_ORIGIN) % step


def next_tick(instant: datetime, step: timedelta) -> datetime:
    """The first tick after `instant`."""
    return floor(instant, step) + step


def ceiling(instant: datetime, step: timedelta) -> datetime:
    """The first tick at or after `instant`."""
    return next_tick(instant - timedelta.resolution, step)


@dataclass(frozen=True, slots=True)
class Window:
    """From `opens` before the start until the next window opens, a slot every `step`."""

    opens: timedelta
    step: timedelta

    @property
    def name(self) -> str:
        """`T-5`, in minutes; `start` for the window after the start."""
        return f"T-{self.opens / timedelta(minutes=1):g}" if self.opens > ZERO else "start"


@dataclass(frozen=True, slots=True)
class Cadence:
    """The windows, widest first, the last opening at the start itself; and the step of the tick.

    `hold` is how long past the start the step before it is kept while the race has not started. `min_interval`, in
    every method, is the shortest time between two polls that the provider can answer with news: nearer slots are left
    out. Raises ValueError for windows that make no grid.
    """

    windows: tuple[Window, ...]
    tick: timedelta
    hold: timedelta = ZERO

    def __post_init__(self) -> None:
        opens = [window.opens for window in self.windows]
        if opens != sorted(set(opens), reverse=True) or opens[-1:] not in ([ZERO], [-self.hold]):
            raise ValueError("windows must open ever nearer to the start, the last at 0")
        if opens[0] > WIDEST_WINDOW:
            raise ValueError(
                f"no window may open more than {WIDEST_WINDOW / timedelta(minutes=1):g} minutes before the start"
            )
        if self.hold % self.tick:
            raise ValueError(f"the hold must be a multiple of the tick ({self.tick.total_seconds():g} s)")
        if any(window.step <= ZERO or window.step % self.tick for window in self.windows):
            raise ValueError(f"every step must be a multiple of the tick ({self.tick.total_seconds():g} s)")
        if any(opens % self.tick for opens in opens):
            raise ValueError(f"every window must open on a tick ({self.tick.total_seconds():g} s)")

    def for_race(self, *, waiting: bool = False, min_interval: timedelta = ZERO) -> "Cadence":
        """The cadence as it is in effect for a race: held past the start while the race is `waiting` for it."""
        return _held_cadence(self) if waiting and self.hold > min_interval else self

    def keeps(self, start: datetime, slot: datetime, *, factor: int, min_interval: timedelta = ZERO) -> bool:
        """Whether a slot is polled while far windows are throttled: one in `factor` of a window, its first included.

        The last minutes before the start, and all that follows, are never throttled.
        """
        window, ahead = self.window(start, now=slot), self.anchor(start) - slot
        if factor == 1 or window is None or ahead <= URGENT_WITHIN:
            return True
        opens_at = self.anchor(start) - window.opens
        return len(self.between(start, since=opens_at, until=slot, min_interval=min_interval)) % factor == 0

    def is_urgent(self, start: datetime, *, waiting: bool, now: datetime) -> bool:
        """Whether a race is in its last minutes: before the start, at the slot there, and while it is held past it."""
        past = self.tick + (self.hold if waiting else ZERO)
        return -past < start - now <= URGENT_WITHIN

    def anchor(self, start: datetime) -> datetime:
        """The instant of the grid that stands for the advertised start, in UTC, so that summer time moves no slot."""
        return floor(start.astimezone(UTC), self.tick)

    def window(self, start: datetime, *, now: datetime) -> Window | None:
        """The window that `now` lies in; None before the first window opens."""
        ahead = self.anchor(start) - now
        inside = [window for window in self.windows if window.opens >= ahead]
        return inside[-1] if inside else None

    def slots(self, start: datetime, *, after: datetime, min_interval: timedelta = ZERO) -> Iterator[datetime]:
        """Every slot later than `after`, in order and without end."""
        anchor, last = self.anchor(start), self._last_window_at(start)
        offsets = _offsets_before_last(self, min_interval)
        for offset in offsets[bisect_right(offsets, after - anchor) :]:
            yield anchor + offset
        step = self._step_after(min_interval)
        past = (after - last) // step + 1 if after >= last else 0
        while True:
            yield last + past * step
            past += 1

    def next_slot(self, start: datetime, *, after: datetime, min_interval: timedelta = ZERO) -> datetime:
        """The first slot later than `after`."""
        return next(self.slots(start, after=after, min_interval=min_interval))

    def newest_slot(self, start: datetime, *, now: datetime, min_interval: timedelta = ZERO) -> datetime | None:
        """The slot begun last, at or before `now`; None before the first slot."""
        anchor, last = self.anchor(start), self._last_window_at(start)
        if now >= last:
            return last + (now - last) // (step := self._step_after(min_interval)) * step
        offsets = _offsets_before_last(self, min_interval)
        begun = bisect_right(offsets, now - anchor)
        return anchor + offsets[begun - 1] if begun else None

    def between(
        self, start: datetime, *, since: datetime, until: datetime, min_interval: timedelta = ZERO
    ) -> list[datetime]:
        """The slots from `since` on and before `until`."""
        found = []
        for slot in self.slots(start, after=since - timedelta.resolution, min_interval=min_interval):
            if slot >= until:
                break
            found.append(slot)
        return found

    def plan(self, start: datetime, *, until: datetime, min_interval: timedelta = ZERO) -> list[datetime]:
        """Every slot of a race up to `until`, the instant it is finalized."""
        return self.between(
            start, since=self.anchor(start) - self.windows[0].opens, until=until, min_interval=min_interval
        )

    def _last_window_at(self, start: datetime) -> datetime:
        return self.anchor(start) - self.windows[-1].opens

    def _step_after(self, min_interval: timedelta) -> timedelta:
        """The step past the start: as many whole steps as the provider's minimum interval takes."""
        step = self.windows[-1].step
        return step * max(1, -(-min_interval // step))


@lru_cache(maxsize=64)
def _held_cadence(cadence: Cadence) -> Cadence:
    """The cadence whose last window opens where the hold ends."""
    return replace(cadence, windows=(*cadence.windows[:-1], replace(cadence.windows[-1], opens=-cadence.hold)))


@lru_cache(maxsize=256)
def _offsets_before_last(cadence: Cadence, min_interval: timedelta) -> tuple[timedelta, ...]:
    """The slots before the last window, as offsets from the anchor, none nearer than the interval to the one before.

    The slots at the start and where the last window opens are always kept, so predecessors too near to them go.
    """
    kept: list[timedelta] = []
    for window, following in pairwise(cadence.windows):
        for count in range(-(-(window.opens - following.opens) // window.step)):
            offset = count * window.step - window.opens
            if offset == ZERO:
                _drop_too_near(kept, offset, min_interval)
            if not kept or offset - kept[-1] >= min_interval:
                kept.append(offset)
    _drop_too_near(kept, -cadence.windows[-1].opens, min_interval)
    return tuple(kept)


def _drop_too_near(kept: list[timedelta], offset: timedelta, min_interval: timedelta) -> None:
    while kept and kept[-1] != ZERO and offset - kept[-1] < min_interval:
        kept.pop()


def _window_of(opens: float, step_seconds: int) -> Window:
    return Window(timedelta(minutes=opens), timedelta(seconds=step_seconds))


def read_windows(text: str) -> tuple[Window, ...]:
    """Windows from text: `minutes before the start:step in seconds`, comma-separated, as `60:300,20:120,0:300`.

    Raises ValueError, whose message says what is wrong, for anything else.
    """
    pairs = [part.split(":") for part in text.split(",") if part.strip()]
    try:
        windows = tuple(_window_of(float(opens), int(step)) for opens, step in pairs)
    except (ValueError, OverflowError):
        raise ValueError("not minutes:seconds, comma-separated") from None
    if any(window.step > LONGEST_STEP for window in windows):
        raise ValueError(f"with a step above {LONGEST_STEP.total_seconds():g} s")
    return windows


DEFAULT_WINDOWS = tuple(
    _window_of(opens, step_seconds) for opens, step_seconds in ((60, 300), (20, 120), (10, 60), (5, 15), (0, 300))
)
