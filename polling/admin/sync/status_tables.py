"""The tables of the sync page: the numbers of polling.appwrite.status with their meaning in words."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.formats import NOTHING
from polling.admin.sync import conflict_values
from polling.admin.sync.conflict import won
from polling.admin.sync.linked_race import race_link
from polling.admin.table import Table
from polling.appwrite.status import SyncStatus, TableStatus
from polling.models import SyncConflict

May = Callable[[str], bool]
Cell = Callable[[TableStatus], object]


def tables_of_status(status: SyncStatus, conflicts: Sequence[SyncConflict], *, may: May, now: datetime) -> list[Table]:
    """The tables of rows, progress, server and open conflicts, in this order.

    `conflicts` are the newest open ones; `may` says whether the user has a permission.
    """
    return [
        _rows_table(status, may=may),
        _progress_table(status, now=now),
        _server_table(status, now=now),
        _conflicts_table(conflicts, status.open_conflicts),
    ]


def waiting_items(status: SyncStatus) -> list[str]:
    """What waits for a decision of staff although nothing fails, one text each."""
    conflicts = {f"{formats.count_noun(status.open_conflicts, 'open conflict')} to resolve": status.open_conflicts}
    rows = {
        f"{table.table}: {formats.count_noun(table.unmatched_rows, 'row')} of no race": table.unmatched_rows
        for table in status.tables
    }
    return [text for text, number in {**conflicts, **rows}.items() if number]


def _rows_table(status: SyncStatus, *, may: May) -> Table:
    dead_page = f"{reverse('admin:polling_syncstate_changelist')}?state=dead" if may("polling.view_syncstate") else ""
    unmatched_page = reverse("admin:polling_unmatchedrow_changelist") if may("polling.view_unmatchedrow") else ""
    lines: list[tuple[str, str, Cell]] = [
        ("Rows", "races, and rows whose race is gone; poll logs: those for Appwrite", lambda table: table.rows),
        ("In sync", "nothing to push", lambda table: table.in_sync),
        ("Dirty", "may have something to push, which the next push sends", lambda table: table.dirty),
        ("In flight", "dirty, and a push has the table at this moment", lambda table: table.in_flight),
        ("Waiting", "their last push failed, and the next try is planned",
         lambda table: _count_badge(table.waiting, formats.WARNING)),
        ("Missing", "deleted in Appwrite; the next sweep recreates them",
         lambda table: _count_badge(table.missing, formats.WARNING)),
        ("Dead", "given up until somebody acts", lambda table: _count_badge(table.dead, formats.BAD, dead_page)),
        ("Unmatched rows", "rows in Appwrite that belong to no race",
         lambda table: _count_badge(table.unmatched_rows, formats.WARNING, unmatched_page)),
    ]  # fmt: skip
    return _table_by_table("rows", "Rows", status, lines)


def _progress_table(status: SyncStatus, *, now: datetime) -> Table:
    def ago(instant: datetime | None) -> SafeString:
        return formats.time_tag(instant, formats.relative_time(instant, now=now) if instant else NOTHING)

    lines: list[tuple[str, str, Cell]] = [
        ("Checkpoint", "the last pull that succeeded; poll logs: how far they have been scanned",
         lambda table: ago(table.pulled_at)),
        ("Read up to", "by Appwrite's clock",
         lambda table: formats.utc_text(datetime.fromisoformat(table.read_to) if table.read_to else None)),
        ("Last sweep", "the full pass that finds differences; poll logs: sent rows that are gone",
         lambda table: ago(table.swept_at)),
        ("Deletion guard", "why deletions wait until somebody releases them",
         lambda table: _long_text(table.deletion_guard)),
        ("Echoes", "own writes that came back in a pull and were dropped", lambda table: table.echoes),
        ("Overlap finds", "changes that only the overlap of two pulls found", lambda table: table.overlap_hits),
        ("Repairs", "differences that only a sweep found", lambda table: table.repairs),
        ("Next push not before", "after an error",
         lambda table: formats.utc_text(table.left_alone_until)),
        ("Error", "of a pull, sweep or push since the checkpoint",
         lambda table: _long_text(table.error or table.sweep_error or table.push_error)),
    ]  # fmt: skip
    return _table_by_table("progress", "Pull, push and sweep", status, lines)


def _table_by_table(name: str, title: str, status: SyncStatus, lines: list[tuple[str, str, Cell]]) -> Table:
    rows = [
        (
            format_html('{} <span class="rp-quiet rp-meaning">{}</span>', heading, meaning),
            *(cell(table) for table in status.tables),
        )
        for heading, meaning, cell in lines
    ]
    return Table(name, title, ("What", *(table.table for table in status.tables)), rows, row_headers=True)


def _server_table(status: SyncStatus, *, now: datetime) -> Table:
    server = status.server

    def ago(name: str) -> str:
        return formats.relative_time(server[name], now=now) if server[name] else "never"

    rows: list[tuple[object, ...]] = [("Target", status.target)]
    if server:
        rows += [
            ("Version", server["version"] or NOTHING),
            (
                "Compare and set",
                _yes_no_badge(server["compares_and_sets"], "refuses stale writes", "takes stale writes"),
            ),
            ("Last checked", ago("probed_at")),
            ("Problem", _long_text(server["problem"])),
            ("Webhook", _yes_no_badge(server["webhook_enabled"], "enabled", "disabled")),
            ("Webhook problem", _long_text(server["webhook_problem"])),
            ("Last notification", f"{ago('notified_at')}, {server['notifications']} in all"),
        ]
    return Table("server", "Server", ("What", "State"), rows, row_headers=True)


def _conflicts_table(conflicts: Sequence[SyncConflict], of: int) -> Table:
    headers = ("Race", "Field", "Django's", "Appwrite's", "Won, and why", "Found")
    rows = [
        (
            race_link(each, description=each.row),
            _linked_text(
                conflict_values.field_name(each.field), reverse("admin:polling_syncconflict_change", args=[each.pk])
            ),
            conflict_values.short(each.field, each.local),
            conflict_values.short(each.field, each.remote),
            won(each),
            formats.time_tag(each.found_at, formats.utc_text(each.found_at)),
        )
        for each in conflicts
    ]
    title = f"Open conflicts, the newest {len(rows)} of {of}" if of > len(rows) else "Open conflicts"
    return Table("conflicts", title, headers, rows, "None.")


def _linked_text(shown: str, page: str) -> str:
    return format_html('<a href="{}">{}</a>', page, shown) if page else shown


def _count_badge(number: int, tone: str, page: str = "") -> object:
    """A number that is not zero as a badge, with a link to the page."""
    return _linked_text(formats.badge(f"{number}", tone), page) if number else 0


def _long_text(text: str) -> object:
    return format_html('<span class="rp-words">{}</span>', text) if text else NOTHING


def _yes_no_badge(value: bool | None, yes: str, no: str) -> object:
    if value is None:
        return "not known"
    return formats.badge(yes, formats.GOOD) if value else formats.badge(no, formats.WARNING)
