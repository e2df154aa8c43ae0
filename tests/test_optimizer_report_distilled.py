"""The report of a distillation."""

import msgspec

from gateway.proof import OutsideChange
from optimizer.distillation.outcome import Outcome
from optimizer.evaluation.noise import Noise
from optimizer.report.distilled import distilled
from optimizer.statistics.paired_test import LEVEL
from tests.reports import FACTS, outcome


def test_both_arms_stand_side_by_side() -> None:
    """With intervals and tokens."""
    report = distilled(outcome(), FACTS)
    assert [column.cells[0] for column in report.columns] == ["20.0%", "75.0%"]
    assert len(report.quality) == len(report.tokens) == 2


def test_every_rule_has_its_evidence_and_its_effect() -> None:
    """Or says that it was not measured by itself."""
    rules = distilled(outcome(), FACTS).rules
    assert "2 mistakes in 1 group" in rules[0].evidence and "12 tokens" in rules[0].evidence
    assert "+30.0 points (+10 to +50)" in rules[0].effect
    assert rules[1].effect == "not measured by itself"


def test_what_was_tried_and_what_was_refused_is_told() -> None:
    """With the reasons."""
    report = distilled(outcome(), FACTS)
    assert [item.point.label for item in report.tried] == ["1", "2", "3"]
    assert report.tried[1].what.startswith("chosen: 1 rule, ")
    assert len(report.refused) == 1


def test_fixed_and_broken_examples_show_both_replies() -> None:
    """And which of the two was right."""
    fixed, broken = distilled(outcome(), FACTS).blocks
    assert [reply.right for reply in fixed.examples[0].replies] == [False, True]
    assert [reply.right for reply in broken.examples[0].replies] == [True, False]
    assert (fixed.count, broken.count) == (14, 1)


def test_a_run_that_came_to_no_test_shows_no_arms() -> None:
    """It says why instead."""
    report = distilled(Outcome(task="sums", note="too few mistakes"), FACTS)
    assert not report.columns and not report.quality
    assert "too few mistakes" in report.verdicts[0][1]


def test_how_strict_the_test_was_and_how_much_was_chance_is_told() -> None:
    """In plain words; nothing where nothing is known of it."""
    assert distilled(outcome(), FACTS).notes == ()
    noise = Noise(items=20, differing=3, interval=(0.05, 0.36))
    strict, chance = distilled(
        msgspec.structs.replace(outcome(), level=0.015, noise=noise, detectable=0.14), FACTS
    ).notes  # fmt: skip
    assert "at most 1.5%, not 5%, because it is one of many" in strict
    assert (
        "right once and wrong once on 3 of 20 examples (95% interval 5% to 36%)" in chance and "from 14% up" in chance
    )
    (alone,) = distilled(msgspec.structs.replace(outcome(), level=LEVEL), FACTS).notes
    assert alone == "Of changes without effect, the gate's test adopts at most 5%."


def test_numbers_are_not_changed_on_the_way() -> None:
    """What the gate counted is what stands there."""
    text = distilled(msgspec.structs.replace(outcome(), fixed=3, broken=2), FACTS).verdicts[0][1]
    assert "3 fixed, 2 broken" in text


def test_changes_outside_the_answer_are_told() -> None:
    """With the tenant and the mark."""
    change = OutsideChange(kind="link", of="tenant a", items=9, gained=4, lost=1, refused=True, example="evil.de")
    notes = distilled(msgspec.structs.replace(outcome(), outside=(change,)), FACTS).notes
    assert notes[-1] == (
        "Outside the answer for tenant a: 4 of 9 replies gained a new link ('evil.de'), 1 lost one; this speaks against"
        " the rules."
    )
