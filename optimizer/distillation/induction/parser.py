"""Rules out of a strong model's reply: from its JSON, or else from its numbered or bulleted lines.

A small model as its own teacher writes broken JSON more often than not. Prose without a list yields nothing: guessing
at rules in it would put noise into prompts. Does not judge the rules.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from gateway.domain import Rule

MOST = 20
"""Rules taken from one reply; a looping model writes hundreds."""

_BRACKETS_TRIED = 50
"""Brackets without JSON behind them, after so many of which the rest is taken for prose."""
_TEXT_KEYS = ("rule", "text", "instruction", "concept", "guideline")
_REASON_KEYS = ("reason", "why", "explanation", "rationale")
_LINE = re.compile(
    r"^[^\S\n]*(?:(?:rule\s*)?\d{1,3}\s*[.):]|[-*\u2022])\s+(?P<text>\S.*)$", re.IGNORECASE | re.MULTILINE
)
_QUOTED = re.compile(r'"(?:rule|text)"\s*:\s*"(?P<text>(?:[^"\\]|\\.)+)"')
_PREFIX = re.compile(
    r"^(?:rule\s*\d*\s*:\s*)?(?:the (?:small(?:er)? )?model (?:should|must) (?:be able to )?)?", re.IGNORECASE
)
"""Words about the model, cut off: a rule speaks to the model."""
_DECORATION = "*_`\"'\u201c\u201d "


def rules_in(reply: str) -> list[Rule]:
    """The rules in a reply, in order, without repeats; at most ``MOST``."""
    rules = list(_from_json(reply)) or _from_broken_json(reply) or _from_lines(reply)
    unique: dict[str, Rule] = {}
    for rule in rules:
        if rule.text:
            unique.setdefault(rule.text.casefold(), rule)
    return list(unique.values())[:MOST]


def _from_json(reply: str) -> Iterable[Rule]:
    decoder = json.JSONDecoder()
    position, failures = 0, 0
    while failures < _BRACKETS_TRIED and (start := _next_bracket(reply, position)) is not None:
        try:
            value, position = decoder.raw_decode(reply, start)
        except (ValueError, RecursionError):
            position, failures = start + 1, failures + 1
        else:
            yield from _from_value(value)


def _next_bracket(reply: str, position: int) -> int | None:
    brackets = [index for index in (reply.find("[", position), reply.find("{", position)) if index >= 0]
    return min(brackets, default=None)


def _from_value(value: Any) -> Iterable[Rule]:
    """Rules in a decoded value: texts in a list, objects with a rule in them, or an object around such a list."""
    if isinstance(value, list):
        for part in value:
            if isinstance(part, str):
                yield _rule(part)
            else:
                yield from _from_value(part)
    elif isinstance(value, dict):
        keys = {str(key).casefold(): part for key, part in value.items()}
        text = next((keys[key] for key in _TEXT_KEYS if isinstance(keys.get(key), str)), None)
        reason = next((keys[key] for key in _REASON_KEYS if isinstance(keys.get(key), str)), "")
        if text is not None:
            when = keys.get("when")
            yield _rule(text, reason, when if isinstance(when, str) else "")
        else:
            for part in keys.values():
                if isinstance(part, list | dict):
                    yield from _from_value(part)


def _from_broken_json(reply: str) -> list[Rule]:
    """Rules in cut-off JSON, or in JSON with a comma too many."""
    texts = (match["text"].replace('\\"', '"').replace("\\n", " ") for match in _QUOTED.finditer(reply))
    return [_rule(text) for text in texts]


def _from_lines(reply: str) -> list[Rule]:
    return [_rule(match["text"]) for match in _LINE.finditer(reply)]


def _rule(text: str, reason: str = "", when: str = "") -> Rule:
    text, reason = (written.encode("utf-8", "replace").decode() for written in (text, reason))  # halves of an emoji
    plain = _PREFIX.sub("", " ".join(text.split()).strip(_DECORATION)).replace("**", "").strip(_DECORATION)
    return Rule(text=plain[:1].upper() + plain[1:], reason=" ".join(reason.split()), when=" ".join(when.split()))
