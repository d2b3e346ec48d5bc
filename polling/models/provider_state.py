"""What is known of a provider across all processes and hosts."""

from django.db import models


class ProviderState(models.Model):
    """One row per provider: until when not to ask it, and the status values it sent that nobody has mapped."""

    name = models.CharField(max_length=40, unique=True)
    not_before = models.DateTimeField(null=True, blank=True, help_text="the provider asked us to wait until then")
    reason = models.CharField(max_length=200, blank=True)
    unknown_statuses = models.JSONField(default=dict, blank=True, help_text="value: when it was first seen")
    last_import_at = models.DateTimeField(null=True, blank=True)
    last_import_error = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name
