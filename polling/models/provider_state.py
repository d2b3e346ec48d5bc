"""The state of a provider, shared by all processes and hosts."""

from datetime import UTC, datetime
from enum import StrEnum

from django.db import models

from races.status import choices

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class BreakerState(StrEnum):
    """Whether a provider's circuit breaker lets requests through: `closed` does, `half_open` one of them."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class ProviderState(models.Model):
    """One row per provider, written by `polling.quota` (waits, tokens, throttle, breaker, refusals) and by pollers and
    imports (unknown status values, the last card, refused answers)."""

    name = models.CharField(max_length=40, unique=True)

    # What the provider asked for itself: 429 and Retry-After.
    not_before = models.DateTimeField(null=True, blank=True, help_text="the provider asked us to wait until then")
    reason = models.CharField(max_length=200, blank=True)
    limited = models.PositiveIntegerField(default=0, help_text="times in a row it answered that we ask too fast (429)")

    full_at = models.DateTimeField(default=LONG_AGO, help_text="when its bucket of tokens is full again")
    short_since = models.DateTimeField(null=True, blank=True, help_text="when tokens began to run short")
    short_at = models.DateTimeField(null=True, blank=True, help_text="when a poll last found too few tokens")
    throttle_factor = models.PositiveSmallIntegerField(
        default=1, help_text="of how many slots before T-5 one is polled; 1 is every slot"
    )
    throttle_changed_at = models.DateTimeField(null=True, blank=True, help_text="when that last changed")

    breaker = models.CharField(max_length=9, choices=choices(BreakerState), default=BreakerState.CLOSED.value)
    failures = models.PositiveIntegerField(default=0, help_text="requests failed in a row")
    trips = models.PositiveIntegerField(default=0, help_text="times in a row that the breaker opened")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="when one request is let through again")

    # Races whose own requests were refused (401, 403): the rule is in polling/quota/refused_races.py.
    refused_race = models.CharField(
        max_length=80, blank=True, help_text="the provider's id of a race that was refused since its last answer"
    )
    refused_alone = models.JSONField(
        default=dict, blank=True, help_text="races that are refused while others are answered: id, and when last"
    )

    unknown_statuses = models.JSONField(default=dict, blank=True, help_text="value: when it was first seen")
    last_import_at = models.DateTimeField(null=True, blank=True)
    last_import_error = models.TextField(blank=True)
    card_races = models.PositiveIntegerField(null=True, blank=True, help_text="races on the card at the last import")
    left_out = models.JSONField(
        default=dict, blank=True, help_text="what the last card had that could not be read, and how often"
    )
    older_answers = models.PositiveIntegerField(
        default=0, help_text="answers refused because they were older than what is stored"
    )
    older_answer_at = models.DateTimeField(null=True, blank=True, help_text="when that last happened")

    def __str__(self) -> str:
        return self.name
