"""The arithmetic of the benches: what is called a percentile, and when a bar may be judged."""

import json

import pytest

from bench.figures import Bar, Figure, median, percentile, percentiles


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.991, 100), (1, 100), (0.001, 1)])
def test_a_percentile_is_the_value_of_the_nearest_rank(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_the_median_is_one_that_was_measured() -> None:
    assert median([4, 1, 3, 2]) == 2


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("bar", "value", "ok"),
    [
        (Bar("<=", 60), 60, True), (Bar("<=", 60), 60.1, False), (Bar(">=", 10), 10, True), (Bar(">=", 10), 9.9, False),
        (Bar("=", 0), 0, True), (Bar("=", 0), 1, False), (None, 1, None),
    ],
)  # fmt: skip
def test_a_figure_is_judged_by_its_bar(bar: Bar | None, value: float, ok: bool | None) -> None:
    assert Figure("f", value, "ms", bar).ok is ok


def test_too_few_samples_judge_no_percentile() -> None:
    [few] = percentiles("late", [1.0] * 199, "ms", {0.99: Bar("<=", 60)})
    [enough] = percentiles("late", [1.0] * 200, "ms", {0.99: Bar("<=", 60)})
    assert (few.ok, enough.ok) == (None, True)
    assert json.loads(few.line("b"))["why"] == "a percentile needs 200 samples, there are 199"


@pytest.mark.parametrize("bar", [Bar("=", 0), Bar("<=", 1)])
def test_what_was_measured_on_nothing_is_not_judged(bar: Bar) -> None:
    figure = Figure("doubled", 0, "requests", bar, n=0)
    assert (figure.ok, figure.doubt) == (None, "nothing was measured")


def test_percentiles_with_a_doubt_are_not_judged() -> None:
    doubted = percentiles("late", [1.0] * 200, "ms", {0.5: Bar("<=", 60), 0.99: Bar("<=", 60)}, why="nobody waited")
    assert [(figure.ok, figure.doubt) for figure in doubted] == [(None, "nobody waited")] * 2


def test_a_line_says_value_bar_and_verdict() -> None:
    line = json.loads(
        Figure("gap", 15.93814, "s", Bar("<=", 16), n=10, details={"most": 3}).line("b", stack="embedded")
    )
    assert line == {
        "bench": "b", "figure": "gap", "value": 15.938, "unit": "s", "bar": "<= 16", "ok": True,
        "n": 10, "details": {"most": 3}, "stack": "embedded",
    }  # fmt: skip
