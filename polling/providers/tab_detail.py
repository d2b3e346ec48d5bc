"""Runners, results and dividends of one race, as `/racing/events/{id}` of the TAB affiliates API has them.

What cannot be read, and what was reported twice, is counted in the caller's `left_out`. Everything is sorted, because
the provider shuffles its lists and an unchanged race must look unchanged.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from polling.providers.reading import (
    Row,
    Saddlecloth,
    first_told,
    flag,
    instant_or_none,
    money,
    number,
    odds,
    positive,
    saddlecloth,
    text,
    to_object,
)
from races.snapshots import DividendSnapshot, Label, ResultSnapshot, RunnerSnapshot, label, label_order
from races.status import ResultState

LONGEST_CODE = 8
SIGNS = ("is_scratched", "is_late_scratched")


def runners(rows: list[Any], left_out: Counter[str]) -> tuple[RunnerSnapshot, ...]:
    """By number and letter. Two rows of one runner are merged; of two runners with one number one is left out."""
    by_saddlecloth = _grouped(rows, "runners", left_out)
    field = [_runner(key, _one_runner(found, left_out)) for key, found in by_saddlecloth.items()]
    return tuple(sorted(field, key=lambda runner: (runner.number, runner.letter)))


def _one_runner(rows: list[Row], left_out: Counter[str]) -> Row:
    """The row that says most, completed by the others of the same name; of two names that which is not scratched.

    An emergency may take the number of the runner that it replaces.
    """
    rows = _richest_first(rows)
    scratched = {_name(row) for row in rows if any(flag(row.get(sign)) for sign in SIGNS)}
    first = next((row for row in rows if _name(row) not in scratched), rows[0])
    others = [row for row in rows if row is not first]
    same = [row for row in others if _name(row) in ("", _name(first)) or not _name(first)]
    left_out["runners of one number"] += len(others) - len(same)
    left_out["runners reported twice"] += len(same)
    merged = _completed([first, *same])
    return merged | {sign: True for sign in SIGNS if any(flag(row.get(sign)) for row in [first, *same])}


def _name(row: Row) -> str:
    return text(row.get("name")).casefold()


def _runner(key: Saddlecloth, row: Row) -> RunnerSnapshot:
    """Scratched runners keep their last odds. A scratching's time alone is a sign of it, unless the row says no."""
    prices = to_object(row.get("odds"))
    scratched_at = instant_or_none(row.get("scratch_time")) or instant_or_none(row.get("scr_time"))
    is_scratched, is_late = (flag(row.get(sign)) for sign in SIGNS)
    scratched = bool(is_late or is_scratched or (is_scratched is None and scratched_at))
    return RunnerSnapshot(
        number=key.number,
        letter=key.letter,
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


def results(rows: list[Any], left_out: Counter[str]) -> tuple[ResultSnapshot, ...]:
    """In finishing order, those without a place last; two rows of one runner are merged."""
    by_saddlecloth = _grouped(rows, "results", left_out)
    left_out["results reported twice"] += sum(len(found) - 1 for found in by_saddlecloth.values())
    finishes = [_result(label(*key), _completed(_richest_first(found))) for key, found in by_saddlecloth.items()]
    return tuple(
        sorted(finishes, key=lambda result: (result.position or len(rows) + 1, label_order(result.runner_number)))
    )


def _result(runner: Label, row: Row) -> ResultSnapshot:
    position = positive(row.get("position"))
    return ResultSnapshot(
        runner_number=runner,
        position=position,
        code="" if position else text(row.get("position"), LONGEST_CODE).upper(),
        name=text(row.get("name")),
        margin=number(row.get("margin_length")),
    )


def dividends(rows: list[Any], left_out: Counter[str]) -> tuple[DividendSnapshot, ...]:
    """The final payouts of each pool, product and selection, and the interim ones where there is no final.

    One selection may have several: in a dead heat each order pays its own.
    """
    payouts: dict[tuple[str, str, tuple[Label, ...]], dict[Decimal, DividendSnapshot]] = defaultdict(dict)
    for dividend in _each_dividend(rows, left_out):
        amounts = payouts[dividend.pool, dividend.product, dividend.selection]
        amounts[dividend.amount] = _further(dividend, amounts.get(dividend.amount))
    chosen = [dividend for amounts in payouts.values() for dividend in _furthest(amounts.values())]
    return tuple(sorted(chosen, key=_dividend_order))


def _each_dividend(rows: list[Any], left_out: Counter[str]) -> Iterator[DividendSnapshot]:
    """A row that pays nothing says that nobody won, or that it is not declared yet; it is not left out, but nothing."""
    for row in rows:
        paid = to_object(row).get("dividend")
        amount, selection = money(paid), _selection(to_object(row).get("positions"))
        if amount and selection:
            yield _dividend(row, amount, selection)
        elif not isinstance(row, dict) or amount or not _is_nothing(paid):
            left_out["dividends"] += 1


def _is_nothing(paid: Any) -> bool:
    return paid in (None, "", [], {}) or number(paid) == 0


def _dividend(row: Row, amount: Decimal, selection: tuple[Label, ...]) -> DividendSnapshot:
    is_final = text(row.get("status")).casefold() == "final"
    return DividendSnapshot(
        pool=text(row.get("tote")),
        product=text(row.get("product_name")),
        selection=selection,
        amount=amount,
        state=ResultState.FINAL if is_final else ResultState.INTERIM,
    )


def _further(one: DividendSnapshot, other: DividendSnapshot | None) -> DividendSnapshot:
    return other if other and other.state is ResultState.FINAL else one


def _furthest(payouts: Iterable[DividendSnapshot]) -> list[DividendSnapshot]:
    """The final ones, or all where none is: an interim row stays beside the final one."""
    every = list(payouts)
    return [dividend for dividend in every if dividend.state is ResultState.FINAL] or every


def _dividend_order(dividend: DividendSnapshot) -> tuple[Any, ...]:
    runners = [label_order(runner) for runner in dividend.selection]
    return dividend.pool, dividend.product, runners, dividend.amount


def _selection(positions: Any) -> tuple[Label, ...]:
    """In finishing order, runners at one place in the order given; nothing where a runner of it cannot be read."""
    rows = [to_object(row) for row in positions] if isinstance(positions, list) else []
    runners = [(positive(row.get("position")) or 0, saddlecloth(row.get("runner_number"))) for row in rows]
    placed = sorted(runners, key=lambda runner: runner[0])
    labels = tuple(label(*key) for _, key in placed if key)
    return labels if len(labels) == len(rows) else ()


# --- rows of one runner ---------------------------------------------------------------------------------


def _grouped(rows: list[Any], what: str, left_out: Counter[str]) -> dict[Saddlecloth, list[Row]]:
    """The rows by saddlecloth; those without one are left out."""
    grouped: dict[Saddlecloth, list[Row]] = defaultdict(list)
    for row in map(to_object, rows):
        if key := saddlecloth(row.get("runner_number")):
            grouped[key].append(row)
        else:
            left_out[what] += 1
    return grouped


def _richest_first(rows: list[Row]) -> list[Row]:
    """What says most comes first, whatever the order in which the provider put them."""
    if len(rows) == 1:
        return rows
    return sorted(rows, key=lambda row: (-_said(row), json.dumps(row, sort_keys=True, default=str)))


def _said(value: Any) -> int:
    """How many values there are that say something."""
    if isinstance(value, dict | list):
        return sum(map(_said, value.values() if isinstance(value, dict) else value))
    return int(value not in (None, "", 0))


def _says_more(value: Any, known: Any) -> bool:
    return bool(_said(value)) and not _said(known)


def _completed(rows: list[Row]) -> Row:
    """The first row, with the others' values where it has none."""
    merged: Row = {}
    for row in rows:
        merged |= {name: value for name, value in row.items() if name not in merged or _says_more(value, merged[name])}
    return merged
