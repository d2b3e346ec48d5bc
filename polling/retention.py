"""How long the rows of each table that grows are kept: the table that a person changes. Pure.

The settings read it, and the environment may say otherwise: RETENTION_<name>_DAYS. `polling.cleanup` deletes the rows.
"""

from dataclasses import dataclass

MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days rows are kept by default, and what rows; no fewer than `least_days` may be set."""

    name: str
    days: int
    covers: str
    least_days: int = 1

    @property
    def variable(self) -> str:
        """The variable of the environment that sets the days."""
        return f"RETENTION_{self.name}_DAYS"


RETENTIONS = (
    Retention("TICKS", 2, "ticks, from their slot"),
    Retention("POLL_LOGS", 7, "poll logs, from their slot; those in Appwrite too"),
    Retention("PRICES", 30, "price changes, from the provider's time"),
    # A card is imported for days around now and would bring younger races back.
    Retention("RACES", 90, "races that ended, with all of theirs, their rows in Appwrite, and empty meetings", 7),
    Retention("INCIDENTS", 90, "incidents, from their end"),
    Retention("CONFLICTS", 90, "sync conflicts, from when they were resolved"),
    Retention("DECISIONS", 365, "audit entries, from when the decision was made", 7),
    Retention("SESSIONS", 1, "sessions, from when they expired"),
    Retention("TASKS", 14, "tasks that the queue keeps, all that failed, from their end"),
)
