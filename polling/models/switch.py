"""The global pause."""

from __future__ import annotations

from django.db import models


class PollingSwitch(models.Model):
    """One row: whether all polling is paused. Slots that pass meanwhile are logged as skipped."""

    paused = models.BooleanField(default=False)
    reason = models.CharField(max_length=200, blank=True, help_text="why polling is paused; shown on every page")
    changed_at = models.DateTimeField("since", null=True, blank=True, help_text="when it was last switched")
    changed_by = models.CharField("by", max_length=150, blank=True, help_text="who switched it last")

    class Meta:
        verbose_name_plural = "polling switch"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_polling_switch")]

    def __str__(self) -> str:
        return f"paused: {self.reason}" if self.paused else "on"

    @classmethod
    def is_paused(cls) -> bool:
        """Whether staff have stopped all polling."""
        return cls.objects.filter(paused=True).exists()
