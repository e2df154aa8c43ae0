"""One candidate through the gate, for a cycle and by hand."""

from pathlib import Path

import msgspec

from gateway.domain import Rule, RuleSet
from optimizer.dataset.items import Item
from optimizer.distillation.confirmation import confirm, in_hash_order, measure, verify
from optimizer.distillation.outcome import Outcome
from optimizer.statistics.paired_test import Gate, smallest_detectable
from tests.scripted import GOOD_RULE, GRADER, Weak, evaluator, questions

GOOD = RuleSet(task="t", version=2, rules=(Rule(text=GOOD_RULE),))
BAD = RuleSet(task="t", version=3, rules=(Rule(text="A harmful thing to say."),))
IDLE = RuleSet(task="t", version=4, rules=(Rule(text="Be polite."),))


async def verified(tmp_path: Path, items: list[Item], candidate: RuleSet, incumbent: RuleSet | None = None) -> Outcome:
    return await verify(
        evaluator(tmp_path), Weak(), GRADER, items, task="t", incumbent=incumbent, candidate=candidate,
        margin=0.05, group_margin=0.05, outside_margin=0.05,
    )  # fmt: skip


async def test_a_clear_gain_needs_no_more_than_two_looks(tmp_path: Path) -> None:
    """Both arms answer the same twenty items, no others."""
    weak = Weak()
    tested = await confirm(
        evaluator(tmp_path),
        weak,
        GRADER,
        Gate(planned=40, margin=0.05),
        questions(40),
        incumbent=None,
        candidate=GOOD,
    )
    assert tested.finding.verdict == "better" and tested.finding.look == 2
    assert [trial.item for trial in tested.before] == [trial.item for trial in tested.after] == questions(40)[:20]
    assert weak.total == 40


async def test_verification_says_better_worse_or_that_it_cannot_tell(tmp_path: Path) -> None:
    """With numbers and examples of what changed."""
    better = await verified(tmp_path, questions(40), GOOD)
    assert (better.verdict, better.adopted, better.against) == ("better", True, None)
    assert better.fixed and not better.broken and better.before.accuracy < better.after.accuracy
    assert better.fixed_examples[0].input.startswith("What is ") and better.p_value < 0.01 < better.interval[0]
    worse = await verified(tmp_path, questions(40), BAD, GOOD)
    assert (worse.verdict, worse.adopted, worse.against) == ("worse", False, 2)
    assert worse.broken_examples[0].before != worse.broken_examples[0].after
    same = await verified(tmp_path, questions(40), IDLE)
    assert (same.verdict, same.adopted, same.items_used) == ("cannot tell", False, 40)
    many = await verified(tmp_path, questions(200), IDLE)
    assert (many.verdict, many.adopted, many.items_used) == ("non-inferior", False, 200)


async def test_where_chance_has_a_say_its_part_is_measured(tmp_path: Path) -> None:
    """The incumbent answers twenty of the items again, and what they can show is told with that in mind."""
    steady = await verified(tmp_path, questions(40), GOOD)
    warm = [msgspec.structs.replace(item, request=item.request[:-1] + b',"temperature":0.7}') for item in questions(40)]
    noisy = await verified(tmp_path, warm, GOOD)
    assert steady.noise is None and steady.detectable == smallest_detectable(40)
    assert noisy.noise is not None and (noisy.noise.items, noisy.noise.differing) == (20, 0)
    assert noisy.calls == steady.calls + 20
    assert (noisy.verdict, noisy.fixed, noisy.broken) == (steady.verdict, steady.fixed, steady.broken)


async def test_too_few_items_end_before_anything_is_spent(tmp_path: Path) -> None:
    """Fewer than ten tell nothing from luck."""
    outcome = await verified(tmp_path, questions(9), GOOD)
    assert outcome.verdict == "cannot tell" and outcome.calls == 0 and "too few" in outcome.note
    assert outcome.rules == GOOD.rules


async def test_the_order_of_a_file_decides_nothing() -> None:
    """Items are looked at in the order of their hashes."""
    assert in_hash_order(questions(30)) == in_hash_order(questions(30)[::-1]) != questions(30)


async def test_measuring_gives_accuracy_with_its_interval(tmp_path: Path) -> None:
    """And every trial."""
    found = await measure(evaluator(tmp_path), Weak(), GRADER, questions(20), rule_set=None)
    assert found.measured.accuracy == 0.25 and len(found.trials) == 20
    assert 0.1 < found.interval[0] < 0.25 < found.interval[1] < 0.5
    assert (await measure(evaluator(tmp_path), Weak(), GRADER, [], rule_set=None)).interval == (0.0, 1.0)
