"""The heartbeat of the master tick."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """One row: when a tick last ended well. A tick that has nothing to do writes no row of its own, only this."""

    at = models.DateTimeField(help_text="when a tick last ended well")
    sleeping_until = models.DateTimeField(null=True, blank=True, help_text="nothing is due before then")
    overdue_since = models.DateTimeField(null=True, blank=True, help_text="when it was reported that ticks are overdue")
    late_score = models.PositiveSmallIntegerField(default=0, help_text="how many slots lately were ticked late")
    late_since = models.DateTimeField(null=True, blank=True, help_text="when it was reported that ticks come late")
    monitor_unreachable_since = models.DateTimeField(
        null=True, blank=True, help_text="since when the outside monitor cannot be reached"
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_heartbeat")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"
