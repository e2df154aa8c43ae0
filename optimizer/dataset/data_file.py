"""Examples from a data file: JSON lines with ``input`` or ``messages``, and ``expected``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.errors import PreceptorError
from gateway.settings import Grader
from optimizer.dataset.clusters import with_clusters
from optimizer.dataset.items import BadData, Examples, Item, item_of, parse_object, reconciled
from optimizer.dataset.recorded_request import digest
from optimizer.grading.graders import grader_for

_QUESTION = (
    "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format",
)  # fmt: skip
"""Keys of an example that belong to its question."""

Parsed = TypeVar("Parsed")


def load_examples(path: Path, section: Grader, *, labelled: bool = True) -> Examples:
    """Read the examples of a data file. Raises ``BadData`` for a file without a usable example.

    Examples without ``expected`` are usable unless they must be ``labelled`` (``evaluation.reference_answers``).
    """
    sources, complaints = read_lines(path, lambda line: example_of(line, section, labelled=labelled))
    items = reconciled(sources, complaints, section)
    if not items:
        why = f"; {complaints[0]}" if complaints else ""
        raise BadData(f'{path} holds no example that can be used: write {{"input": ..., "expected": ...}} lines{why}')
    return Examples(items=with_clusters(items), complaints=tuple(complaints))


def read_lines(path: Path, parse: Callable[[bytes], Parsed]) -> tuple[list[tuple[str, Parsed]], list[str]]:
    """Return the parsed lines of a data file, each after its place, and a complaint about every unusable line.

    Raises ``BadData`` for an unreadable file.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error
    parsed: list[tuple[str, Parsed]] = []
    complaints: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                parsed.append((f"line {number}", parse(line)))
            except PreceptorError as error:
                complaints.append(f"line {number}: {error}")
    return parsed, complaints


def example_of(line: bytes, section: Grader, *, labelled: bool = True) -> Item:
    """Return the item of a line. Raises ``BadData`` and, for an unusable ``expected``, ``Ungradable``."""
    body = parse_object(line)
    if labelled and "expected" not in body:
        raise BadData("'expected' is missing")
    text = body.get("input")
    if isinstance(text, str):
        body = {**body, "messages": [{"role": "user", "content": text}]}
    elif "messages" not in body:
        raise BadData("'input' (a text) or 'messages' is missing")
    item = item_of({name: body[name] for name in _QUESTION if name in body}, body.get("expected"))
    item = msgspec.structs.replace(
        item,
        cluster=_text(body, "cluster", "conversation_id") or "",
        tenant=digest("tenant", user) if (user := _text(body, "user")) else None,
        audit_rate=_audit_rate(body),
    )
    if "expected" not in body:
        return item
    grader_for(section).examine(item.expected)
    labelled_by = body.get("labelled_by", "")
    if not isinstance(labelled_by, str):
        raise BadData("'labelled_by' must be the name of the model whose answer 'expected' is")
    return msgspec.structs.replace(item, labelled_by=labelled_by, labellers=(labelled_by,) if labelled_by else ())


def _text(body: dict[str, Any], *names: str) -> str | None:
    """Return the first of the named texts. Raises ``BadData`` for another value under a name."""
    for name in names:
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise BadData(f"{name!r} must be a text")
        if value:
            return value
    return None


def _audit_rate(body: dict[str, Any]) -> float:
    """Return the line's own ``audit_rate``; 1.0 without any: a file counts as drawn before its outcomes were known."""
    rate = body.get("audit_rate", 1.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise BadData("'audit_rate' must be a number from 0 (chosen by its outcome) to 1 (whatever its outcome)")
    return float(rate)
