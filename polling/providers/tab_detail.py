"""Runners, results and dividends of one race, as `/racing/events/{id}` of the TAB affiliates API has them.

Rows without a saddlecloth number are left out. Everything is sorted, because the provider shuffles its lists
and an unchanged race must look unchanged.
"""

from typing import Any

from polling.providers.reading import Row, first_told, instant_or_none, money, number, odds, positive, text, to_object
from races.snapshots import DividendSnapshot, ResultSnapshot, RunnerSnapshot
from races.status import ResultState

LONGEST_CODE = 8


def runners(rows: list[Any]) -> tuple[RunnerSnapshot, ...]:
    """By number; of two with one number the later counts."""
    told = [_runner(saddlecloth, row) for row in map(to_object, rows) if (saddlecloth := _saddlecloth(row))]
    by_number = {runner.number: runner for runner in told}
    return tuple(by_number[saddlecloth] for saddlecloth in sorted(by_number))


def _saddlecloth(row: Row) -> int | None:
    return positive(row.get("runner_number"))


def _runner(saddlecloth: int, row: Row) -> RunnerSnapshot:
    """Scratched runners keep their last odds."""
    prices = to_object(row.get("odds"))
    scratched_at = instant_or_none(row.get("scratch_time")) or instant_or_none(row.get("scr_time"))
    scratched = row.get("is_scratched") is True or row.get("is_late_scratched") is True or scratched_at is not None
    return RunnerSnapshot(
        number=saddlecloth,
        name=text(row.get("name")),
        barrier=positive(row.get("barrier")),
        jockey=text(row.get("jockey")),
        trainer=text(first_told(row, "trainer_name", "trainer")),
        scratched=scratched,
        scratched_at=scratched_at if scratched else None,
        fixed_win=odds(prices.get("fixed_win")),
        fixed_place=odds(prices.get("fixed_place")),
        tote_win=odds(prices.get("pool_win")),
        tote_place=odds(prices.get("pool_place")),
    )


def results(rows: list[Any]) -> tuple[ResultSnapshot, ...]:
    """In finishing order, those without a place last; of two rows of one runner the later counts."""
    told = [_result(saddlecloth, row) for row in map(to_object, rows) if (saddlecloth := _saddlecloth(row))]
    by_runner = {result.runner_number: result for result in told}
    return tuple(
        sorted(by_runner.values(), key=lambda result: (result.position or len(told) + 1, result.runner_number))
    )


def _result(saddlecloth: int, row: Row) -> ResultSnapshot:
    position = positive(row.get("position"))
    return ResultSnapshot(
        runner_number=saddlecloth,
        position=position,
        code="" if position else text(row.get("position"), LONGEST_CODE).upper(),
        name=text(row.get("name")),
        margin=number(row.get("margin_length")),
    )


def dividends(rows: list[Any]) -> tuple[DividendSnapshot, ...]:
    """One per pool, product and selection: the final where there is one, though the interim row stays."""
    told: dict[tuple[str, str, tuple[int, ...]], DividendSnapshot] = {}
    for dividend in filter(None, map(_dividend, map(to_object, rows))):
        key = (dividend.pool, dividend.product, dividend.selection)
        known = told.get(key)
        if known is None or known.state is not ResultState.FINAL or dividend.state is ResultState.FINAL:
            told[key] = dividend
    return tuple(told[key] for key in sorted(told))


def _dividend(row: Row) -> DividendSnapshot | None:
    """None for a row without an amount or without runners."""
    amount, selection = money(row.get("dividend")), _selection(row.get("positions"))
    if amount is None or not selection:
        return None
    is_final = text(row.get("status")).casefold() == "final"
    return DividendSnapshot(
        pool=text(row.get("tote")),
        product=text(row.get("product_name")),
        selection=selection,
        amount=amount,
        state=ResultState.FINAL if is_final else ResultState.INTERIM,
    )


def _selection(positions: Any) -> tuple[int, ...]:
    rows = map(to_object, positions if isinstance(positions, list) else ())
    placed = [(positive(row.get("position")) or 0, told) for row in rows if (told := _saddlecloth(row))]
    return tuple(told for _, told in sorted(placed))
