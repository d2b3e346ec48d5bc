"""System checks of the settings that polling depends on."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from polling import schedules


@register()
def queue_outlasts_its_tasks(**_: object) -> list[CheckMessage]:
    """The queue delivers a task again after `retry` seconds: it must have ended by then.

    That holds too for a task that a worker has fetched ahead, behind the slowest one of all.
    """
    queue: dict[str, Any] = settings.Q_CLUSTER
    pools = [queue, *({**queue, **pool} for pool in queue.get("ALT_CLUSTERS", {}).values())]
    slowest = schedules.longest_timeout()
    least = max(slowest + pool["timeout"] * (1 + pool["queue_limit"] / pool["workers"]) for pool in pools)
    if queue["retry"] > least:
        return []
    return [Error(f"Q_CLUSTER retry must be above {least:g} s, or tasks run twice.", id="polling.E001")]


@register()
def queue_has_cron(**_: object) -> list[CheckMessage]:
    """Without croniter, an extra of django-q2, no cron schedule fires and nothing ticks."""
    try:
        import croniter  # noqa: F401
    except ImportError:
        return [Error("croniter is not installed: the master tick would never run.", id="polling.E002")]
    return []
