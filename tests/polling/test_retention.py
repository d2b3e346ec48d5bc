"""The table of retention times, and what else says them."""

import re
from pathlib import Path

import pytest

from polling.cleanup import OLD_ROWS
from polling.retention import RETENTIONS, Retention
from racepoll_site import settings

ROOT = Path(settings.BASE_DIR)


def test_every_retention_has_rows_that_are_deleted_and_every_kind_of_row_a_retention() -> None:
    assert {rows.kept_as for rows in OLD_ROWS} == {retention.name for retention in RETENTIONS}


@pytest.mark.parametrize("retention", RETENTIONS, ids=lambda retention: retention.name)
def test_the_defaults_are_those_of_the_settings_the_example_and_the_manual(retention: Retention) -> None:
    assert settings.RETENTION[retention.name].days == retention.days
    assert f"#{retention.variable}={retention.days}\n" in (ROOT / ".env.example").read_text()
    manual = (ROOT / "docs" / "operations.md").read_text()
    assert re.search(rf"\| {retention.days} \|[^|]*\| `{retention.variable}` \|", manual)
