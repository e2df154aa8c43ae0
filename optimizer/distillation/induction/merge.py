"""One list out of the proposals of all groups: near-duplicates become one rule, opposites are kept apart.

Words are compared, nothing is understood: two rules with most of their words in common say the same, unless one of
them is negated or turns a word round ("before", "after"). The better of two opposites is not decided here: opposites
never stand in one candidate, and the race decides between them. Ablation drops a rule that spoils a larger set.
"""

import re
from collections.abc import Sequence

from gateway.domain import Rule, Value

SAME_RULE = 0.75
"""The least share of common words, fillers aside, of two rules that say the same. "Double the second number before you
add it" and "Halve ..." share 0.71: to merge them would lose a rule; two duplicates only cost another candidate."""
SAME_MATTER = 0.6
"""The least share of common words of two rules about the same matter: they may be opposites."""
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
    """Tell if two rules say the same in nearly the same words."""
    return not opposite(rule, other) and _shared(_words(rule) - _FILLERS, _words(other) - _FILLERS) >= SAME_RULE


def opposite(rule: Rule, other: Rule) -> bool:
    """Tell if one rule demands the thing forbidden by the other, or turns one of its words round."""
    words, others = _words(rule), _words(other)
    negated = bool(words & _NEGATIONS) != bool(others & _NEGATIONS)
    turned = _turned(words, others)
    plain = [side - _NEGATIONS - _FILLERS - turned for side in (words, others)]
    return (negated or bool(turned)) and _shared(*plain) >= SAME_MATTER


def _turned(words: set[str], others: set[str]) -> set[str]:
    """The words of those pairs of opposites split between the two rules."""
    return {
        word
        for pair in _OPPOSITES
        if {tuple(word in side for word in pair) for side in (words, others)} == {(True, False), (False, True)}
        for word in pair
    }


def _joined(entry: Merged, rule: Rule, group: int) -> Merged:
    groups = entry.groups if group in entry.groups else (*entry.groups, group)
    repeated = rule.id in {entry.rule.id, *(other.id for other in entry.same)}
    return Merged(rule=entry.rule, groups=groups, same=entry.same if repeated else (*entry.same, rule))


def _shared(words: set[str], others: set[str]) -> float:
    return len(words & others) / max(1, len(words | others))


def _words(rule: Rule) -> set[str]:
    return set(_WORD.findall(rule.text.casefold().replace("\u2019", "'")))
