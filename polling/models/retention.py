"""The state of the deletion of old rows."""

from __future__ import annotations

from django.db import models


class RetentionState(models.Model):
    """One row: whether old rows wait to be deleted, and the tables whose deletion fails.

    It has what was reported already, so that each alert comes once and not at every pass.
    """

    behind_since = models.DateTimeField(null=True, blank=True, help_text="since when rows are kept a day too long")
    errors = models.JSONField(default=dict, blank=True, help_text="the last error of each table whose deletion fails")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_retention_state")]

    def __str__(self) -> str:
        return f"behind since {self.behind_since:%Y-%m-%d %H:%M:%S}" if self.behind_since else "not behind"
