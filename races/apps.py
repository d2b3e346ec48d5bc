"""The app of the racing domain."""

from django.apps import AppConfig


class RacesConfig(AppConfig):
    name = "races"
    verbose_name = "Racing"
