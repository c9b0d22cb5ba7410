"""What the program can say, read from its source: errors, log events, reasons, statuses."""

import ast
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Where a value stands in a sentence.
GAP = "\0"

_ERRORS = re.compile(r"(?:\w+Error|BadParameter|complain|say_why)$")

# What its caller catches, so that nobody reads it.
_CAUGHT = ("AssertionError", "NotFoundError", "TooOldError", "MovedError")

# A ValueError is read by people where a setting, an instant or a line of the feed is what was wrong.
_VALUES = ("sync/settings/values.py", "state/instants.py")

# Where the settings' mistakes are collected in lists, and raised together.
_MISTAKES = ("sync/settings/loading.py", "sync/settings/secrets.py")


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of sync/ and state/: its path in the project, and its syntax tree."""
    for room in ("sync", "state"):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr, node


def text_of(node: ast.expr) -> str | None:
    """A text as the source has it, a `GAP` for each value in it; None where it is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else GAP for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None and right is None else (left or GAP) + (right or GAP)
    return None


def sentences() -> dict[str, str]:
    """Every sentence that an error is, and where it stands."""
    found = {}
    for path, tree in sources():
        for name, call in _calls(tree):
            is_mistake = name == "append" and path in _MISTAKES
            if name in _CAUGHT or not (_ERRORS.match(name) or is_mistake):
                continue
            if name == "ValueError" and path not in _VALUES:
                continue
            for argument in call.args:
                text = text_of(argument)
                if text and len(text.replace(GAP, "")) > 8:
                    found[text] = path
        if path in _MISTAKES:
            found |= dict.fromkeys(_listed(tree), path)
    return found


def _listed(tree: ast.AST) -> Iterator[str]:
    """The sentences that stand in lists."""
    for node in ast.walk(tree):
        if isinstance(node, ast.List):
            yield from (text for text in map(text_of, node.elts) if text and text.endswith("."))


# Where reasons are made: of events, and of lines in quarantine.
_REASONS = (
    "sync/pipeline/look_up_step.py",
    "sync/pipeline/record.py",
    "sync/events/track.py",
    "sync/events/changes.py",
    "sync/gladly/events_api.py",
    "sync/gladly/event_lines.py",
    "sync/gladly/report.py",
    "sync/gladly/report_rows.py",
    "sync/segment/limits.py",
    "sync/cli/mending/forget.py",
)


def reasons() -> dict[str, str]:
    """Every reason that an event or a line in quarantine can have, but for what decoders say."""
    found = {}
    for path, tree in sources():
        for node in ast.walk(tree):
            for text in _reasons_in(node, path):
                if text and text.strip(GAP):
                    found[text] = path
    return found


def _reasons_in(node: ast.AST, path: str) -> Iterator[str | None]:
    if path == "state/writer/recorded.py" and "reason = 'dismissed'" in str(getattr(node, "value", "")):
        yield "dismissed"
    is_of_the_outbox = path == "state/writer/outbox.py" and isinstance(node, ast.Constant)
    if is_of_the_outbox and "duplicate:" in str(node.value):
        yield re.sub(r".*'(may be .*?)'.*", r"\1", str(node.value))
    is_assigned = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "INTERRUPTED"
    if path == "state/writer/audits.py" and is_assigned:
        yield text_of(node.value)
    if path == "sync/audit/audit.py" and getattr(node, "name", "") == "_why_unproved":
        returned = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value]
        yield from (text for text in map(text_of, returned) if text and not text.startswith(GAP))
    if path not in _REASONS:
        return
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "reason":
        yield text_of(node.value)
    elif isinstance(node, ast.FunctionDef) and node.name == "too_large":
        yield from (text_of(n.value) for n in ast.walk(node) if isinstance(n, ast.Return) and n.value)
    elif isinstance(node, ast.Constant) and re.match("customer(?: was|'s profile)", str(node.value)):
        yield str(node.value)
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ValueError":
        for argument in node.args:
            texts = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
            yield from map(text_of, texts)
    elif isinstance(node, ast.keyword) and node.arg == "reason":
        yield text_of(node.value)
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_keep":
        yield from map(text_of, node.args[2:])


def logged(*levels: str) -> set[str]:
    """The names of log events of these levels."""
    names = set()
    ends: set[str] = set()
    templates: set[str] = set()
    for _, tree in sources():
        for name, call in _calls(tree):
            first = text_of(call.args[0]) if call.args else None
            if name == "EndHealth" and first:
                ends.add(first)
            is_warning = name == "warn" and "warning" in levels  # `Store.check_room` is given log.warning
            if first and (name in levels or is_warning):
                templates.add(first)
    for template in templates:
        if GAP in template:
            names |= {template.replace(GAP, end) for end in ends}
        elif re.fullmatch(r"[a-z]+(?:\.[a-z]+)+", template):
            names.add(template)
    return names


def values(kind: type[Enum]) -> set[str]:
    """The members of an enumeration as the state file has them."""
    return {member.value for member in kind}
