"""What a push would do, without doing it."""

from collections.abc import Iterator
from datetime import datetime

from polling.appwrite import deletion_guard, sync_state
from polling.appwrite.push import expired_races
from polling.appwrite.push import logs as push_logs
from polling.appwrite.push.race_push import Job, job_of, row_id_of
from polling.models import SyncState
from races.models import Race


def preview(*, now: datetime) -> list[str]:
    """A line for every row that would be written; nothing is asked and nothing stored.

    What Appwrite holds is taken to be what was last agreed on, as the push itself does.
    """
    races = sync_state.dirty(now=now, waiting=True).select_related("meeting").prefetch_related("runners")
    known = {state.local_pk: state for state in sync_state.states().filter(local_pk__in=races.order_by().values("pk"))}
    taken: set[str] = set()
    lines: list[str] = []
    for race in races:
        taken.add(row_id_of(race, known.get(race.pk)))
        lines += _of_race(race, known.get(race.pk))
    orphans = sync_state.orphans(now=now, waiting=True)
    gone = [state for state in orphans if (state.base_updated_at or state.sent) and state.remote_id not in taken]
    lines += [f"delete {state.remote_id}: its race is gone" for state in gone]
    if why := deletion_guard.beyond_the_limit(
        sum(state.remote_deleted_at is None for state in gone), deletion_guard.TO_GO
    ):
        lines.append(f"waits for a person: {why}")
    leaving = expired_races.expired(now=now, waiting=True)
    lines += [f"delete {state.remote_id}: its race left by age" for state in leaving if state.remote_id not in taken]
    logs = push_logs.unsent(push_logs.looked_to()).select_related("race__meeting")
    return lines + [f"create {log.public_id.hex}: the poll of {log.race} at {log}" for log in logs]


def _of_race(race: Race, state: SyncState | None) -> Iterator[str]:
    try:
        job = job_of(race, state)
    except Exception as error:  # noqa: BLE001 - one bad race must not hide the others
        yield f"give up {row_id_of(race, state)}: {race}: {error}"
        return
    if job.changes or job.may_have_landed:
        yield f"{_verb(job, state)} {job.row_id}: {race}{_fields(job)}"


def _verb(job: Job, state: SyncState | None) -> str:
    if not job.is_new:
        return "change" if job.changes else "look at"
    return "re-create" if state and state.remote_deleted_at else "create"


def _fields(job: Job) -> str:
    return "" if job.is_new or not job.changes else f": {', '.join(job.changes)}"
