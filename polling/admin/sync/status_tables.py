"""The tables of the sync page: what the numbers of polling.appwrite.status are in words."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.formats import NOTHING
from polling.admin.sync import conflict_values
from polling.admin.sync.conflict import won
from polling.admin.sync.linked_race import linked
from polling.admin.table import Table
from polling.appwrite.status import SyncStatus, TableStatus
from polling.models import SyncConflict

May = Callable[[str], bool]
Cell = Callable[[TableStatus], object]


def tables(told: SyncStatus, conflicts: Sequence[SyncConflict], *, may: May, now: datetime) -> list[Table]:
    """Rows, progress, server and, newest first, the open conflicts; `may` tells whether a permission is held."""
    return [
        _rows(told, may=may),
        _progress(told, now=now),
        _server(told, now=now),
        _conflicts(conflicts, told.open_conflicts),
    ]


def waiting(told: SyncStatus) -> list[str]:
    """What waits for a person's word, in words, though nothing fails."""
    conflicts = {f"{formats.count_noun(told.open_conflicts, 'open conflict')} to look at": told.open_conflicts}
    rows = {
        f"{table.table}: {formats.count_noun(table.unmatched_rows, 'row')} of no race": table.unmatched_rows
        for table in told.tables
    }
    return [words for words, number in {**conflicts, **rows}.items() if number]


def _rows(told: SyncStatus, *, may: May) -> Table:
    lines: list[tuple[str, str, Cell]] = [
        ("Rows", "races, and rows whose race is gone; poll logs: those for Appwrite", lambda table: table.rows),
        ("In sync", "nothing to push", lambda table: table.in_sync),
        ("Dirty", "may have something to push, which the next push sends", lambda table: table.dirty),
        ("In flight", "dirty, and a push has the table at this moment", lambda table: table.in_flight),
        ("Waiting", "their last push failed, the next try is set", lambda table: _warned(table.waiting)),
        ("Missing", "deleted in Appwrite; the next sweep makes them again", lambda table: _warned(table.missing)),
        ("Dead", "given up until a person acts", lambda table: _dead(table.dead, may=may)),
        ("Unmatched rows", "rows in Appwrite that are of no race",
         lambda table: _unmatched(table.unmatched_rows, may=may)),
    ]  # fmt: skip
    return _by_table("rows", "Rows", told, lines)


def _progress(told: SyncStatus, *, now: datetime) -> Table:
    def ago(instant: datetime | None) -> SafeString:
        return formats.time_tag(instant, formats.relative_time(instant, now=now) if instant else NOTHING)

    lines: list[tuple[str, str, Cell]] = [
        ("Checkpoint", "the last pull that ended well; poll logs: how far they are looked through",
         lambda table: ago(table.pulled_at)),
        ("Read up to", "by Appwrite's clock", lambda table: _utc(table.read_to)),
        ("Last sweep", "the full pass that finds what differs; poll logs: what was sent and is gone",
         lambda table: ago(table.swept_at)),
        ("Deletion guard", "why deletions wait for a person", lambda table: _bad(table.deletion_guard)),
        ("Echoes", "own writes met again and dropped", lambda table: table.echoes),
        ("Overlap finds", "changes found only by looking back", lambda table: table.overlap_hits),
        ("Repairs", "differences found only by a sweep", lambda table: table.repairs),
        ("Left alone until", "no push begins before, after an error",
         lambda table: formats.utc_text(table.left_alone_until)),
        ("Fails", "since the checkpoint, and with what",
         lambda table: _bad(table.error or table.sweep_error or table.push_error)),
    ]  # fmt: skip
    return _by_table("progress", "Pull, push and sweep", told, lines)


def _by_table(name: str, title: str, told: SyncStatus, lines: list[tuple[str, str, Cell]]) -> Table:
    rows = [
        (
            format_html('{} <span class="rp-quiet rp-meaning">{}</span>', heading, meaning),
            *(cell(table) for table in told.tables),
        )
        for heading, meaning, cell in lines
    ]
    return Table(name, title, ("What", *(table.table for table in told.tables)), rows, row_headers=True)


def _server(told: SyncStatus, *, now: datetime) -> Table:
    server = told.server

    def ago(name: str) -> str:
        return formats.relative_time(server[name], now=now) if server[name] else "never"

    rows: list[tuple[object, ...]] = [("Target", told.target)]
    if server:
        rows += [
            ("Version", server["version"] or NOTHING),
            ("Compare and set", _known(server["compares_and_sets"], "refuses stale writes", "takes stale writes")),
            ("Looked at", ago("probed_at")),
            ("Problem", _bad(server["problem"])),
            ("Webhook", _known(server["webhook_enabled"], "enabled", "disabled")),
            ("Webhook’s problem", _bad(server["webhook_problem"])),
            ("Last notification", f"{ago('notified_at')}, {server['notifications']} in all"),
        ]
    return Table("server", "Server", ("What", "How it stands"), rows, row_headers=True)


def _conflicts(conflicts: Sequence[SyncConflict], of: int) -> Table:
    headers = ("Race", "Field", "Django's", "Appwrite's", "Won, and why", "Found")
    rows = [
        (
            linked(each, gone=each.row),
            _link(conflict_values.field_name(each.field), reverse("admin:polling_syncconflict_change", args=[each.pk])),
            conflict_values.short(each.field, each.local),
            conflict_values.short(each.field, each.remote),
            won(each),
            formats.time_tag(each.found_at, formats.utc_text(each.found_at)),
        )
        for each in conflicts
    ]
    title = f"Open conflicts, the newest {len(rows)} of {of}" if of > len(rows) else "Open conflicts"
    return Table("conflicts", title, headers, rows, "None.")


def _utc(text: str) -> str:
    return formats.utc_text(datetime.fromisoformat(text) if text else None)


def _dead(number: int, *, may: May) -> object:
    badge = formats.badge(f"{number}", formats.BAD)
    page = f"{reverse('admin:polling_syncstate_changelist')}?state=dead"
    return _link(badge, page if may("polling.view_syncstate") else "") if number else 0


def _unmatched(number: int, *, may: May) -> object:
    badge = formats.badge(f"{number}", formats.WARNING)
    page = reverse("admin:polling_unmatchedrow_changelist")
    return _link(badge, page if may("polling.view_unmatchedrow") else "") if number else 0


def _link(shown: str, page: str) -> str:
    return format_html('<a href="{}">{}</a>', page, shown) if page else shown


def _warned(number: int) -> object:
    return formats.badge(f"{number}", formats.WARNING) if number else 0


def _bad(words: str) -> object:
    return format_html('<span class="rp-words">{}</span>', words) if words else NOTHING


def _known(value: bool | None, yes: str, no: str) -> object:
    if value is None:
        return "not known"
    return formats.badge(yes, formats.GOOD) if value else formats.badge(no, formats.WARNING)
