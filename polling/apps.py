"""The app that polls and syncs."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PollingConfig(AppConfig):
    name = "polling"
    verbose_name = "Polling"

    def ready(self) -> None:
        from polling import checks, schedules  # noqa: F401 - checks register themselves

        post_migrate.connect(schedules.after_migrate, dispatch_uid="polling.schedules")
