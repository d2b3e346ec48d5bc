"""The runbook lists every message that is logged at ERROR, and none that nothing says."""

import re
from pathlib import Path

import pytest

from tests.site.error_messages import messages_at_error

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("racepoll_site", "races", "polling")
HEADING = "## Alerts (logged at ERROR)"
# Where a format string is all placeholders, the words that fill it: they must stand in the same file.
WORDS_OF = {
    "polling/appwrite/webhook/watch.py": ("Appwrite has disabled its webhook after failed calls: …",),
}


def source() -> list[Path]:
    files = [path for package in PRODUCT for path in sorted((ROOT / package).rglob("*.py"))]
    return [*files, ROOT / "manage.py"]


def messages_in_source() -> dict[str, list[str]]:
    """Every message with the places that log it."""
    found = messages_at_error(source(), ROOT)
    unknown = [place for place in found.unreadable if place.split(":")[0] not in WORDS_OF]
    assert not unknown, f"the message cannot be read where it is logged; say in WORDS_OF which it is: {unknown}"
    messages = dict(found.messages)
    for file, words in WORDS_OF.items():
        text = (ROOT / file).read_text()
        for message in words:
            assert message.split("…")[0] in text, f"{file} says no longer: {message}"
            messages.setdefault(message, []).append(file)
    return messages


def rows() -> list[list[str]]:
    """The cells of each row of the runbook's table."""
    section = (ROOT / "docs/operations.md").read_text().split(HEADING)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


def listed() -> list[str]:
    return [message for cells in rows() for message in re.findall("`([^`]+)`", cells[0])]


def pattern(message: str) -> re.Pattern[str]:
    """What the runbook may write for a message: a placeholder as it is, or one word in its place."""
    return re.compile(r"(?:…|[^\s…]+)".join(map(re.escape, message.split("…"))))


def test_every_message_at_error_is_in_the_runbook() -> None:
    missing = {
        message: places
        for message, places in messages_in_source().items()
        if not any(pattern(message).fullmatch(entry) for entry in listed())
    }
    assert not missing, f"docs/operations.md does not list, as logged at ERROR by: {missing}"


def test_the_runbook_lists_no_message_that_nothing_says() -> None:
    messages = messages_in_source()
    stale = [entry for entry in listed() if not any(pattern(message).fullmatch(entry) for message in messages)]
    assert not stale, f"docs/operations.md lists, but no code logs at ERROR: {stale}"


def test_every_entry_says_what_the_message_means_and_what_to_do() -> None:
    assert len(rows()) > 10
    for cells in rows():
        assert len(cells) == 3 and all(len(cell) > 5 for cell in cells), cells


@pytest.mark.parametrize(
    ("code", "messages"),
    [
        ('logger.error("it %s in %.0f s", a, b)', ["it … in … s"]),
        ('logger.exception("it failed")', ["it failed"]),
        ('self.logger.critical(f"it {verb} twice")', ["it … twice"]),
        ('say = logger.error if bad else logger.warning\nsay("%s is down: %s", a, b)', ["… is down: …"]),
        (
            "SAY = {1: logger.warning, 2: logger.error}\n"
            'for stage, say in SAY.items():\n    say("%d races wait", stage)',
            ["… races wait"],
        ),
        ('T = [(logger.error, "%d were lost"), (logger.info, "all is well")]', ["… were lost"]),
        ('logger.log(level, "it may be bad: %s", e)', ["it may be bad: …"]),
        ('logger.log(logging.WARNING, "it is a warning")', []),
        ('def f():\n    level = logging.INFO if a else logging.WARNING\n    logger.log(level, "it is a warning")', []),
        ('def f(level):\n    logger.log(level, "it may be bad")', ["it may be bad"]),
        ('logger.warning("it is a warning")', []),
        ('LastingProblem(logger, "it cannot be stored", logging.ERROR)', ["it cannot be stored"]),
        ('parser.error("no message of the log")', []),
    ],
)
def test_a_message_is_found_however_it_is_logged(code: str, messages: list[str], tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(code)
    found = messages_at_error([tmp_path / "module.py"], tmp_path)
    assert (list(found.messages), found.unreadable) == (messages, [])


@pytest.mark.parametrize(
    "code",
    [
        'logger.error("%s", why)',
        "logger.error(why)",
        "call_later(logger.error)",
        "LastingProblem(logger, why, logging.ERROR)",
    ],
)
def test_a_message_that_cannot_be_read_is_named_by_its_place(code: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(code)
    found = messages_at_error([tmp_path / "module.py"], tmp_path)
    assert (found.messages, found.unreadable) == ({}, ["module.py:1"])
