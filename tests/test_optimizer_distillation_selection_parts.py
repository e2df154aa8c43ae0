"""Parts of a version are tried together and one by one, and each has a measured effect."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain import Rule, RuleSet
from gateway.teaching import DecisionRule, Example, Worksheet
from optimizer.distillation.selection.parts import (
    effects_of_parts,
    parts_of,
    with_examples,
    with_worksheet,
    without,
)
from optimizer.distillation.selection.race import CandidateRace
from tests.scripted import GRADER, Counting, evaluator, questions

SHOT = Example(question="What is 1 plus twice 2?", answer="5", shared=True)
SHEET = Worksheet(
    schema={"type": "object", "properties": {"sum": {"type": "integer"}}},
    decisions=(DecisionRule(when="", result="5"),),
)
IDLE = Rule(text="Write numbers in digits.")


class Pupil(Counting):
    """Learns from the parts that it is told to, and from nothing else."""

    def __init__(self, *helpful: str) -> None:
        super().__init__("small")
        self.helpful = helpful

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        words = body["messages"][-1]["content"].rstrip("?").split()
        cured = rule_set is not None and any(part in parts_of(rule_set) for part in self.helpful)
        return str(int(words[2]) + int(words[-1]) * (2 if "twice" in words and cured else 1)), 4


def selection(directory: Path, pupil: Pupil) -> CandidateRace:
    return CandidateRace(evaluator(directory), pupil, GRADER, "t", questions(20))


async def test_examples_that_help_replace_rules_that_do_not(tmp_path: Path) -> None:
    """The whole is chosen by what it gets right, whoever taught it."""
    under_way = selection(tmp_path, Pupil("examples"))
    rules = await under_way.best_of(None, [IDLE], 4)
    best = (await with_examples(under_way, rules, None, (SHOT,))).best
    assert best.rule_set.examples == (SHOT,) and best.measured.accuracy == 1.0


async def test_examples_alone_are_a_candidate(tmp_path: Path) -> None:
    """Also where no rule was written."""
    best = (await with_examples(selection(tmp_path, Pupil("examples")), None, None, (SHOT,))).best
    assert parts_of(best.rule_set) == ("examples",)


@pytest.mark.parametrize("helpful", ["nothing", "rules"])
async def test_a_part_that_brings_nothing_is_left_out(tmp_path: Path, helpful: str) -> None:
    """At a tie the earlier, smaller choice stays."""
    under_way = selection(tmp_path, Pupil(helpful))
    rules = await under_way.best_of(None, [IDLE], 4)
    chosen = await with_worksheet(under_way, await with_examples(under_way, rules, None, (SHOT,)), None, SHEET)
    assert not chosen.best.rule_set.examples and chosen.best.rule_set.worksheet is None


async def test_each_part_has_its_effect(tmp_path: Path) -> None:
    """The whole against the whole without the part: the examples did it, the rule nothing."""
    under_way = selection(tmp_path, Pupil("examples"))
    both = msgspec.structs.replace(under_way.candidate("none", (IDLE,)), examples=(SHOT,))
    effects = await effects_of_parts(under_way, await under_way.run_all(both))
    assert effects["examples"].change > 0.5 and effects["examples"].interval[0] > 0.2
    assert effects["rules"].change == 0.0 and set(effects) == {"rules", "examples"}


def test_a_part_can_be_taken_out() -> None:
    """And only that one."""
    whole = RuleSet(task="t", scratchpad="tags", rules=(IDLE,), examples=(SHOT,), worksheet=SHEET)
    assert parts_of(whole) == ("room", "rules", "examples", "worksheet")
    for part in parts_of(whole):
        assert set(parts_of(whole)) - set(parts_of(without(whole, part))) == {part}
