"""One list out of the proposals of all groups: repeated rules become one, opposites are kept apart.

Rules are compared word by word; nothing is understood. Two rules are repetitions if their words are equal and in equal
order: "If it is about a refund, answer refund" and a sentence like it about delivery are two rules. Opposites differ in
a negation or in a turned word ("before", "after") and in nothing else; they never stand in one candidate, and the race
decides.
"""

import re
from collections.abc import Sequence

from gateway.domain import Rule, Value

_NEGATIONS = frozenset(
    ("not", "no", "never", "neither", "nor", "without", "avoid", "cannot", "can't", "don't", "doesn't", "mustn't",
     "shouldn't", "won't", "refrain")
)  # fmt: skip
_FILLERS = frozenset(
    ("do", "does", "always", "ever", "please", "the", "a", "an", "of", "to", "in", "on", "and", "or", "is", "are", "it")
)
"""Words common to all rules, or moved by a negation: they say nothing about opposites."""
_OPPOSITES = (
    ("before", "after"), ("first", "last"), ("up", "down"), ("more", "less"), ("more", "fewer"), ("short", "long"),
    ("include", "omit"), ("include", "exclude"), ("uppercase", "lowercase"), ("maximum", "minimum"),
)  # fmt: skip
_FIRST_OF_PAIR = {word: pair[0] for pair in _OPPOSITES for word in pair}
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")


class Merged(Value, frozen=True):
    """A rule, the groups behind it, and its other wordings."""

    rule: Rule
    groups: tuple[int, ...]
    same: tuple[Rule, ...] = ()


class Merger(Value, frozen=True):
    """The merged rules, best supported first, and the proposals already in the incumbent."""

    rules: tuple[Merged, ...]
    known: tuple[Rule, ...]


def merged(proposals: Sequence[Sequence[Rule]], existing: Sequence[Rule] = ()) -> Merger:
    """Merge the proposals of every group: shared proposals first, then every group's first, second, ..."""
    by_turn = sorted(
        ((turn, group, rule) for group, rules in enumerate(proposals) for turn, rule in enumerate(rules)),
        key=lambda entry: entry[:2],
    )
    chosen: list[Merged] = []
    known: dict[str, Rule] = {}
    for _, group, rule in by_turn:
        if any(alike(rule, old) for old in existing):
            known.setdefault(rule.id, rule)
            continue
        place = next((index for index, entry in enumerate(chosen) if alike(rule, entry.rule)), None)
        if place is None:
            chosen.append(Merged(rule=rule, groups=(group,)))
        else:
            chosen[place] = _joined(chosen[place], rule, group)
    return Merger(rules=tuple(sorted(chosen, key=lambda entry: -len(entry.groups))), known=tuple(known.values()))


def compatible(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules in their order, each without an earlier opposite."""
    kept: list[Rule] = []
    for rule in rules:
        if not any(opposite(rule, other) for other in kept):
            kept.append(rule)
    return tuple(kept)


def alike(rule: Rule, other: Rule) -> bool:
    """Tell if two rules are equal word by word, fillers aside, under the same condition."""
    return rule.when == other.when and _telling_words(rule) == _telling_words(other)


def opposite(rule: Rule, other: Rule) -> bool:
    """Tell if two rules differ in a negation, or in a word and its opposite, and in nothing else."""
    words, others = _telling_words(rule), _telling_words(other)
    if words == others or rule.when != other.when:
        return False
    return _core(words) == _core(others) and _turns(words) != _turns(others)


def likeness(rule: Rule, other: Rule) -> float:
    """The share of words that two rules have in common, from 0 to 1."""
    words, others = set(_telling_words(rule)), set(_telling_words(other))
    return len(words & others) / max(1, len(words | others))


def _telling_words(rule: Rule) -> tuple[str, ...]:
    return tuple(word for word in _words(rule) if word not in _FILLERS)


def _core(words: Sequence[str]) -> tuple[str, ...]:
    """The words without negations, and with the first word of a pair of opposites for either."""
    return tuple(_FIRST_OF_PAIR.get(word, word) for word in words if word not in _NEGATIONS)


def _turns(words: Sequence[str]) -> tuple[bool, tuple[str, ...]]:
    """The presence of a negation, and the words with an opposite."""
    return bool(_NEGATIONS & set(words)), tuple(word for word in words if word in _FIRST_OF_PAIR)


def _joined(entry: Merged, rule: Rule, group: int) -> Merged:
    groups = entry.groups if group in entry.groups else (*entry.groups, group)
    repeated = rule.id in {entry.rule.id, *(other.id for other in entry.same)}
    return Merged(rule=entry.rule, groups=groups, same=entry.same if repeated else (*entry.same, rule))


def _words(rule: Rule) -> list[str]:
    return _WORD.findall(rule.text.casefold().replace("\u2019", "'"))
