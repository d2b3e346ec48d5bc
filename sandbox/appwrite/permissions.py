"""Permission strings of tables and rows."""

import re
from typing import Any

from sandbox.appwrite.errors import ApiError

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,35}"
_FORM = re.compile(
    r'(?P<action>create|read|update|delete|write)\("(?P<role>any|guests|users(?:/(?:un)?verified)?'
    rf'|user:{_ID}(?:/(?:un)?verified)?|team:{_ID}(?:/{_ID})?|member:{_ID}|label:[A-Za-z0-9]+)"\)'
)
TABLE_ACTIONS = ("create", "update", "delete")
ROW_ACTIONS = ("update", "delete")
LIMIT = 100


def expand_permissions(given: Any, write_means: tuple[str, ...]) -> list[str]:
    """The permissions with `write` replaced by what it means. Raises general_argument_invalid for a bad one.

    `create` is for tables only: it is bad where `write_means` does not hold it.
    """
    if not isinstance(given, list) or len(given) > LIMIT:
        raise ApiError("general_argument_invalid", "permissions")
    permissions: list[str] = []
    for text in given:
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None or (found["action"] == "create" and "create" not in write_means):
            raise ApiError("general_argument_invalid", "permissions")
        actions = write_means if found["action"] == "write" else (found["action"],)
        permissions += [f'{action}("{found["role"]}")' for action in actions]
    return list(dict.fromkeys(permissions))
