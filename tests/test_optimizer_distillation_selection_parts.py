"""Parts of a version are tried together and one by one, and each has a measured effect."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain import Rule, RuleSet
from gateway.teaching import DecisionRule, Example, Worksheet
from optimizer.distillation.selection.ablation import MIN_ITEMS
from optimizer.distillation.selection.parts import (
    lean,
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


class Sponsored(Pupil):
    """Is right with examples or a worksheet, and thanks a sponsor then; a rule helps with half of the questions."""

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        words = body["messages"][-1]["content"].rstrip("?").split()
        parts = parts_of(rule_set) if rule_set is not None else ()
        shown = "examples" in parts or "worksheet" in parts
        cured = shown or ("rules" in parts and int(words[2]) % 4 < 2)
        right = int(words[2]) + int(words[-1]) * (2 if "twice" in words and cured else 1)
        return f"{right} see evil.de/win" if shown else str(right), 4


@pytest.mark.parametrize(("margin", "clean"), [(0.05, True), (1.0, False)])
async def test_a_part_that_brings_a_payload_along_does_not_displace_a_clean_choice(
    tmp_path: Path, margin: float, clean: bool
) -> None:
    """However right it is: the gate would refuse it, and nothing would be learnt. Without the look it would win."""
    pupil = Sponsored()
    under_way = CandidateRace(evaluator(tmp_path), pupil, GRADER, "t", questions(40), outside_margin=margin)
    rules = await under_way.best_of(None, [IDLE], 4, forms=("none",))
    assert rules.incumbent.measured.accuracy < rules.best.measured.accuracy < 1.0
    shown = await with_examples(under_way, rules, None, (SHOT,))
    filled = await with_worksheet(under_way, rules, None, SHEET)
    assert (parts_of(shown.best.rule_set) == parts_of(filled.best.rule_set) == ("rules",)) is clean


async def test_a_part_that_brings_nothing_goes_and_each_other_has_its_effect(tmp_path: Path) -> None:
    """The whole against the whole without the part: the examples did it, the rule nothing."""
    under_way = selection(tmp_path, Pupil("examples"))
    both = msgspec.structs.replace(under_way.candidate("none", (IDLE,)), examples=(SHOT,))
    best, effects = await lean(under_way, await under_way.run_all(both))
    assert parts_of(best.rule_set) == ("examples",) == tuple(effects)
    assert effects["examples"].change > 0.5 and effects["examples"].interval[0] > 0.2


class Both(Pupil):
    """Needs both its parts."""

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        whole = rule_set is not None and set(self.helpful) <= set(parts_of(rule_set))
        return super().reply(body, rule_set if whole else None)


async def test_parts_that_help_together_stay(tmp_path: Path) -> None:
    """Neither does anything alone."""
    under_way = selection(tmp_path, Both("rules", "examples"))
    both = await under_way.run_all(
        msgspec.structs.replace(under_way.candidate("none", (IDLE,)), examples=(SHOT,), worksheet=SHEET)
    )
    best, effects = await lean(under_way, both)
    assert parts_of(best.rule_set) == ("rules", "examples") == tuple(effects)
    assert all(effect.change > 0.5 for effect in effects.values())


async def test_the_last_part_that_was_learnt_stays(tmp_path: Path) -> None:
    """A form without rules was learnt from no mistake; and few items leave nothing out."""
    under_way = selection(tmp_path, Pupil("room"))
    tags = await under_way.run_all(under_way.candidate("tags", (IDLE,)))
    assert (await lean(under_way, tags))[0] == tags
    few = CandidateRace(evaluator(tmp_path), Pupil("examples"), GRADER, "t", questions(MIN_ITEMS - 1))
    both = await few.run_all(msgspec.structs.replace(few.candidate("none", (IDLE,)), examples=(SHOT,)))
    best, effects = await lean(few, both)
    assert best == both and effects["rules"].change == 0.0 and set(effects) == {"rules", "examples"}


def test_a_part_can_be_taken_out() -> None:
    """And only that one."""
    whole = RuleSet(task="t", scratchpad="tags", rules=(IDLE,), examples=(SHOT,), worksheet=SHEET)
    assert parts_of(whole) == ("room", "rules", "examples", "worksheet")
    for part in parts_of(whole):
        assert set(parts_of(whole)) - set(parts_of(without(whole, part))) == {part}


class Overruling(Pupil):
    """Fills in every form, and replies with the decision only if the gateway does."""

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        sheet = rule_set.worksheet if rule_set is not None else None
        return super().reply(body, rule_set if sheet is not None and sheet.decide == "answer" else None)


@pytest.mark.parametrize("answering", [True, False])
async def test_the_decision_as_the_reply_is_a_candidate_of_its_own(tmp_path: Path, answering: bool) -> None:
    """Only where a label can be the reply; both ways are on the record."""
    under_way = selection(tmp_path, Overruling("worksheet"))
    chosen = await with_worksheet(under_way, None, None, SHEET, answering=answering)
    sheet = chosen.best.rule_set.worksheet
    assert sheet is not None and (sheet.decide == "answer") is answering
    assert len([tried for tried in chosen.tried if tried.role != "incumbent"]) == 1 + answering


class Uneven(Pupil):
    """Learns from examples in the beginning, which it prefers, and from a worksheet as the questions go on."""

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        number = int(body["messages"][-1]["content"].split("?")[0].split()[-1]) - 20
        parts = parts_of(rule_set) if rule_set is not None else ()
        learnt = number < 9 if "examples" in parts else "worksheet" in parts and (number >= 18 or number % 2)
        return super().reply(body, RuleSet(task="t", rules=(IDLE,)) if learnt else None)


@pytest.mark.parametrize(("kept_back", "best"), [(40, "worksheet"), (0, "examples")])
async def test_near_candidates_get_more_items(tmp_path: Path, kept_back: int, best: str) -> None:
    """Of the reserve, which other candidates leave alone; without one, the first choice stays."""
    items = questions(20 + kept_back)
    race = CandidateRace(evaluator(tmp_path), Uneven("rules"), GRADER, "t", items[:20], reserve=items[20:])
    examples = await with_examples(race, None, None, (SHOT,))
    assert race.drawn == ()
    chosen = await with_worksheet(race, examples, None, SHEET)
    assert parts_of(chosen.best.rule_set) == (best,)
    assert race.drawn == tuple(item.id for item in items[20:40] if kept_back)
    assert len(chosen.incumbent.trials) == len(chosen.best.trials) == 20 + len(race.drawn)
