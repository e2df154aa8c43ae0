"""One list out of what several groups of mistakes led to: near-duplicates become one rule, opposites are told apart.

Words are compared, nothing is understood: two rules that share most of their words say the same, unless one of them is
negated or turns a word round ("before", "after"). Which of two opposites is right, and which of two rules that clash in
other words, is not decided here: opposites never stand in one candidate, so that the race decides between them, and a
rule that spoils a larger set is left out there (``ablation``).
"""

import re
from collections.abc import Sequence

from gateway.domain import Rule, Value

SAME_RULE = 0.75
"""Share of common words, fillers aside, from which on two rules say the same. "Double the second number before you add
it" and "Halve ..." share 0.71: to merge them would lose one, where two that say the same cost a candidate more."""
SAME_MATTER = 0.6
"""Share of common words from which on two rules are about the same, and may be opposites."""
_NEGATIONS = frozenset(
    ("not", "no", "never", "neither", "nor", "without", "avoid", "cannot", "can't", "don't", "doesn't", "mustn't",
     "shouldn't", "won't", "refrain")
)  # fmt: skip
_FILLERS = frozenset(
    ("do", "does", "always", "ever", "please", "the", "a", "an", "of", "to", "in", "on", "and", "or", "is", "are", "it")
)
"""Words that a negation brings along or drives out, or that stand in every rule: of opposites they tell nothing."""
_OPPOSITES = (
    ("before", "after"), ("first", "last"), ("up", "down"), ("more", "less"), ("more", "fewer"), ("short", "long"),
    ("include", "omit"), ("include", "exclude"), ("uppercase", "lowercase"), ("maximum", "minimum"),
)  # fmt: skip
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")


class Merged(Value, frozen=True):
    """A rule, the groups that proposed it, and the other wordings that went up in it."""

    rule: Rule
    groups: tuple[int, ...]
    same: tuple[Rule, ...] = ()


class Merger(Value, frozen=True):
    """The merged rules, best supported first, and those that the incumbent has already."""

    rules: tuple[Merged, ...]
    known: tuple[Rule, ...]


def merged(proposals: Sequence[Sequence[Rule]], existing: Sequence[Rule] = ()) -> Merger:
    """Merge the proposals of every group: what several groups say first, then every group's first, second, ..."""
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
        place = next((index for index, one in enumerate(chosen) if alike(rule, one.rule)), None)
        if place is None:
            chosen.append(Merged(rule=rule, groups=(group,)))
        else:
            chosen[place] = _joined(chosen[place], rule, group)
    return Merger(rules=tuple(sorted(chosen, key=lambda one: -len(one.groups))), known=tuple(known.values()))


def compatible(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules in their order without those that say the opposite of an earlier one."""
    kept: list[Rule] = []
    for rule in rules:
        if not any(opposite(rule, other) for other in kept):
            kept.append(rule)
    return tuple(kept)


def alike(one: Rule, other: Rule) -> bool:
    """Whether two rules say the same, in nearly the same words."""
    return not opposite(one, other) and _shared(_words(one) - _FILLERS, _words(other) - _FILLERS) >= SAME_RULE


def opposite(one: Rule, other: Rule) -> bool:
    """Whether one rule says of the same thing what the other forbids, or turns one word of it round."""
    words, others = _words(one), _words(other)
    negated = bool(words & _NEGATIONS) != bool(others & _NEGATIONS)
    turned = _turned(words, others)
    plain = [found - _NEGATIONS - _FILLERS - turned for found in (words, others)]
    return (negated or bool(turned)) and _shared(*plain) >= SAME_MATTER


def _turned(words: set[str], others: set[str]) -> set[str]:
    """The pairs of opposites of which each rule has one side."""
    return {
        word
        for pair in _OPPOSITES
        if {tuple(word in found for word in pair) for found in (words, others)} == {(True, False), (False, True)}
        for word in pair
    }


def _joined(one: Merged, rule: Rule, group: int) -> Merged:
    groups = one.groups if group in one.groups else (*one.groups, group)
    repeated = rule.id in {one.rule.id, *(other.id for other in one.same)}
    return Merged(rule=one.rule, groups=groups, same=one.same if repeated else (*one.same, rule))


def _shared(words: set[str], others: set[str]) -> float:
    return len(words & others) / max(1, len(words | others))


def _words(rule: Rule) -> set[str]:
    return set(_WORD.findall(rule.text.casefold().replace("\u2019", "'")))
