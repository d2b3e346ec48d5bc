"""Refusals that are not a row's but its table's: one problem, however many rows it is found with."""

from collections.abc import Callable
from dataclasses import dataclass

from polling.appwrite import sync_state
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import Rows
from polling.appwrite.schema import drift
from polling.appwrite.schema.tables import TABLES
from polling.errors import Blocked, OutOfTime, PollingError

DIAGNOSIS_SECONDS = 4.0  # that it may take beyond the deadline: a slow server would never be heard out otherwise
REMEDY = "correct the table in Appwrite; what waits goes by itself then"


@dataclass(eq=False)
class TableRefuses(Blocked):
    """The table is not as declared, so that it refuses rows: `every_row`, or those that its change is about."""

    every_row: bool = False


class TableRefusals:
    """Finds out, once a run, whether refusals are the table's.

    Its columns show it where the key may read them; else `control`, a write that every sound table takes and that
    changes nothing, is refused too.
    """

    def __init__(self, rows: Rows, control: Callable[[], object]) -> None:
        self._rows, self._control = rows, control
        self._found: TableRefuses | None = None
        self._has_looked = False

    def find_fault(self) -> TableRefuses | None:
        """What is wrong with the table, after it refused a row; None where that row itself must be at fault.

        Raises MissingResource where the table lacks a column of ours, and OutOfTime.
        """
        self._rows.require_columns(TABLES[self._rows.table].columns)
        if not self._has_looked:
            self._found = self._fault_of_columns() or self._fault_of_control()
            self._has_looked = True
        return self._found

    def _fault_of_columns(self) -> TableRefuses | None:
        table = TABLES[self._rows.table]
        try:
            columns = self._rows.columns()
        except OutOfTime:
            raise
        except PollingError:  # a key may lack the scope; the control write decides then
            return None
        if wrong := drift.refusals_of(self._rows.table, table, columns):
            return TableRefuses(f"{'; '.join(wrong)}; {REMEDY}", every_row=drift.must_be_given(table, columns))
        return None

    def _fault_of_control(self) -> TableRefuses | None:
        try:
            self._control()
        except InvalidRequest as error:
            return TableRefuses(f"{self._rows.table} refuses every row: {error}; {REMEDY}", every_row=True)
        except OutOfTime:
            raise
        except PollingError:  # it decides nothing
            return None
        return None


def rewrite_a_row(rows: Rows) -> None:
    """Writes into a row of races what it has: Appwrite leaves its `$updatedAt` alone. Nothing where no row is known."""
    known_rows = sync_state.states().filter(dead_since=None, remote_deleted_at=None).exclude(base_updated_at="")
    state = known_rows.order_by("attempts", "-synced_at").first()
    known = {name: value for name, value in state.base.items() if value is not None} if state else {}
    if state and known:
        rows.update(state.remote_id, dict([*known.items()][:1]), base_updated_at=state.base_updated_at)
