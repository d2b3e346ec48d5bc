"""Which of two answers about a race is the older one, by the provider's own clock: rules on objects in memory."""

from datetime import datetime, timedelta

from races.models import Race
from races.snapshots import RaceSnapshot

# A provider's caches may be minutes apart, and answer in turn. A clock that was set back stays back.
STAYED_BACK = 5
FURTHEST_AHEAD = timedelta(hours=1)


def accept_answer(race: Race, answer: RaceSnapshot, *, now: datetime) -> bool:
    """Whether an answer counts, and not one that is older than what is stored.

    Sets `source_time` and `older_answers` of the race. The fifth older answer in a row counts: then the provider has
    set its clock back. An answer without a time counts, and leaves both as they are.
    """
    generated_at = answer.source_time
    if generated_at is None or generated_at - now > FURTHEST_AHEAD:  # no clock: all later answers would look old
        return True
    is_older = race.source_time is not None and generated_at < race.source_time
    if is_older and race.older_answers + 1 < STAYED_BACK:
        race.older_answers += 1
        return False
    race.source_time, race.older_answers = generated_at, 0
    return True
