"""How the values of a conflict are put: short in a list, whole on its page; instants, yes and no in words."""

import json
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.formats import NOTHING
from polling.appwrite.mapping import RACE_FIELDS, Kind

MOST = 40  # characters of a value in a list


WHOLE_ROW = "$id"  # the field of a conflict that is about a row being there, or not


def field_name(field: str) -> str:
    """What a conflict is about, in words."""
    return "the whole row" if field == WHOLE_ROW else field


def short(field: str, value: Any) -> str:
    """In one line; of long text the beginning, and how long it is; of a row whether it is there."""
    if field == WHOLE_ROW:
        return "there" if value else "not there"
    text = _text(field, value)
    return text if len(text) <= MOST else f"{text[:MOST]}… ({len(text):,} characters)"


def whole(field: str, value: Any) -> SafeString:
    """All of it; JSON indented."""
    text = _text(field, value)
    if _kind(field) is Kind.JSON:
        text = _indented(text)
    return format_html('<pre class="rp-block" tabindex="0">{}</pre>', text)


def _kind(field: str) -> Kind | None:
    return RACE_FIELDS[field].kind if field in RACE_FIELDS else None


def _text(field: str, value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _kind(field) is Kind.INSTANT:
        return formats.utc_text(datetime.fromisoformat(value))
    return str(value)


def _indented(text: str) -> str:
    """What somebody wrote into such a column by hand need not be JSON."""
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except ValueError:
        return text
