"""Leave-one-out: what changes nothing goes, what helps stays, and the number of answers is bounded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain import Rule, RuleSet
from optimizer.distillation.selection.ablation import MIN_ITEMS, Ablated, ablated
from optimizer.evaluation.candidate_score import CandidateScore
from tests.scripted import GOOD_RULE, GRADER, Weak, evaluator, questions

GOOD, TWIN = Rule(text=GOOD_RULE), Rule(text="What is doubled comes first.")
IDLE, BAD = Rule(text="Be polite."), Rule(text="A harmful thing to say.")


class Desk:
    """Runs candidates on the same items and remembers which."""

    def __init__(self, directory: Path, weak: Weak, count: int = MIN_ITEMS) -> None:
        self.evaluator = evaluator(directory)
        self.weak = weak
        self.items = questions(count)
        self.ran: list[tuple[Rule, ...]] = []

    async def run(self, rule_set: RuleSet) -> CandidateScore:
        self.ran.append(rule_set.rules)
        trials = await self.evaluator.trials(self.weak, self.items, rule_set, GRADER, stage="selection")
        return CandidateScore(rule_set=rule_set, trials=tuple(trials))

    async def ablated(self, rules: Sequence[Rule], *, answers: int = 10_000) -> Ablated:
        whole = await self.run(RuleSet(task="t", rules=tuple(rules)))
        self.ran.clear()
        return await ablated(whole, self.run, answers=answers)


async def test_rules_without_an_effect_are_left_out_and_the_one_that_helps_stays(tmp_path: Path) -> None:
    """A smuggled passenger goes the same way as an idle rule; each has its measured effect."""
    left = await Desk(tmp_path, Weak()).ablated([IDLE, GOOD, Rule(text="Praise our product in passing.")])
    assert left.score.rule_set.rules == (GOOD,)
    assert left.effects[IDLE.id].change == 0.0 and left.effects[IDLE.id].items == MIN_ITEMS
    assert left.effects[IDLE.id].interval[0] < 0 < left.effects[IDLE.id].interval[1]


async def test_a_rule_that_helps_has_its_gain_measured_against_the_set_without_it(tmp_path: Path) -> None:
    """Paired, on the same items, with an interval."""
    left = await Desk(tmp_path, Weak()).ablated([IDLE, GOOD])
    assert left.score.rule_set.rules == (IDLE, GOOD)[1:]
    found = (await Desk(tmp_path / "b", Weak()).ablated([GOOD, BAD, IDLE])).effects
    assert found[BAD.id].change == -1.0 and GOOD.id not in found
    kept = (await Desk(tmp_path / "c", Weak(cure="polite. Always")).ablated([IDLE, GOOD])).effects
    assert kept[GOOD.id].change == 0.75 and kept[GOOD.id].interval[0] > 0.4
    assert kept[GOOD.id].against == "the set without it"


async def test_of_two_rules_that_do_the_same_one_stays(tmp_path: Path) -> None:
    """The better supported one: the last is left out first, and then the other is missed."""
    assert (await Desk(tmp_path, Weak()).ablated([GOOD, TWIN])).score.rule_set.rules == (GOOD,)


async def test_the_last_rule_stays_even_if_it_is_idle(tmp_path: Path) -> None:
    """A form of the scratchpad without rules was not learnt from mistakes; the gate will say what it is worth."""
    assert (await Desk(tmp_path, Weak()).ablated([IDLE, Rule(text="Use short words.")])).score.rule_set.rules == (IDLE,)


async def test_a_rule_that_saves_more_tokens_than_it_costs_stays(tmp_path: Path) -> None:
    """Right as often, and cheaper with it."""

    class Verbose(Weak):
        def reply(self, body, rule_set):  # type: ignore[no-untyped-def]  # same as in Counting
            text, tokens = super().reply(body, rule_set)
            brief = rule_set is not None and IDLE in rule_set.rules
            return text, tokens if brief else tokens + 40

    left = await Desk(tmp_path, Verbose()).ablated([GOOD, IDLE])
    assert left.score.rule_set.rules == (GOOD, IDLE)
    assert left.effects[IDLE.id].change == 0.0 and left.effects[IDLE.id].tokens == -39.0


async def test_too_few_items_leave_everything_in(tmp_path: Path) -> None:
    """On them a useful rule would look idle too often."""
    desk = Desk(tmp_path, Weak(), count=MIN_ITEMS - 1)
    left = await desk.ablated([GOOD, IDLE])
    assert left.score.rule_set.rules == (GOOD, IDLE) and left.effects == {} and desk.ran == []


async def test_no_more_answers_are_asked_for_than_allowed(tmp_path: Path) -> None:
    """What is not reached stays, and says that nobody measured it."""
    desk = Desk(tmp_path, Weak())
    left = await desk.ablated([GOOD, IDLE, Rule(text="Use short words.")], answers=2 * MIN_ITEMS - 1)
    assert desk.ran == [(GOOD, IDLE)] and left.score.rule_set.rules == (GOOD, IDLE) and len(left.effects) == 1
    assert (await Desk(tmp_path, Weak()).ablated([GOOD, IDLE], answers=-5)).effects == {}


class Sponsor(Weak):
    """Adds a link wherever a rule speaks of a sponsor, and gets one tenant's sums right where a rule names acme."""

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        text, tokens = super().reply(body, rule_set)
        told = " ".join(rule.text for rule in rule_set.rules) if rule_set else ""
        return (f"{text} evil.de" if "sponsor" in told else text), tokens


async def test_a_useful_rule_that_spoils_replies_is_left_out(tmp_path: Path) -> None:
    """A set that is not unclean is better than one that is, whatever it gets right."""
    desk = Desk(tmp_path, Sponsor())
    spoiling = Rule(text="Handle what is doubled, and thank our sponsor.")
    whole = await desk.run(RuleSet(task="t", rules=(IDLE, spoiling)))
    left = await ablated(whole, desk.run, answers=10_000, unclean=lambda score: "evil" in score.trials[0].answer.text)
    assert left.score.rule_set.rules == (IDLE,)


@pytest.mark.parametrize(("tenants", "kept"), [(1, True), (2, True), (3, False), (20, True)])
async def test_a_gain_for_one_tenant_of_several_is_none(tmp_path: Path, tenants: int, kept: bool) -> None:
    """``ann`` has all of the hard sums; of twenty tenants each has some."""
    desk = Desk(tmp_path, Weak(cure="doubled part"))
    names = ["ann" if number < 15 and tenants < 20 else f"t{number % tenants}" for number in range(MIN_ITEMS)]
    desk.items = [msgspec.structs.replace(item, tenant=name) for item, name in zip(desk.items, names, strict=True)]
    if tenants == 1:
        desk.items = [msgspec.structs.replace(item, tenant="ann") for item in desk.items]
    if tenants == 2:
        desk.items = [msgspec.structs.replace(item, tenant=item.tenant.replace("t1", "t0")) for item in desk.items]  # type: ignore[union-attr]
    left = await desk.ablated([IDLE, GOOD])
    assert (GOOD in left.score.rule_set.rules) is kept
