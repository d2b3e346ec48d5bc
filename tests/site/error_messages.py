"""Finds in the product's source every message that may be logged at ERROR, by reading it as Python does."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ERRORS = ("error", "exception", "critical", "fatal")
LEVELS_BELOW = ("DEBUG", "INFO", "WARNING", "WARN")
LOGGER = re.compile(r"^_?(logger|logging|log)$")
PLACEHOLDER = re.compile(r"%(\(\w+\))?[-#0 +]*\d*(\.\d+)?[sdirfgexacG]")


@dataclass
class Found:
    """The messages by the place that logs them, and the places whose message cannot be read there."""

    messages: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, message: str, place: str) -> None:
        self.messages.setdefault(message, []).append(place)


def messages_at_error(files: Iterable[Path], root: Path) -> Found:
    """Every message of these files, its placeholders as `…`."""
    found = Found()
    for path in files:
        _Module(ast.parse(path.read_text()), str(path.relative_to(root)), found).read()
    return found


def plain(template: str) -> str:
    """A format string as people read it: `pool %s ended in %.0f s` is `pool … ended in … s`."""
    return PLACEHOLDER.sub("…", template).replace("%%", "%").strip()


def has_words(message: str) -> bool:
    """Whether it says anything by itself, without what fills its placeholders."""
    return bool(re.search(r"[A-Za-z]{2,}", message))


class _Module:
    def __init__(self, tree: ast.Module, name: str, found: Found) -> None:
        self.tree, self.name, self.found = tree, name, found
        self.calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        self.sayers = set[str]()  # names that stand for a method of a logger

    def read(self) -> None:
        direct = {id(call.func) for call in self.calls}
        for node in ast.walk(self.tree):
            if _is_error_method(node) and id(node) not in direct:
                self._follow(node)
        for call in self.calls:
            self._read_call(call)

    def _read_call(self, call: ast.Call) -> None:
        func = call.func
        if _is_error_method(func) or (isinstance(func, ast.Name) and func.id in self.sayers):
            self._take(call.args[:1], call)
        elif _is_log_method(func):
            if self._may_be_error(call.args[0], call):
                self._take(call.args[1:2], call)
        elif any(_is_error_level(value) for value in [*call.args, *(word.value for word in call.keywords)]):
            # A level that is handed on: with a logger the words that it will log must be there, too.
            texts = [text for text in map(plain, filter(None, map(_text, call.args))) if has_words(text)]
            for text in texts:
                self.found.add(text, self._place(call))
            if not texts and any(map(_is_logger, call.args)):
                self.found.unreadable.append(self._place(call))

    def _may_be_error(self, level: ast.expr, call: ast.Call) -> bool:
        """Anything but a lower level, or a name that the same function gives nothing but lower levels."""
        if not isinstance(level, ast.Name):
            return not _is_below(level)
        functions = [
            node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef) and _contains(node, call)
        ]
        given = [
            node.value
            for function in functions[-1:]
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and level.id in _names_bound_by(node)
        ]
        return not given or not all(map(_is_below, given))

    def _take(self, arguments: list[ast.expr], call: ast.Call) -> None:
        template = _text(arguments[0]) if arguments else None
        if template is not None and has_words(plain(template)):
            self.found.add(plain(template), self._place(call))
        elif not (isinstance(call.func, ast.Name) and self._has_messages_beside_it):
            self.found.unreadable.append(self._place(call))

    _has_messages_beside_it = False

    def _follow(self, method: ast.AST) -> None:
        """A method that is not called where it stands: the messages beside it, or the names that it goes by."""
        statement = self._statement_of(method)
        beside = [text for text in self._beside(method) if has_words(text)]
        if beside:
            self._has_messages_beside_it = True
            for text in beside:
                self.found.add(text, self._place(method))
            return
        names = _names_bound_by(statement)
        if not names:
            self.found.unreadable.append(self._place(method))
        while names - self.sayers:
            self.sayers |= names
            loops = [node for node in ast.walk(self.tree) if isinstance(node, ast.For | ast.comprehension)]
            names = {
                name for loop in loops if _mentions(loop.iter, self.sayers) for name in _names(loop.target)
            }  # fmt: skip

    def _beside(self, method: ast.AST) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Tuple | ast.List) and method in node.elts:
                yield from (plain(text) for text in map(_text, node.elts) if text)

    def _statement_of(self, method: ast.AST) -> ast.AST:
        statements = [node for node in ast.walk(self.tree) if isinstance(node, ast.stmt) and _contains(node, method)]
        return statements[-1]  # the innermost comes last, level by level

    def _place(self, node: ast.AST) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 0)}"


def _is_logger(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return bool(LOGGER.match(name))


def _is_error_method(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ERRORS and _is_logger(node.value)


def _is_log_method(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "log" and _is_logger(node.value)


def _is_error_level(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("ERROR", "CRITICAL", "FATAL") and _is_logger(node.value)


def _is_below(level: ast.expr) -> bool:
    """A lower level by its name, or a choice of such."""
    if isinstance(level, ast.IfExp):
        return _is_below(level.body) and _is_below(level.orelse)
    return isinstance(level, ast.Attribute) and level.attr in LEVELS_BELOW


def _text(node: ast.AST) -> str | None:
    """A string, or an f-string with `…` for what it fills in; None for what is no string here."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


def _contains(node: ast.AST, wanted: ast.AST) -> bool:
    return any(child is wanted for child in ast.walk(node))


def _names(node: ast.AST) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def _mentions(node: ast.AST, names: set[str]) -> bool:
    return bool(_names(node) & names)


def _names_bound_by(statement: ast.AST) -> set[str]:
    if isinstance(statement, ast.Assign):
        return {name for target in statement.targets for name in _names(target)}
    return _names(statement.target) if isinstance(statement, ast.AnnAssign) else set()
