"""What went wrong with a provider, from its beginning to its end: one row, however many polls it cost."""

from __future__ import annotations

from enum import StrEnum

from django.db import models

from races.status import choices


class IncidentKind(StrEnum):
    """`failing` and `blocked` open the breaker, `limited` is a 429, `stretched` too few tokens of our own."""

    FAILING = "failing"
    BLOCKED = "blocked"
    LIMITED = "limited"
    STRETCHED = "stretched"


class Incident(models.Model):
    """An incident of a provider; at most one of a kind is open."""

    provider = models.CharField(max_length=40)
    kind = models.CharField(max_length=9, choices=choices(IncidentKind))
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-began_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "kind"],
                condition=models.Q(ended_at__isnull=True),
                name="one_open_incident_of_a_kind",
            )
        ]
        indexes = [
            models.Index(fields=["ended_at"], name="incident_ended"),
            models.Index(fields=["-began_at"], name="incident_began"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"
