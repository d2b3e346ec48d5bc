"""Runners, results and dividends of one race, as `/racing/events/{id}` of the TAB affiliates API has them.

What cannot be read, and what was reported twice, is counted in the caller's `left_out`. Everything is sorted, because
the provider shuffles its lists and an unchanged race must look unchanged.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from polling.providers.json_values import (
    JsonObject,
    Saddlecloth,
    first_value,
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
SCRATCHING_FLAGS = ("is_scratched", "is_late_scratched")


def runners(rows: list[Any], left_out: Counter[str]) -> tuple[RunnerSnapshot, ...]:
    """By number and letter. Rows of one runner are merged; of two runners with one number one is left out."""
    by_saddlecloth = _group_by_saddlecloth(rows, "runners", left_out)
    field = [_runner_snapshot(key, _merge_runner_rows(found, left_out)) for key, found in by_saddlecloth.items()]
    return tuple(sorted(field, key=lambda runner: (runner.number, runner.letter)))


def _merge_runner_rows(rows: list[JsonObject], left_out: Counter[str]) -> JsonObject:
    """The fullest row, completed by the others of the same name; of two names the one that is not scratched.

    An emergency may take the number of the runner that it replaces.
    """
    rows = _fullest_first(rows)
    scratched = {_runner_name(row) for row in rows if any(flag(row.get(sign)) for sign in SCRATCHING_FLAGS)}
    first = next((row for row in rows if _runner_name(row) not in scratched), rows[0])
    others = [row for row in rows if row is not first]
    same = [row for row in others if _runner_name(row) in ("", _runner_name(first)) or not _runner_name(first)]
    left_out["runners of one number"] += len(others) - len(same)
    left_out["runners reported twice"] += len(same)
    merged = _merge_rows([first, *same])
    return merged | {sign: True for sign in SCRATCHING_FLAGS if any(flag(row.get(sign)) for row in [first, *same])}


def _runner_name(row: JsonObject) -> str:
    return text(row.get("name")).casefold()


def _runner_snapshot(key: Saddlecloth, row: JsonObject) -> RunnerSnapshot:
    """A scratched runner keeps its last odds. The time of a scratching alone is a sign of it, unless a flag says no."""
    prices = to_object(row.get("odds"))
    scratched_at = instant_or_none(row.get("scratch_time")) or instant_or_none(row.get("scr_time"))
    is_scratched, is_late = (flag(row.get(sign)) for sign in SCRATCHING_FLAGS)
    scratched = bool(is_late or is_scratched or (is_scratched is None and scratched_at))
    return RunnerSnapshot(
        number=key.number,
        letter=key.letter,
        name=text(row.get("name")),
        barrier=positive(row.get("barrier")),
        jockey=text(row.get("jockey")),
        trainer=text(first_value(row, "trainer_name", "trainer")),
        scratched=scratched,
        scratched_at=scratched_at if scratched else None,
        fixed_win=odds(prices.get("fixed_win")),
        fixed_place=odds(prices.get("fixed_place")),
        tote_win=odds(prices.get("pool_win")),
        tote_place=odds(prices.get("pool_place")),
    )


def results(rows: list[Any], left_out: Counter[str]) -> tuple[ResultSnapshot, ...]:
    """The finishes, in their order and those without a place last; two rows of one runner are merged."""
    by_saddlecloth = _group_by_saddlecloth(rows, "results", left_out)
    left_out["results reported twice"] += sum(len(found) - 1 for found in by_saddlecloth.values())
    finishes = [
        _result_snapshot(label(*key), _merge_rows(_fullest_first(found))) for key, found in by_saddlecloth.items()
    ]
    return tuple(
        sorted(finishes, key=lambda result: (result.position or len(rows) + 1, label_order(result.runner_number)))
    )


def _result_snapshot(runner: Label, row: JsonObject) -> ResultSnapshot:
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
        known = amounts.get(dividend.amount)
        amounts[dividend.amount] = known if known and known.state is ResultState.FINAL else dividend
    chosen: list[DividendSnapshot] = []
    for amounts in payouts.values():  # an interim row stays beside the final one
        finals = [dividend for dividend in amounts.values() if dividend.state is ResultState.FINAL]
        chosen += finals or amounts.values()
    return tuple(sorted(chosen, key=_dividend_order))


def _each_dividend(rows: list[Any], left_out: Counter[str]) -> Iterator[DividendSnapshot]:
    """The rows that pay. One that pays nothing (nobody won, or not declared yet) is skipped, and not left out."""
    for row in rows:
        paid = to_object(row).get("dividend")
        amount, selection = money(paid), _parse_selection(to_object(row).get("positions"))
        pays_nothing = paid in (None, "", [], {}) or number(paid) == 0
        if amount and selection:
            is_final = text(row.get("status")).casefold() == "final"
            yield DividendSnapshot(
                pool=text(row.get("tote")),
                product=text(row.get("product_name")),
                selection=selection,
                amount=amount,
                state=ResultState.FINAL if is_final else ResultState.INTERIM,
            )
        elif not isinstance(row, dict) or amount or not pays_nothing:
            left_out["dividends"] += 1


def _dividend_order(dividend: DividendSnapshot) -> tuple[Any, ...]:
    runners = [label_order(runner) for runner in dividend.selection]
    return dividend.pool, dividend.product, runners, dividend.amount


def _parse_selection(positions: Any) -> tuple[Label, ...]:
    """The runners in finishing order, those at one place in the order given; none where one of them cannot be read."""
    rows = [to_object(row) for row in positions] if isinstance(positions, list) else []
    runners = [(positive(row.get("position")) or 0, saddlecloth(row.get("runner_number"))) for row in rows]
    placed = sorted(runners, key=lambda runner: runner[0])
    labels = tuple(label(*key) for _, key in placed if key)
    return labels if len(labels) == len(rows) else ()


# --- rows of one runner ---------------------------------------------------------------------------------


def _group_by_saddlecloth(rows: list[Any], what: str, left_out: Counter[str]) -> dict[Saddlecloth, list[JsonObject]]:
    """The rows by saddlecloth; those without one are left out, and counted as `what`."""
    grouped: dict[Saddlecloth, list[JsonObject]] = defaultdict(list)
    for row in map(to_object, rows):
        if key := saddlecloth(row.get("runner_number")):
            grouped[key].append(row)
        else:
            left_out[what] += 1
    return grouped


def _fullest_first(rows: list[JsonObject]) -> list[JsonObject]:
    """The rows by how many values they hold, whatever the order in which the provider put them."""
    if len(rows) == 1:
        return rows
    return sorted(rows, key=lambda row: (-_count_values(row), json.dumps(row, sort_keys=True, default=str)))


def _count_values(value: Any) -> int:
    """How many values there are, at any depth, that are neither empty nor 0."""
    if isinstance(value, dict | list):
        return sum(map(_count_values, value.values() if isinstance(value, dict) else value))
    return int(value not in (None, "", 0))


def _merge_rows(rows: list[JsonObject]) -> JsonObject:
    """The first row, with the others' values where it has none."""
    merged: JsonObject = {}
    for row in rows:
        for name, value in row.items():
            if name not in merged or (_count_values(value) and not _count_values(merged[name])):
                merged[name] = value
    return merged
