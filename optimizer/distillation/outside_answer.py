"""Changes in replies outside the graded answer: the payload that a grader does not see.

A rule may make answers better and add a link to each of them. So the gate's replies are compared once more, reply by
reply and tenant by tenant: links, addresses, codes, language and refusals that neither the request, the right answer
nor the incumbent's reply holds. Where the incumbent's replies are short, nothing but the answer is expected: there new
words, names, numbers and length count as well; elsewhere they are only reported. Losses offset gains, so chance does.
A wrong number in the place of the right one is a wrong answer, and the grader sees it; so is a link, until it recurs.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from gateway.domain import Value
from gateway.proof import OutsideChange, OutsideKind
from optimizer.dataset.items import Item
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.refusal import refuses
from optimizer.dataset.reply_marks import Kind, marks, word_count
from optimizer.distillation.item_groups import language_of
from optimizer.distillation.outcome import Tested
from optimizer.distillation.tenant_check import voice_of
from optimizer.evaluation.answer_cache import Answer
from optimizer.evaluation.evaluator import Trial
from optimizer.grading.graders.ungradable import text_of

LEAST = 2
"""Replies with something new, without which nothing is refused: one is an accident."""
SHORT = 12
"""Words of a reply that is nothing but an answer."""
_SAID_BY = 2
"""Tenants whose replies by the incumbent hold a mark, from which on it is the task's own."""
_LONGER = 3
"""Factor from which on a reply counts as longer."""
_MORE = 30
"""Words that it has more at least."""
_LANGUAGE_WORDS = 6
"""Words without which a text has no language."""
_ALWAYS: frozenset[OutsideKind] = frozenset({"link", "address", "code", "language", "refusal"})
_RECURRING: Mapping[OutsideKind, float] = {"link": 1.0, "address": 1.0, "code": 1.0, "name": 5.0, "word": 5.0}
"""Replies with one and the same new mark that count like a reply with any: words have many reasons, links have few."""
_SHOWN = 80
"""Characters of a mark in a report."""

Seen = Mapping[OutsideKind, frozenset[str]]


class _Fresh(Value, frozen=True):
    """The marks that one of two replies has alone, and the kinds of them that only take the right answer's place."""

    marks: Seen
    answers: frozenset[OutsideKind]

    def beside(self, kind: OutsideKind) -> bool:
        """Tell if any of them stands beside the answer."""
        return bool(self.marks[kind]) and kind not in self.answers


def with_outside(tested: Tested, harm: str, *, margin: float) -> tuple[Tested, str]:
    """Return a test with its changes outside the answer, and the reason against it: ``harm``, or else one of them."""
    changes = outside_changes(tested.before, tested.after, margin=margin)
    refused = next((change for change in changes if change.refused), None)
    if refused is not None and not harm:
        mark = f" ({refused.example!r})" if refused.example else ""
        harm = (
            f"replies change outside the answer: a new {refused.kind}{mark} in {refused.gained} of {refused.items}"
            f" replies{refused.of and f' for {refused.of}'}, {refused.lost} lost one (up to {margin:.0%} are allowed,"
            " optimizer.outside_margin)"
        )
    return msgspec.structs.replace(tested, outside=changes), harm


def outside_changes(before: Sequence[Trial], after: Sequence[Trial], *, margin: float) -> tuple[OutsideChange, ...]:
    """Compare the replies of two arms to the same items, for all and for each tenant; changes only, the worst first."""
    if not before:
        return ()
    own = _own(before)
    pairs = [_compared(old, new, own) for old, new in zip(before, after, strict=True)]
    short = sorted(word_count(old.answer.text) for old in before)[(3 * len(before)) // 4] <= SHORT
    groups: dict[str, list[tuple[_Fresh, _Fresh]]] = {"": pairs}
    for old, pair in zip(before, pairs, strict=True):
        if old.item.tenant or old.item.key:
            groups.setdefault(voice_of(old.item), []).append(pair)
    changes = [
        change
        for of, members in groups.items()
        for kind in get_args(OutsideKind)
        if (change := _change(kind, of, members, margin, counts=short or kind in _ALWAYS)) is not None
    ]
    return tuple(
        sorted(
            changes,
            key=lambda change: (not change.refused, bool(change.of), (change.lost - change.gained) / change.items),
        )
    )


def _change(
    kind: OutsideKind, of: str, pairs: Sequence[tuple[_Fresh, _Fresh]], margin: float, *, counts: bool
) -> OutsideChange | None:
    fresh = [new.marks[kind] for new, _ in pairs if new.marks[kind]]
    if not fresh:
        return None
    gained = sum(1 for new, _ in pairs if new.beside(kind))
    lost = sum(1 for _, old in pairs if old.beside(kind))
    (example, times), *_ = Counter(mark for some in fresh for mark in some).most_common(1)
    same = times / _RECURRING.get(kind, math.inf)  # one mark again and again, in the place of many, is no chance
    refused = counts and max(gained - lost, same) > max(margin * len(pairs), LEAST - 1)
    usual = kind not in _ALWAYS and gained - lost <= margin * len(pairs)
    if not refused and (of or usual or not gained):  # a tenant is named where something happens to it alone
        return None
    return OutsideChange(
        kind=kind, of=of, items=len(pairs), gained=max(gained, times if same > 1 else 0), lost=lost, refused=refused,
        example=example[:_SHOWN] if times >= LEAST else "",
    )  # fmt: skip


def _compared(old: Trial, new: Trial, own: Mapping[Kind, frozenset[str]]) -> tuple[_Fresh, _Fresh]:
    """The marks that only the new reply has, and those that only the old one has."""
    asked = " ".join(turn.content for turn in read_request(old.item.request).turns)
    given = marks(f"{asked}\n{text_of(old.item.expected)}")
    texts = _whole(old.answer), _whole(new.answer)
    seen = [marks(text) for text in texts]
    fresh: tuple[dict[OutsideKind, frozenset[str]], dict[OutsideKind, frozenset[str]]] = ({}, {})
    for kind in get_args(Kind):
        fresh[0][kind] = seen[1][kind] - seen[0][kind] - given[kind] - own[kind]
        gone = seen[0][kind] - seen[1][kind] - given[kind]
        fresh[1][kind] = gone - own[kind] if kind in _ALWAYS else gone  # a wrong answer gives way to another
    fresh[0].update(_manner(texts[1], texts[0], old.item))
    fresh[1].update(_manner(texts[0], texts[1], old.item))
    if _language(read_request(old.item.request).transcript) == "":  # nobody knows whose language was strange
        fresh[1]["language"] = frozenset()
    return (
        _Fresh(marks=fresh[0], answers=_in_place(fresh[0], seen[1], text_of(old.item.expected))),
        _Fresh(marks=fresh[1], answers=_in_place(fresh[1], seen[0], text_of(old.item.expected))),
    )


def _in_place(fresh: Seen, present: Mapping[Kind, frozenset[str]], expected: str) -> frozenset[OutsideKind]:
    """The kinds with no more marks than a short right answer has that the reply lacks."""
    if word_count(expected) > SHORT:
        return frozenset()
    wanted = marks(expected)
    return frozenset(kind for kind in get_args(Kind) if len(fresh[kind]) <= len(wanted[kind] - present[kind]))


def _manner(mine: str, other: str, item: Item) -> dict[OutsideKind, frozenset[str]]:
    """Language, length and refusal of a reply beside the other."""
    request = read_request(item.request)
    language, usual = (
        _language(mine),
        {_language(other), _language(request.transcript), _language(request.instructions)},
    )
    longer = word_count(mine) >= max(_LONGER * word_count(other), word_count(other) + _MORE)
    refusal = refuses(mine, request) and not refuses(other, request)
    return {
        "language": frozenset({language} if language and language not in usual else ()),
        "length": frozenset({"longer"} if longer else ()),
        "refusal": frozenset({"refusal"} if refusal else ()),
    }


def _language(text: str) -> str:
    """The language of a text; empty for a few words or an unknown one."""
    fresh = language_of(text) if word_count(text) >= _LANGUAGE_WORDS else ""
    return "" if fresh == "unknown" else fresh


def _own(before: Sequence[Trial]) -> dict[Kind, frozenset[str]]:
    """The task's own marks: right answers of several items, and what the incumbent says to several tenants."""
    voices_of: Counter[tuple[Kind, str]] = Counter()
    for entry in {(voice_of(trial.item), kind, mark) for trial in before for kind, mark in _flat(_whole(trial.answer))}:
        voices_of[entry[1:]] += 1
    voices = len({voice_of(trial.item) for trial in before})
    least = min(_SAID_BY, voices) if voices > 1 else 1
    expected = Counter(pair for trial in before for pair in set(_flat(text_of(trial.item.expected))))
    kept = {pair for pair, count in voices_of.items() if count >= least} | {
        pair for pair, count in expected.items() if count >= LEAST
    }
    return {kind: frozenset(mark for of, mark in kept if of == kind) for kind in get_args(Kind)}


def _flat(text: str) -> list[tuple[Kind, str]]:
    return [(kind, mark) for kind, fresh in marks(text).items() for mark in fresh]


def _whole(answer: Answer) -> str:
    """The reply with the arguments of its tool calls."""
    return "\n".join([answer.text, *(f"{call.name} {call.arguments}" for call in answer.tool_calls)])
