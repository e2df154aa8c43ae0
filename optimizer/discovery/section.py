"""The section of the configuration that makes a group a task: how its requests are told from all others.

A pattern is literal text that the group's instructions share, anchored where they begin or where a line of them begins
if that is possible, and checked on every request that was seen. Writes no file.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from gateway.domain import Value
from optimizer.discovery.groups import Group

_SHORTEST, _READABLE = 6, 24
"""Words of a pattern, where there are so many: fewer may occur by chance, more are hard to read."""
_ENOUGH = 0.95
"""Share of a group's requests that a pattern must find."""
_LINES = 40
"""Lines of a text that are tried."""
_ANSWER_WORDS = 3
"""A reply of so many words is compared as it is."""

KINDS = ("exact", "numeric", "regex", "json_schema", "tool_call", "python_tests", "judge")
"""Graders that need no further setting."""


class Sign(Value, frozen=True):
    """What a group's requests are recognised by; nothing, if they are told apart by neither model nor instructions."""

    model: str | None = None
    system_prompt: str | None = None
    found: int = 0
    """How many of the group's requests it finds. It finds none of the others that were seen."""


def sign(group: Group, others: Sequence[Group]) -> Sign:
    """The shortest sign that finds nearly all of the group and none of the others."""
    models = list(group.models)
    model = models[0] if len(models) == 1 else None
    rivals = [
        (exchange, shape)
        for other in others
        for exchange, shape in other.members
        if model is None or exchange.client_model == model
    ]
    if model is not None and not rivals and not group.instructed:
        return Sign(model=model, found=len(group.members))
    if group.instructed:
        own = Counter(shape.system for _, shape in group.members)
        strange = {shape.system for _, shape in rivals}
        for pattern in _patterns(list(own), group):
            search = re.compile(pattern).search
            found = sum(count for text, count in own.items() if search(text))
            if found >= _ENOUGH * own.total() and not any(search(text) for text in strange):
                return Sign(model=model, system_prompt=pattern, found=found)
        if model is not None and not rivals:
            return Sign(model=model, found=len(group.members))
    return Sign()


def _patterns(texts: Sequence[str], group: Group) -> Iterator[str]:
    """Patterns to try, the best first: how the texts begin, how a line of them begins, all of them, a part of them."""
    prefix = _beginning(texts)
    runs = [r"\s+".join(map(_literal, run)) for run in sorted(group.template, key=len, reverse=True)]
    if len(texts) > 1 and len(prefix.split()) < _SHORTEST:
        # Too little to begin with: what stands further on has to follow.
        yield from (rf"\A{_literal(prefix)}[\s\S]*?{run}" for run in runs[:3])
    yield from _longer(prefix, r"\A", _READABLE)
    for line in texts[0].splitlines()[:_LINES]:
        yield from _longer(line, "(?m)^", _READABLE)
    yield from _longer(prefix, r"\A", len(prefix))
    if len(texts) == 1:
        yield rf"\A{_literal(texts[0])}\Z"
    yield from runs[:3]


def _beginning(texts: Sequence[str]) -> str:
    """The whole words with which all texts begin."""
    first, last = min(texts), max(texts)
    if first == last:
        return first
    differ = next(
        (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
    )
    return first[: differ - len(re.split(r"\s", first[:differ])[-1])]


def _longer(text: str, anchor: str, most: int) -> Iterator[str]:
    """The first words of a text, more and more of them."""
    ends = [word.end() for word in re.finditer(r"\S+", text)]
    length = min(len(ends), _SHORTEST)
    while ends and length <= most:
        yield anchor + _literal(text[: ends[length - 1]])
        if length == len(ends):
            return
        length = min(len(ends), length + max(2, length // 2))


def _literal(text: str) -> str:
    """A text as a pattern that people can read: only what has a meaning in patterns is escaped."""
    escaped = re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)
    return re.sub(r"\s{2,}|[^\S ]", r"\\s+", escaped)


def grader_for(group: Group) -> str:
    """The kind of grader that fits how the group is answered."""
    if group.tools:
        return "tool_call"
    if any(shape.json for _, shape in group.members):
        return "json_schema"
    replies = [exchange.reply for exchange, _ in group.members if exchange.reply]
    if replies and all(re.fullmatch(r"\s*[-+$]?[\d.,]+\s*%?\s*", reply) for reply in replies):
        return "numeric"
    return "exact" if replies and all(len(reply.split()) <= _ANSWER_WORDS for reply in replies) else "judge"


def section(name: str, found: Sign, *, weak: str, strong: str, serve: str, grader: str) -> str:
    """The section as TOML."""
    match = {"model": found.model, "system_prompt": found.system_prompt}
    given = ", ".join(f"{key} = {_toml(value)}" for key, value in match.items() if value is not None)
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
    lines = [
        f"[tasks.{key}]",
        *([f"match = {{ {given} }}"] if given else []),
        f"weak = {_toml(weak)}",
        f"strong = {_toml(strong)}",
        f"serve = {_toml(serve)}",
        f"grader = {{ kind = {_toml(grader)} }}",
    ]
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    """A string in TOML: as it is between single quotes, if that can be, so that a pattern stays readable."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    # JSON's escapes are TOML's as well; what only TOML wants escaped is a delete.
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
