"""A problem that lasts is logged when it begins and when it ends, and not in between."""

import logging

import pytest

from polling.monitoring.lasting_problem import LastingProblem


@pytest.fixture
def problem() -> LastingProblem:
    return LastingProblem(logging.getLogger("polling.test"), "it cannot be stored; work goes on")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def fail(problem: LastingProblem, text: str) -> None:
    with problem.guard():
        raise OSError(text)


def test_an_error_that_goes_on_is_logged_once_and_its_end_once(
    problem: LastingProblem, caplog: pytest.LogCaptureFixture
) -> None:
    fail(problem, "disk full")
    fail(problem, "disk full")
    assert problem.lasts
    assert messages(caplog) == ["it cannot be stored; work goes on: OSError: disk full"]
    for _ in range(2):
        with problem.guard():
            pass
    assert not problem.lasts
    [end] = messages(caplog)[1:]
    assert end.startswith("no longer, after ") and end.endswith(": it cannot be stored; work goes on")


def test_a_success_without_a_problem_before_is_not_logged(
    problem: LastingProblem, caplog: pytest.LogCaptureFixture
) -> None:
    with problem.guard():
        pass
    problem.end()
    assert messages(caplog) == []


def test_a_caller_with_words_of_its_own_learns_whether_the_problem_is_new(
    problem: LastingProblem, caplog: pytest.LogCaptureFixture
) -> None:
    assert [problem.begins(), problem.begins()] == [True, False]
    assert messages(caplog) == []
