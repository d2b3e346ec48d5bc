"""Log lines that nobody can forge: one record is one line, whatever its values contain."""

import logging

from races.plain_text import escaped


class OneLineFormatter(logging.Formatter):
    """Escapes control characters in every message; the lines of a traceback are indented, so that none begins a record.

    A newline in a meeting's name would otherwise write a line that looks like one of ours.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        return escaped(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - as above
        return _indent_lines(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - as above
        return _indent_lines(super().formatStack(stack_info))


def _indent_lines(text: str) -> str:
    return "\n".join(f"    {escaped(line)}" for line in text.split("\n"))
