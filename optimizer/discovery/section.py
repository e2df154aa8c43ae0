"""Write the section of the configuration for a group: a task, with a sign for its requests and no others.

A pattern is literal text shared by the group's instructions. It is anchored at their beginning or at the beginning of
a line if possible, and checked on every request in the log. Writes no file.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from gateway.domain import Value
from optimizer.discovery.groups import Group
from optimizer.discovery.unspaced import gap, is_unspaced, joined, word_ends

_SHORTEST, _READABLE = 6, 24
"""Words of a pattern, if the text has so many: fewer may occur by chance, more are hard to read."""
_ENOUGH = 0.95
"""Share of a group's requests that a pattern must match."""
_LINES = 40
"""Lines of a text that are tried."""
_RUNS = 3
"""Runs of the template that are tried, the longest."""
_ANSWER_WORDS = 3
"""Most words of a short answer, which is compared as it is."""

KINDS = ("exact", "numeric", "regex", "json_schema", "tool_call", "python_tests", "judge")
"""Graders that need no further setting."""


class Sign(Value, frozen=True):
    """The sign of a group's requests. Empty if neither model nor instructions separate them from others."""

    model: str | None = None
    system_prompt: str | None = None
    matches: int = 0
    """Matched requests of the group. No other request in the log matches."""


def sign(group: Group, others: Sequence[Group]) -> Sign:
    """Return the shortest sign that matches nearly all of the group and none of the others."""
    models = list(group.models)
    model = models[0] if len(models) == 1 else None
    rivals = [
        (exchange, shape)
        for other in others
        for exchange, shape in other.members
        if model is None or exchange.client_model == model
    ]
    if model is not None and not rivals and not group.instructed:
        return Sign(model=model, matches=len(group.members))
    if group.instructed:
        own = Counter(shape.system for _, shape in group.members)
        strange = {shape.system for _, shape in rivals}
        for pattern in _patterns(list(own), group):
            search = re.compile(pattern).search
            matches = sum(count for text, count in own.items() if search(text))
            if matches >= _ENOUGH * own.total() and not any(search(text) for text in strange):
                return Sign(model=model, system_prompt=pattern, matches=matches)
        if model is not None and not rivals:
            return Sign(model=model, matches=len(group.members))
    return Sign()


def _patterns(texts: Sequence[str], group: Group) -> Iterator[str]:
    """Yield patterns to try, the best first: the texts' beginning, a line's beginning, a whole text, a part."""
    prefix = _beginning(texts)
    longest = sorted(group.template, key=len, reverse=True)[:_RUNS]
    runs = [pattern for run in longest for pattern in dict.fromkeys((_literal(joined(run)), _run(run)))]
    if len(texts) > 1 and len(word_ends(prefix)) < _SHORTEST:
        # Too little to begin with: a run from further on has to follow.
        yield from (rf"\A{_literal(prefix)}[\s\S]*?{run}" for run in runs)
    yield from _longer(prefix, r"\A", _READABLE)
    for line in texts[0].splitlines()[:_LINES]:
        yield from _longer(line, "(?m)^", _READABLE)
    yield from _longer(prefix, r"\A", len(prefix))
    if len(texts) == 1:
        yield rf"\A{_literal(texts[0])}\Z"
    yield from runs


def _beginning(texts: Sequence[str]) -> str:
    """Return the whole words with which all texts begin."""
    first, last = min(texts), max(texts)
    if first == last:
        return first
    differ = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    same = first[:differ]
    return same if is_unspaced(same[-1:]) else same[: max((end for end in word_ends(same) if end < differ), default=0)]


def _run(words: Sequence[str]) -> str:
    """Return a pattern for neighbouring words: any white space between them, or none in scripts without spaces."""
    gaps = [r"\s+" if gap(left, right) else r"\s*" for left, right in pairwise(words)]
    return "".join(itertools.chain.from_iterable(zip(map(_literal, words), [*gaps, ""], strict=True)))


def _longer(text: str, anchor: str, most: int) -> Iterator[str]:
    """Yield patterns from the first words of a text, more and more of them."""
    ends = word_ends(text)
    length = min(len(ends), _SHORTEST)
    while ends and length <= most:
        yield anchor + _literal(text[: ends[length - 1]])
        if length == len(ends):
            return
        length = min(len(ends), length + max(2, length // 2))


def _literal(text: str) -> str:
    """Return a text as a pattern that people can read: only characters with a meaning in patterns are escaped."""
    escaped = re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)
    return re.sub(r"\s{2,}|[^\S ]", r"\\s+", escaped)


def grader_for(group: Group) -> str:
    """Return the kind of grader for the group's replies."""
    if group.tools or group.varying_tools:
        return "tool_call"
    if any(shape.json for _, shape in group.members):
        return "json_schema"
    replies = [exchange.reply for exchange, _ in group.members if exchange.reply]
    if replies and all(re.fullmatch(r"[-+$]?[\d.,]+\s*%?", reply.strip()) for reply in replies):
        return "numeric"
    return "exact" if replies and all(len(word_ends(reply)) <= _ANSWER_WORDS for reply in replies) else "judge"


def section(name: str, match_by: Sign, *, weak: str, strong: str, serve: str, grader: str) -> str:
    """Return the section as TOML."""
    match = {"model": match_by.model, "system_prompt": match_by.system_prompt}
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
    """Return a TOML string: between single quotes if possible, so that a pattern stays readable."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    # JSON's escapes are TOML's as well; TOML escapes the delete character in addition.
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
