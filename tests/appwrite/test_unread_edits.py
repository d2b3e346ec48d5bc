"""What somebody changed in a row since both sides last agreed, without what a write of ours has set."""

from typing import Any

import pytest

from polling.appwrite import mapping
from polling.appwrite.unread_edits import unread_edits
from polling.models import SyncState

AGREED_AT, LATER = "2026-11-23T02:00:00.000+00:00", "2026-11-23T02:05:00.000+00:00"
BASE = mapping.complete({"name": "Cup", "staff_note": "soft", "sync_version": 2})
ROW = {"$id": "r1", "$updatedAt": AGREED_AT, "$sequence": "1", **BASE}
SENT = {"name": "Plate", "sync_version": 3}


@pytest.mark.parametrize(
    ("row", "sent", "edits"),
    [
        pytest.param({}, None, {}, id="as it was agreed on"),
        pytest.param({"$updatedAt": LATER}, None, {}, id="written with the same values"),
        pytest.param({"staff_note": "hard"}, None, {"staff_note": ("soft", "hard")}, id="an edit at the same instant"),
        pytest.param({"staff_note": None}, None, {"staff_note": ("soft", None)}, id="a value taken away"),
        pytest.param(SENT, [SENT], {}, id="a write of ours whose answer was lost"),
        pytest.param({**SENT, "name": "x"}, [SENT], {"name": ("Plate", "x")}, id="an edit after our write"),
        pytest.param({"$updatedAt": None}, None, {"$id": (None, "r1")}, id="a row that cannot be read"),
    ],
)
def test_what_was_edited(row: dict[str, Any], sent: Any, edits: dict[str, Any]) -> None:
    state = SyncState(remote_id="r1", base=BASE, base_updated_at=AGREED_AT, sent=sent)
    assert unread_edits({**ROW, **row}, state) == edits
