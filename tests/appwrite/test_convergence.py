"""Both sides change at random, calls fail and pushers die; in the end both are equal, and no edit is lost."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from tests.appwrite.conftest import Appwrite, wait_for_hooks
from tests.appwrite.gate import Gate, gate_before
from tests.appwrite.two_sides import TwoSides

pytestmark = pytest.mark.django_db(transaction=True)


def converge(appwrite: Appwrite, gate: Gate, *, examples: int) -> None:
    machine = type("Machine", (TwoSides,), {"appwrite": appwrite, "gate": gate})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,  # a run of CI must not depend on its luck
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )


@pytest.fixture
def old_gate(old_appwrite: Appwrite, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    wait_for_hooks(monkeypatch)
    with gate_before(old_appwrite.port) as (gate, port):
        settings.APPWRITE_ENDPOINT = f"http://127.0.0.1:{port}/v1"
        yield gate


def test_whatever_happens_both_sides_end_equal_and_no_edit_is_lost(appwrite: Appwrite, gate: Gate) -> None:
    converge(appwrite, gate, examples=6)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whatever_happens_both_sides_end_equal_and_no_edit_is_lost_in_many_runs(appwrite: Appwrite, gate: Gate) -> None:
    converge(appwrite, gate, examples=60)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whatever_happens_both_sides_end_equal_and_no_edit_is_lost_on_appwrite_1_8(
    old_appwrite: Appwrite, old_gate: Gate
) -> None:
    converge(old_appwrite, old_gate, examples=30)
