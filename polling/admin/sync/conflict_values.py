"""The values of a conflict as text: short in a list, whole on its page; instants and flags in words."""

import json
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.formats import NOTHING
from polling.appwrite.mapping import RACE_FIELDS, Kind

MAX_CHARACTERS = 40  # of a value in a list
WHOLE_ROW = "$id"  # the field of a conflict about whether the row exists


def field_name(field: str) -> str:
    """The name of a conflict's field, in words."""
    return "the whole row" if field == WHOLE_ROW else field


def short(field: str, value: Any) -> str:
    """A value in one line; of a long text the beginning and its length; of a row whether it exists."""
    if field == WHOLE_ROW:
        return "exists" if value else "does not exist"
    text = _value_text(field, value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}… ({len(text):,} characters)"


def whole(field: str, value: Any) -> SafeString:
    """A value as a whole, JSON indented."""
    text = _value_text(field, value)
    if _field_kind(field) is Kind.JSON:
        with suppress(ValueError):  # somebody may have written other text into the column by hand
            text = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    return format_html('<pre class="rp-block" tabindex="0">{}</pre>', text)


def _field_kind(field: str) -> Kind | None:
    return RACE_FIELDS[field].kind if field in RACE_FIELDS else None


def _value_text(field: str, value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _field_kind(field) is Kind.INSTANT:
        return formats.utc_text(datetime.fromisoformat(value))
    return str(value)
