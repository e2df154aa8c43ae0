"""The parts of a version (room, rules, examples, worksheet) tried together and one by one on the selection items.

A part stays if the whole is better with it, and changes nothing outside the graded answer. Its effect is the whole
against the whole without that part, on the same items, so that a report can say which part helped. Ranks only, like the
race.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from gateway.domain import Effect, Rule, RuleSet
from gateway.teaching import Decide, Example, Worksheet
from optimizer.distillation import rule_records as records
from optimizer.distillation.selection.ablation import MIN_ITEMS
from optimizer.distillation.selection.race import CandidateRace, Selected
from optimizer.evaluation.candidate_score import CandidateScore, paired_outcomes

Part = Literal["room", "rules", "examples", "worksheet"]
PARTS: tuple[Part, ...] = ("room", "rules", "examples", "worksheet")
_IN_WORDS: Mapping[Part, str] = {"examples": "examples", "worksheet": "a worksheet"}


def parts_of(rule_set: RuleSet) -> tuple[Part, ...]:
    """Return the parts that a rule set has."""
    present: dict[Part, bool] = {
        "room": rule_set.scratchpad != "none",
        "rules": bool(rule_set.rules),
        "examples": bool(rule_set.examples),
        "worksheet": rule_set.worksheet is not None,
    }
    return tuple(part for part in PARTS if present[part])


def without(rule_set: RuleSet, part: Part, pinned: Collection[Rule] = ()) -> RuleSet:
    """Return a rule set without one of its parts; ``pinned`` rules stay."""
    empty: Mapping[Part, dict[str, object]] = {
        "room": {"scratchpad": "none"},
        "rules": {"rules": tuple(rule for rule in rule_set.rules if rule in pinned)},
        "examples": {"examples": ()},
        "worksheet": {"worksheet": None},
    }
    return msgspec.structs.replace(rule_set, **empty[part])


async def with_examples(
    selection: CandidateRace,
    selected: Selected | None,
    incumbent: RuleSet | None,
    examples: tuple[Example, ...],
    *,
    nearest: int | None = None,
) -> Selected:
    """Try examples alone and behind the best rules so far, the ``nearest`` to a question; return the best of all.

    Raises the errors of ``CandidateRace.race``.
    """
    shown = {"examples": examples} | ({} if nearest is None else {"nearest": nearest})
    base = msgspec.structs.replace(selection.candidate("none", ()), **shown)
    return await _best(selection, selected, incumbent, [base, *_added(selected, **shown)])


async def with_worksheet(
    selection: CandidateRace,
    selected: Selected | None,
    incumbent: RuleSet | None,
    worksheet: Worksheet,
    *,
    answering: bool = False,
) -> Selected:
    """Try a worksheet alone, and beside the best examples so far; return the best of all.

    With ``answering`` it is tried twice: the decision is told to the model, and the decision is the reply.
    """
    ways: tuple[Decide, ...] = ("state", "answer") if answering else ("state",)
    candidates: list[RuleSet] = []
    for way in ways:
        sheet = msgspec.structs.replace(worksheet, decide=way)
        candidates.append(msgspec.structs.replace(selection.candidate("none", ()), worksheet=sheet))
        candidates += [
            msgspec.structs.replace(candidate, rules=selection.pinned, scratchpad="none")
            for candidate in _added(selected, worksheet=sheet)
            if candidate.examples
        ]
    return await _best(selection, selected, incumbent, candidates)


async def lean(selection: CandidateRace, best: CandidateScore) -> tuple[CandidateScore, dict[str, Effect]]:
    """Leave out the parts that bring nothing; return what is left, with the effect of each of its parts.

    A part brings nothing if without it no fewer replies are right and, at a tie, no more tokens are used. The race
    drops candidates on six items, so the whole may win it with a part that harms. On fewer than ``MIN_ITEMS`` items
    every part stays, and so does the last one that was learnt: a form without rules was not.
    """
    while True:
        wholes = {part: without(best.rule_set, part, selection.pinned) for part in parts_of(best.rule_set)}
        changed = {part: rest for part, rest in wholes.items() if rest != best.rule_set}
        rests = list(zip(changed, await selection.run_each([*changed.values()]), strict=True))
        spared = [
            rest
            for part, rest in rests
            if {*parts_of(rest.rule_set)} - {"room"} and not selection.unclean(rest) and _worth(rest) >= _worth(best)
        ]
        if not spared or len(best.trials) < MIN_ITEMS:
            return best, {part: _effect(best, rest) for part, rest in rests}
        best = max(spared, key=_worth)


def nothing_helped(selected: Selected, *, no_rules: bool = False) -> str:
    """Return the sentence for a search without a gain: everything that was tried, and what it got right."""
    n = len(selected.best.trials)
    scores = f"the best candidate got {selected.best.mean:.0%}, the incumbent {selected.incumbent.mean:.0%}"
    tried = {part for score in (selected.best, *selected.others) for part in parts_of(score.rule_set)}
    rest = [words for part, words in _IN_WORDS.items() if part in tried]
    if not rest:
        return f"no rules helped: on {n} selection items {scores}"
    *first, last = rest if no_rules else ["rules", *rest]
    named = f"{', '.join(first)} and {last}" if first else last
    return (
        f"nothing {'else ' if no_rules else ''}helped: tried were {named}, and on {n} selection items {scores};"
        " this model may be too small for the task"
    )


def _worth(score: CandidateScore) -> tuple[float, float]:
    return score.mean, -score.tokens


def _effect(best: CandidateScore, rest: CandidateScore) -> Effect:
    return records.effect(paired_outcomes(rest.trials, best.trials), tokens=best.tokens - rest.tokens, alone=False)


def _added(selected: Selected | None, **part: object) -> list[RuleSet]:
    return [] if selected is None else [msgspec.structs.replace(selected.best.rule_set, **part)]


async def _best(
    selection: CandidateRace, selected: Selected | None, incumbent: RuleSet | None, candidates: list[RuleSet]
) -> Selected:
    """The best of the candidates and of the earlier choice, an earlier choice at a tie; near ones get more items."""
    await selection.baseline(incumbent)
    first, *others = await selection.race(candidates, first=MIN_ITEMS, finalists=2)
    for other in others:
        first = await selection.better(first, other)
    best = first if selected is None else await selection.better(selected.best, first)
    return selection.chosen(best, await selection.baseline(incumbent), selected.effects if selected is not None else {})
