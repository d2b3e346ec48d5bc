"""Incidents: continuous problems of a provider or a race, each one row with a begin and an end."""

from __future__ import annotations

from enum import StrEnum

from django.db import models

from races.models import Race
from races.status import choices


class IncidentKind(StrEnum):
    """`failing` and `blocked` open the breaker, `limited` is a 429, `throttled` too few tokens of our own.

    `disputed` is of one race, which staff or Appwrite ended and the provider reports otherwise.
    """

    FAILING = "failing"
    BLOCKED = "blocked"
    LIMITED = "limited"
    THROTTLED = "throttled"
    DISPUTED = "disputed"


class Incident(models.Model):
    """An incident of a provider, or of one of its races; at most one of a kind is open."""

    provider = models.CharField(max_length=40)
    race = models.ForeignKey(Race, models.CASCADE, null=True, blank=True, related_name="incidents")
    kind = models.CharField(max_length=9, choices=choices(IncidentKind))
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(
        max_length=150,
        blank=True,
        help_text="who decided that the end stands; the same reason begins no other incident",
    )
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-began_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "kind"],
                condition=models.Q(ended_at__isnull=True, race__isnull=True),
                name="one_open_incident_of_a_kind",
            ),
            models.UniqueConstraint(
                fields=["race", "kind"],
                condition=models.Q(ended_at__isnull=True, race__isnull=False),
                name="one_open_incident_of_a_race",
            ),
        ]
        indexes = [
            models.Index(fields=["ended_at"], name="incident_ended"),
            models.Index(fields=["-began_at"], name="incident_began"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"
