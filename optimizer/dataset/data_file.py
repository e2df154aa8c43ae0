"""Examples from a data file in any format of ``data_formats``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.errors import PreceptorError
from gateway.settings import Grader
from optimizer.dataset.clusters import with_clusters
from optimizer.dataset.data_formats import example_in, records_in
from optimizer.dataset.items import BadData, Examples, Item, item_of, reconciled
from optimizer.dataset.recorded_request import digest
from optimizer.grading.graders import grader_for

QUESTION = (
    "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format",
    "temperature", "top_p", "seed", "max_tokens", "max_completion_tokens", "stop", "presence_penalty",
    "frequency_penalty", "logit_bias", "reasoning_effort", "verbosity",
)  # fmt: skip
"""Keys of an example that belong to its question; the sampling settings are sent as they stand."""

Parsed = TypeVar("Parsed")


def load_examples(path: Path, section: Grader, *, labelled: bool = True) -> Examples:
    """Read the examples of a data file. Raises ``BadData`` for a file without a usable example.

    Examples without ``expected`` are usable unless they must be ``labelled`` (``evaluation.reference_answers``).
    """
    sources, complaints = read_records(path, lambda record: example_of(record, section, labelled=labelled))
    items = reconciled(sources, complaints, section)
    if not items:
        why = f"; {complaints[0]}" if complaints else ""
        raise BadData(f'{path} holds no example that can be used: write {{"input": ..., "expected": ...}} lines{why}')
    return Examples(items=with_clusters(items), complaints=tuple(complaints))


def read_records(path: Path, parse: Callable[[bytes], Parsed]) -> tuple[list[tuple[str, Parsed]], list[str]]:
    """Return the parsed examples of a data file, each after its place, and a complaint about every unusable example.

    Raises ``BadData`` for an unreadable file.
    """
    try:
        records = list(records_in(path.read_bytes()))
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error
    parsed: list[tuple[str, Parsed]] = []
    complaints: list[str] = []
    for place, record in records:
        try:
            parsed.append((place, parse(record)))
        except PreceptorError as error:
            complaints.append(f"{place}: {error}")
    return parsed, complaints


def example_of(record: bytes, section: Grader, *, labelled: bool = True) -> Item:
    """Return the item of an example. Raises ``BadData`` and, for an unusable ``expected``, ``Ungradable``."""
    body = example_in(record)
    if labelled and "expected" not in body:
        raise BadData("'expected' is missing")
    item = item_of({name: body[name] for name in QUESTION if name in body}, body.get("expected"))
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
