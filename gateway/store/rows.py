"""Values as rows of the tables in ``schema``, and back. Does no I/O."""

import json
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from gateway.domain import Evidence, Exchange, Feedback, Rule, RuleSet, ToolCall, Usage, Value
from gateway.expected import excess
from gateway.teaching import Example, ExamplesMode, Worksheet


class RuleSetBody(Value, frozen=True):
    """The parts of a rule set without columns of their own, stored as one JSON text."""

    rules: tuple[Rule, ...]
    evidence: Evidence | None
    examples: tuple[Example, ...] = ()
    examples_mode: ExamplesMode = "nearest"
    nearest: int = 4
    worksheet: Worksheet | None = None


NO_CONTENT: Mapping[str, Any] = {
    "request": b"{}", "reply": None, "tool_calls": None, "error": None, "key": None, "ref": None, "tenant": None,
    "cluster": None,
}  # fmt: skip
"""The columns of an exchange whose content was deleted."""
_NESTED = ("usage", "tool_calls")
_tool_calls = msgspec.json.Decoder(tuple[ToolCall, ...])


def exchange_row(exchange: Exchange) -> dict[str, Any]:
    """Return an exchange as the columns of its table."""
    row = msgspec.structs.asdict(exchange)
    usage, calls = row.pop("usage"), row.pop("tool_calls")
    row["tool_calls"] = msgspec.json.encode(calls).decode() if calls else None
    return row | {"prompt_tokens": usage.prompt_tokens, "output_tokens": usage.output_tokens}


_PATHS = {"prompt_tokens": "usage.prompt_tokens", "output_tokens": "usage.output_tokens"}


def values_of(columns: Sequence[str]) -> Callable[[Exchange], tuple[Any, ...]]:
    """Return a function from an exchange to the values of columns, ``tool_calls`` last: ``exchange_row`` without names.

    It takes a fifth of the time, for every exchange that is recorded.
    """
    assert columns[-1] == "tool_calls"
    plain = attrgetter(*(_PATHS.get(name, name) for name in columns[:-1]))

    def values(exchange: Exchange) -> tuple[Any, ...]:
        calls = exchange.tool_calls
        return (*plain(exchange), msgspec.json.encode(calls).decode() if calls else None)

    return values


def exchange_of(row: Mapping[Any, Any]) -> Exchange:
    """Return the exchange of a row."""
    values = {name: row[name] for name in Exchange.__struct_fields__ if name not in _NESTED}
    return Exchange(
        **values,
        usage=Usage(prompt_tokens=row["prompt_tokens"], output_tokens=row["output_tokens"]),
        tool_calls=_tool_calls.decode(row["tool_calls"]) if row["tool_calls"] else (),
    )


def row_bytes(row: Mapping[Any, Any]) -> int:
    """Return the bytes and characters of a row's texts: about its memory."""
    return sum(len(value) for value in row.values() if isinstance(value, bytes | str))


def feedback_row(given: Feedback) -> dict[str, Any]:
    """Return feedback as columns; the exchange's own columns are added by the store."""
    return msgspec.structs.asdict(given) | {"expected": encode_expected(given.expected)}


def encode_expected(expected: Any) -> str | None:
    """Return an expected answer as JSON text, ``None`` for no answer: equal answers have equal texts."""
    return None if expected is None else msgspec.json.encode(expected).decode()


def feedback_of(row: Mapping[Any, Any]) -> Feedback:
    """Return the feedback of a joined row: its columns carry the prefix ``feedback_``."""
    values = {name: row[f"feedback_{name}"] for name in Feedback.__struct_fields__}
    return Feedback(**values | {"expected": decode_expected(values["expected"])})


def decode_expected(text: str | None) -> Any:
    """Return an expected answer from its JSON text. An answer out of bounds, of an earlier version, stays text."""
    if text is None:
        return None
    try:
        expected = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    return text if excess(expected) else expected


def stored_texts(expected: Any) -> list[str]:
    """Return the JSON texts that ``decode_expected`` reads as an expected answer."""
    texts = [encode_expected(expected) or "null"]
    if isinstance(expected, str) and decode_expected(expected) is expected:
        texts.append(expected)
    return texts


def json_texts(text: str) -> set[bytes]:
    """Return a string as JSON encoders write it: with its letters as they are, or with escapes."""
    return {msgspec.json.encode(text), json.dumps(text).encode()}


def rule_set_row(rule_set: RuleSet, version: int) -> dict[str, Any]:
    """Return a rule set as columns, under a version."""
    row = msgspec.structs.asdict(rule_set)
    body = RuleSetBody(**{name: row.pop(name) for name in RuleSetBody.__struct_fields__})
    return row | {"version": version, "hash": rule_set.hash, "body": msgspec.json.encode(body).decode()}


def rule_set_of(row: Mapping[Any, Any]) -> RuleSet:
    """Return the rule set of a row."""
    values = {name: row[name] for name in RuleSet.__struct_fields__ if name not in RuleSetBody.__struct_fields__}
    body = msgspec.json.decode(row["body"], type=RuleSetBody)
    return RuleSet(**values, **msgspec.structs.asdict(body))
