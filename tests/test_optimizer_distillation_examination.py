"""The examination: a group that pays, a form that needs no rules, a promising candidate without a verdict."""

from pathlib import Path
from typing import Any

import msgspec

from gateway.domain import Rule, RuleSet
from optimizer.dataset.items import Examples, Item
from optimizer.dataset.split import Split
from optimizer.distillation.examination import Examined, examine
from optimizer.distillation.plan import CyclePlan, plan_for
from optimizer.evaluation.evaluator import Answer
from tests.scripted import GOOD_RULE, GRADER, Counting, Weak, evaluator, optimizer, questions

GOOD = RuleSet(task="t", rules=(Rule(text=GOOD_RULE),))


class Scripted(Counting):
    """Right on the items of ``before`` without rules, on those of ``after`` with them."""

    def __init__(self, before: list[Item], after: list[Item]) -> None:
        super().__init__("small")
        self.right = {False: {item.request for item in before}, True: {item.request for item in after}}
        self.answers = {item.request: str(item.expected) for item in (*before, *after)}

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        asked = next((known for known in self.answers if msgspec.json.decode(known)["messages"] ==
                      msgspec.json.decode(request)["messages"]), b"")  # fmt: skip
        right = asked in self.right[bool(rule_set and rule_set.rules)]
        return Answer(text=self.answers[asked] if right else "0")


def planned(items: list[Item], **changes: Any) -> CyclePlan:
    plan = plan_for("t", Examples(items=tuple(items)), incumbent=None, started=1.0, by="cycle", level=0.08)
    return msgspec.structs.replace(plan, **changes)


async def examined(
    directory: Path, items: list[Item], weak: Counting, candidate: RuleSet, plan: CyclePlan | None = None
) -> Examined:
    split = Split(induction=(), selection=(), confirmation=tuple(items))
    return await examine(
        plan or planned(items), split, candidate, evaluator=evaluator(directory), weak=weak, grader=GRADER,
        settings=optimizer(), economy=False,
    )  # fmt: skip


async def test_a_gain_comes_with_a_smaller_promise_and_its_claim(tmp_path: Path) -> None:
    """Raw numbers beside what may be expected."""
    items = questions(40)
    fixed = items[:12]
    result = await examined(tmp_path, items, Scripted(items[20:], [*fixed, *items[20:]]), GOOD)
    evidence = result.tested.evidence(None)
    assert not result.objection and evidence.verdict == "better" and evidence.promised is not None
    raw = evidence.after.accuracy - evidence.before.accuracy
    assert 0 < evidence.promised.gain < raw and evidence.promised.interval[1] >= raw
    assert evidence.claim == "right by the labels of people or data" and evidence.clusters == evidence.items_used


async def test_a_group_that_pays_for_the_gain_is_an_objection(tmp_path: Path) -> None:
    """One tenant's ten items are broken, thirty of others fixed."""
    items = questions(80)
    poor = [msgspec.structs.replace(item, tenant="poor") for item in items[::8]]
    others = [item for place, item in enumerate(items) if place % 8]
    mixed = [poor[place // 8] if place % 8 == 0 else item for place, item in enumerate(items)]
    result = await examined(tmp_path, mixed, Scripted([*poor, *others[40:]], others), GOOD)
    assert result.tested.finding.verdict == "better"
    assert result.objection.startswith("tenant poor pays for the gain: 100% -> 0%")
    assert result.tested.groups[0].group == "tenant poor" and result.tested.groups[0].detectable > 0.2


async def test_a_form_that_needs_no_rules_is_published_alone(tmp_path: Path) -> None:
    """The three arms: the form brings the gain, the rule nothing."""
    tags = RuleSet(task="t", scratchpad="tags", rules=(Rule(text="Please be polite to everyone."),))
    result = await examined(tmp_path, questions(40), Weak(forms_that_cure=["tags"]), tags)
    assert not result.objection and result.tested.candidate == RuleSet(task="t", scratchpad="tags")
    assert [effect.part for effect in result.tested.main_effects] == ["form", "rules"]
    assert "the form alone" in result.tested.finding.note and result.tested.promised is not None
    (tmp_path / "both").mkdir()
    both = await examined(tmp_path / "both", questions(40), Weak(), msgspec.structs.replace(tags, rules=GOOD.rules))
    assert both.tested.candidate.rules == GOOD.rules and both.tested.main_effects[1].change > 0.5


async def test_a_promising_candidate_without_a_verdict_is_carried_on_and_passes_with_new_items(tmp_path: Path) -> None:
    """Six fixed of forty are too few at this level; with forty more like them they are enough."""
    items = questions(80)
    first, fixed = items[:40], items[::7]
    weak = Scripted([item for item in items if item not in fixed], items)
    waiting = await examined(tmp_path, first, weak, GOOD, planned(first, level=0.02))
    assert waiting.carried is not None and waiting.objection and waiting.carried.stage == 1
    later = planned(items, level=0.02, carried=waiting.carried)
    parts = later.parts(selection=20, confirmation=40)
    assert list(parts.confirmation[:40]) == first and len(parts.confirmation) == 80
    done = await examined(tmp_path, list(parts.confirmation), weak, GOOD, later)
    assert done.tested.finding.verdict == "better" and done.tested.promised is not None
    assert [look.counts for look in done.tested.looks[:4]] == [False] * 4


async def test_a_hopeless_candidate_and_a_persons_test_are_not_carried_on(tmp_path: Path) -> None:
    """Nothing fixed; or nobody comes back by itself."""
    items = questions(40)
    idle = await examined(tmp_path, items, Scripted(items, items), GOOD)
    assert idle.carried is None and idle.objection
    few = Scripted([item for item in items if item not in items[::7]], items)
    (tmp_path / "by hand").mkdir()
    by_hand = await examined(tmp_path / "by hand", items, few, GOOD, planned(items, by="distill", level=0.01))
    assert by_hand.carried is None and by_hand.tested.finding.verdict != "better"
