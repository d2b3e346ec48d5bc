"""A record is one line, whatever its values contain."""

import io
import logging
import logging.config
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.conf import settings

from polling.log_lines import OneLineFormatter

FORGED = "Park\n2026-11-28 00:00:00,000 ERROR   polling: forged\r\x1b[2K\u2028next"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger as the settings set it up, and what it writes."""
    config: Any = deepcopy(settings.LOGGING)
    formatter = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["line"])
    written, logger = io.StringIO(), logging.Logger("polling.test")
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    yield logger, written


def test_a_newline_in_a_value_writes_no_line_of_its_own(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.warning("%s: polls fail", FORGED)
    (line,) = written.getvalue().splitlines()
    assert line.endswith(
        "WARNING polling.test: Park\\n2026-11-28 00:00:00,000 ERROR   polling: forged\\r\\x1b[2K\\u2028next: polls fail"
    )


def test_the_lines_of_a_traceback_begin_no_record(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("it failed", stack_info=True)
    first, *others = written.getvalue().splitlines()
    assert first.endswith("it failed")
    assert len(others) > 3
    assert not [line for line in others if not line.startswith("    ")]


def test_the_formatter_is_that_of_every_handler() -> None:
    config: Any = settings.LOGGING
    assert config["formatters"]["line"]["()"] == f"{OneLineFormatter.__module__}.OneLineFormatter"
    assert {handler["formatter"] for handler in config["handlers"].values()} == {"line"}
