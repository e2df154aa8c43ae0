"""The parts of a version (room, rules, examples, worksheet) tried together and one by one on the selection items.

A part stays if the whole is better with it. Its effect is the whole against the whole without that part, on the same
items, so that a report can say which part helped. Ranks only, like the race.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from gateway.domain import Effect, RuleSet
from gateway.teaching import Example, Worksheet
from optimizer.distillation import rule_records as records
from optimizer.distillation.selection.race import CandidateRace, Selected
from optimizer.evaluation.candidate_score import CandidateScore, paired_outcomes

Part = Literal["room", "rules", "examples", "worksheet"]
PARTS: tuple[Part, ...] = ("room", "rules", "examples", "worksheet")


def parts_of(rule_set: RuleSet) -> tuple[Part, ...]:
    """Return the parts that a rule set has."""
    present: dict[Part, bool] = {
        "room": rule_set.scratchpad != "none",
        "rules": bool(rule_set.rules),
        "examples": bool(rule_set.examples),
        "worksheet": rule_set.worksheet is not None,
    }
    return tuple(part for part in PARTS if present[part])


def without(rule_set: RuleSet, part: Part) -> RuleSet:
    """Return a rule set without one of its parts."""
    empty: Mapping[Part, dict[str, object]] = {
        "room": {"scratchpad": "none"},
        "rules": {"rules": ()},
        "examples": {"examples": ()},
        "worksheet": {"worksheet": None},
    }
    return msgspec.structs.replace(rule_set, **empty[part])


async def with_examples(
    selection: CandidateRace, selected: Selected | None, incumbent: RuleSet | None, examples: tuple[Example, ...]
) -> Selected:
    """Try examples alone and behind the best rules so far; return the best of all.

    Raises the errors of ``CandidateRace.race``.
    """
    base = msgspec.structs.replace(selection.candidate("none", ()), examples=examples)
    return await _best(selection, selected, incumbent, [base, *_added(selected, examples=examples)])


async def with_worksheet(
    selection: CandidateRace, selected: Selected | None, incumbent: RuleSet | None, worksheet: Worksheet
) -> Selected:
    """Try a worksheet alone, and beside the best examples so far; return the best of all."""
    base = msgspec.structs.replace(selection.candidate("none", ()), worksheet=worksheet)
    both = [
        msgspec.structs.replace(candidate, rules=(), scratchpad="none")
        for candidate in _added(selected, worksheet=worksheet)
        if candidate.examples
    ]
    return await _best(selection, selected, incumbent, [base, *both])


async def effects_of_parts(selection: CandidateRace, best: CandidateScore) -> dict[str, Effect]:
    """Measure each part of a candidate against the candidate without it; a part that stands alone against nothing."""
    effects: dict[str, Effect] = {}
    for part in parts_of(best.rule_set):
        rest = await selection.run_all(without(best.rule_set, part))
        pairs = paired_outcomes(rest.trials, best.trials)
        effects[part] = records.effect(pairs, tokens=best.tokens - rest.tokens, alone=False)
    return effects


def _added(selected: Selected | None, **part: object) -> list[RuleSet]:
    return [] if selected is None else [msgspec.structs.replace(selected.best.rule_set, **part)]


async def _best(
    selection: CandidateRace, selected: Selected | None, incumbent: RuleSet | None, candidates: list[RuleSet]
) -> Selected:
    """The best of the candidates and of the earlier choice, an earlier choice at a tie."""
    base = selected.incumbent if selected is not None else await selection.baseline(incumbent)
    winner = (await selection.race(candidates))[0]
    if selected is not None and winner.measured.accuracy <= selected.best.measured.accuracy:
        return selection.with_all_tried(selected)
    return selection.chosen(winner, base, selected.effects if selected is not None else {})
