"""What the pools pay: Interim rows, and beside some of them Final rows for the same product later on."""

from collections.abc import Iterator, Mapping
from itertools import chain, permutations, product
from math import prod

from sandbox.provider.formats import Json
from sandbox.provider.odds import Odds
from sandbox.provider.race_state import RaceState
from sandbox.provider.runners import Places
from sandbox.provider.seeded_random import between, chance, uid

Selection = tuple[int, ...]

# Product and how many runners a selection names, for the pools paid on the order of finish.
ORDERED = {"Pool Win": 1, "Pool Quinella": 2, "Pool Trifecta": 3, "Pool First4": 4}
PRODUCTS = frozenset({*ORDERED, "Pool Place"})
KEPT_INTERIM = 0.6  # of the products keep their Interim rows beside the Final ones
CHANGED_LATER = 0.15  # of the dividends differ between Interim and Final


def places_paid(state: RaceState) -> int:
    return 3 if len(state.race.runners) - len(state.scratched) > 7 else 2


def dividend_rows(state: RaceState, prices: Mapping[int, Odds]) -> list[Json]:
    """The rows of every pool that pays, in dollars for each dollar staked; empty before a result."""
    rows = []
    for name, selection in _paid_selections(state.places, places_paid(state)):
        statuses = ["Interim"]
        if state.status != "Interim":
            kept = name == "Pool Win" or chance(state.race.id, name, "interim kept") < KEPT_INTERIM
            statuses = ["Interim", "Final"] if kept else ["Final"]
        rows += [_dividend_row(state, name, selection, status, prices) for status in statuses]
    return rows


def _paid_selections(places: Places, place_pool: int) -> Iterator[tuple[str, Selection]]:
    """Each product with each selection it pays on; a dead heat pays on every order it allows."""
    orders = [tuple(chain(*order)) for order in product(*(permutations(place) for place in places))]
    for name, runners in ORDERED.items():
        firsts = {order[:runners] for order in orders if len(order) >= runners}
        if name == "Pool Quinella":
            firsts = {tuple(sorted(first)) for first in firsts}
        yield from ((name, first) for first in sorted(firsts))
    placed = {number for order in orders for number in order[:place_pool]}
    yield from (("Pool Place", (number,)) for number in sorted(placed))


def _dividend_row(state: RaceState, name: str, selection: Selection, status: str, prices: Mapping[int, Odds]) -> Json:
    race_id = state.race.id
    wanted = state.dividends.get(name) if status == state.status else None
    return {
        "id": uid(race_id, "dividend", name, selection, status),
        "tote": "NZ",
        "product_name": name,
        "status": status,
        "dividend": wanted if wanted is not None else _dividend_amount(race_id, name, selection, status, prices),
        "pool_size": round(between(2000, 12000, race_id, name, "pool size"), 2),
        "jackpot_size": 0,
        "positions": [{"runner_number": number, "position": place} for place, number in enumerate(selection, start=1)],
        "description": ":".join(map(str, selection)),
    }


def _dividend_amount(race_id: str, name: str, selection: Selection, status: str, prices: Mapping[int, Odds]) -> float:
    """Paid for each dollar staked."""
    if name == "Pool Place":
        amount = prices[selection[0]].pool_place
    else:
        amount = prod(prices[number].pool_win * 0.8 for number in selection)
    later = status == "Final" and chance(race_id, name, selection, "changed") < CHANGED_LATER
    return round(max(1.1, amount * (1.1 if later else 1.0)), 1)
