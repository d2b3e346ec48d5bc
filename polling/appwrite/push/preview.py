"""What a push would do, in words."""

from datetime import datetime

from polling.appwrite import deletion_guard
from polling.appwrite.push import expired_races
from polling.appwrite.push import logs as push_logs
from polling.appwrite.push.race_push import Action
from polling.appwrite.push.races import planned_races


def preview(*, now: datetime) -> list[str]:
    """The plan of a push that begins `now`, one line per row that it would write; nothing is asked, nothing stored.

    It is the plan that `run.run` carries out, what waits for a later try included. What Appwrite holds is taken to be
    what was last agreed on, as the push itself does.
    """
    races = planned_races(now=now, waiting=True)
    taken = {push.row_id for push in races}  # also of races that came back under another key
    lines = []
    for push in (push for push in races if push.action is not Action.UNCHANGED):
        details = push.problem or (", ".join(push.changes) if push.action is Action.CHANGE else "")
        lines.append(f"{push.action} {push.row_id}: {push.race}" + (f": {details}" if details else ""))
    gone = [state for state in deletion_guard.rows_to_delete(now=now, waiting=True) if state.remote_id not in taken]
    lines += [f"delete {state.remote_id}: its race is gone" for state in gone]
    uncounted = sum(state.remote_deleted_at is None for state in gone)
    if why := deletion_guard.excess(uncounted, deletion_guard.TO_GO):
        lines.append(f"waits for a person: {why}")
    leaving = expired_races.expired(now=now, waiting=True)
    lines += [f"delete {state.remote_id}: its race left by age" for state in leaving if state.remote_id not in taken]
    logs = push_logs.unsent(push_logs.looked_to()).select_related("race__meeting")
    return lines + [f"create {log.public_id.hex}: the poll of {log.race} at {log}" for log in logs]
