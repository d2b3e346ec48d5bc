"""Whether an answer about a race is older than what is stored, by the provider's own clock; no database."""

from datetime import datetime, timedelta

from races.models import Race
from races.snapshots import RaceSnapshot

# A provider's caches may be minutes apart and answer in turn; a clock that was set back stays back.
OLDER_ANSWERS_ACCEPTED_AFTER = 5
MAX_CLOCK_LEAD = timedelta(hours=1)


def accept_answer(race: Race, answer: RaceSnapshot, *, now: datetime) -> bool:
    """Returns False for an answer that is older than what is stored, so that it must not be merged.

    Sets `source_time` and `older_answers` of the race. The fifth older answer in a row is accepted, because then the
    provider has set its clock back. An answer without a time is accepted and changes neither field.
    """
    generated_at = answer.source_time
    if generated_at is None or generated_at - now > MAX_CLOCK_LEAD:  # all later answers would look old
        return True
    is_older = race.source_time is not None and generated_at < race.source_time
    if is_older and race.older_answers + 1 < OLDER_ANSWERS_ACCEPTED_AFTER:
        race.older_answers += 1
        return False
    race.source_time, race.older_answers = generated_at, 0
    return True
