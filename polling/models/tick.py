"""The record of the master tick."""

from datetime import timedelta

from django.db import models


class Tick(models.Model):
    """One pass of the master tick. Its unique slot is the claim: of many clusters one runs it."""

    slot_at = models.DateTimeField(unique=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    due = models.PositiveIntegerField(default=0)
    claimed = models.PositiveIntegerField(default=0)
    dispatched = models.PositiveIntegerField(default=0, help_text="claims handed to the queue")
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-slot_at"]

    def __str__(self) -> str:
        return f"tick {self.slot_at:%Y-%m-%d %H:%M:%S}"

    @property
    def lateness(self) -> timedelta:
        """How long after its slot the tick began; never negative."""
        return max(self.started_at - self.slot_at, timedelta())
