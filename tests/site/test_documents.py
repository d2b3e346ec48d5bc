"""What the documents name is there: files, modules, commands, make targets, variables, tests, names of the code."""

import importlib
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands

from racepoll_site.unknown_variables import OWN_PREFIXES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench/README.md")
    if path.name != "CHANGELOG.md"  # a history names what is gone
)  # fmt: skip
EACH_DOCUMENT = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}.+$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
SUFFIXES = (".py", ".md", ".txt", ".toml", ".yaml", ".json", ".example", ".ipynb")
NOT_OF_THE_CHECKOUT = (".venv", "var/", "./var", "../shared")
MISTAKES = {"RACE_PROVIDER"}  # shown as one
TOOLS = {"make", "pipx"}
PACKAGES = ("racepoll_site", "races", "polling", "sandbox", "tests", "bench")


def spans(text: str) -> list[str]:
    """What stands in backticks, outside of fenced blocks."""
    return SPAN.findall(FENCED.sub("", text))


def commands_in(text: str) -> Iterator[str]:
    """Everything that may be a command line: spans, and the lines of blocks."""
    yield from spans(text)
    for block in FENCED.findall(text):
        yield from block.splitlines()[1:-1]
    yield from INDENTED.findall(FENCED.sub("", text))


@cache
def sources() -> str:
    """All Python source, without migrations, which name what is gone."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return "\n".join(path.read_text() for path in files if path.parent.name != "migrations")


def is_path(span: str) -> bool:
    """Whether a span means a file or folder of this repository."""
    if not PATH.fullmatch(span) or span.startswith(NOT_OF_THE_CHECKOUT):
        return False
    return "/" in span.rstrip("/") or span.endswith((*SUFFIXES, "/")) or span in ("Makefile", "LICENSE")


@EACH_DOCUMENT
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    missing = [span for span in spans(document.read_text()) if is_path(span) and not (ROOT / span).exists()]
    assert not missing


@EACH_DOCUMENT
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text()) if not leads_somewhere(link, document)]
    assert not broken


def leads_somewhere(link: str, document: Path) -> bool:
    if "://" in link:
        return True
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(document: Path) -> set[str]:
    """The anchors of its headings, as they are made on a page."""
    headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EACH_DOCUMENT
def test_every_dotted_name_of_ours_exists(document: Path) -> None:
    dotted = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
    missing = [
        span for span in spans(document.read_text())
        if dotted.fullmatch(span) and not span.endswith(SUFFIXES) and not resolves(span)
    ]  # fmt: skip
    assert not missing


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or what a module has."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@EACH_DOCUMENT
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    lines = list(commands_in(document.read_text()))
    named = [name for line in lines for name in re.findall(r"(?:manage\.py|^ *run) ([a-z_]+)", line)]
    assert set(named) - get_commands().keys() == set()


def test_every_command_of_ours_is_in_the_readme() -> None:
    ours = {name for name, app in get_commands().items() if app in ("polling", "races", "racepoll_site", "sandbox")}
    table = (ROOT / "README.md").read_text().split("## Commands")[1].split("\n## ")[0]
    listed = {span.split()[0] for span in spans(table) if re.match(r"[a-z_]+\b", span)}
    assert ours - listed == set()


@EACH_DOCUMENT
def test_every_make_target_that_a_document_names_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for line in commands_in(document.read_text()) for name in re.findall(r"^ *make ([a-z-]+)", line)}
    assert named - targets == set()


@EACH_DOCUMENT
def test_every_variable_that_a_document_names_is_explained(document: Path) -> None:
    variable = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
    constants = re.findall(r"^([A-Z][A-Z0-9_]+)\b.* = ", sources(), re.MULTILINE)
    known = MISTAKES.union(variable.findall((ROOT / ".env.example").read_text()), constants)
    words = {word for line in commands_in(document.read_text()) for word in variable.findall(line)}
    ours = {word for word in words if word.startswith(OWN_PREFIXES) and not word.endswith("_")}
    assert {word for word in ours if not {word, word.removesuffix("_FILE")} & known} == set()


@EACH_DOCUMENT
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    named = {span for span in spans(document.read_text()) if re.fullmatch(r"test_\w+", span)}
    assert {name for name in named if f"def {name}(" not in sources()} == set()


def cells(document: Path, column: str) -> Iterable[str]:
    """The cells of every table's column of this name."""
    at = None
    for line in document.read_text().splitlines():
        row = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if column in row:
            at = row.index(column)
        elif not row:
            at = None
        elif at is not None and set(row[at]) != {"-"}:
            yield row[at]


@pytest.mark.parametrize(
    ("document", "column"), [("docs/glossary.md", "in code"), ("docs/architecture.md", "table")], ids=["words", "facts"]
)
def test_every_name_of_the_code_in_a_table_exists(document: str, column: str) -> None:
    names = {part for cell in cells(ROOT / document, column) for span in spans(cell) for part in span.split(".")}
    assert len(names) > 10
    assert {name for name in names if not re.search(rf"\b{name}\b", sources())} == set()


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md", "docs/sync.md", "docs/brief.md"])
def test_every_name_that_a_document_has_from_the_code_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    dotted = [span for span in spans(text) if re.fullmatch(r"[A-Za-z_]\w+(\.\w+)*", span) and not is_path(span)]
    names = {part for span in dotted for part in span.split(".")} - TOOLS
    assert {name for name in names if not re.search(rf"\b{name}\b", sources())} == set()


@pytest.mark.parametrize("contract", ["Inside polling, one way", "Inside polling.appwrite, one way"])
def test_the_architecture_has_the_layers_of_the_contracts(contract: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [one["layers"] for one in contracts if one["name"] == contract]
    lines = [re.split(r" *[|:] *", layer.replace("polling.", "").strip("()")) for layer in layers]
    block = "\n".join(["```", *(", ".join(names) for names in lines), "```"])
    assert block in (ROOT / "docs/architecture.md").read_text()


def test_the_glossary_explains_no_word_twice() -> None:
    words = [word.strip() for cell in cells(ROOT / "docs/glossary.md", "word") for word in cell.split(",")]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("span", "means_a_path"),
    [
        ("polling/tick.py", True), ("docs/decisions/", True), (".env.example", True), ("Makefile", True),
        ("var/staff-login", False), ("postgres://user@host/name", False), ("manage.py up", False),
        ("Race.version", False), ("make test", False), ("/etc/racepoll.env", False),
    ],
)  # fmt: skip
def test_a_path_is_told_from_other_words(span: str, means_a_path: bool) -> None:
    assert is_path(span) is means_a_path
