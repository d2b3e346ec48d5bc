"""The app that gives `manage.py sandbox`."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "sandbox"
