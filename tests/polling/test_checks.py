"""The system checks of the queue's settings."""

from typing import Any

import pytest

from polling import checks


@pytest.mark.parametrize(
    ("workers", "retry", "errors"),
    [
        pytest.param(4, 120, [], id="as it is"),
        pytest.param(1, 120, [], id="with one worker"),
        # Its own 12 s, those of two fetched before it, and the 40 s of an import that is under way.
        pytest.param(1, 77, [], id="just above"),
        pytest.param(1, 76, ["Q_CLUSTER retry must be above 76 s, or tasks run twice."], id="no longer than that"),
    ],
)
def test_a_task_is_not_delivered_again_while_it_may_still_run(
    settings: Any, workers: int, retry: int, errors: list[str]
) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"workers": workers, "retry": retry}
    assert [error.msg for error in checks.queue_outlasts_its_tasks()] == errors
