"""Records: what became of a rule is told by what was measured."""

from gateway.domain import Rule, RuleSet
from optimizer.distillation import rule_records as records
from optimizer.statistics.paired_test import Pairs

A, B, C, OLD = (Rule(text=text, reason="r") for text in ("Add first.", "Check units.", "Write digits.", "Be brief."))
BOOKS = [records.record(rule, mistakes=["m1"], groups=2) for rule in (A, B, C)]
LOSS = records.effect(Pairs(both=10, fixed=8, broken=2), tokens=12.5, alone=False)
NOTHING = records.effect(Pairs(both=20), tokens=3.0, alone=False)


def test_a_rule_is_known_by_its_text() -> None:
    """The same text has the same id, whatever its reason; another text has another."""
    assert records.record(A).id == Rule(text=A.text).id != records.record(B).id
    assert len(A.id) == 12 and records.record(A).tokens == 3


def test_an_effect_is_the_paired_change_with_its_interval() -> None:
    """Fixed less broken, of all items."""
    assert (LOSS.change, LOSS.items, LOSS.tokens) == (0.3, 20, 12.5) and LOSS.interval[0] < 0.3 < LOSS.interval[1]
    assert records.effect(Pairs(), tokens=0.0, alone=True).interval == (-1.0, 1.0)


def test_rules_of_the_candidate_are_kept_and_the_others_say_why_not() -> None:
    """Left out without a loss, in a candidate that lost, or never tried; the incumbent's own rules are entered."""
    candidate = RuleSet(task="t", rules=(OLD, A))
    settled = records.settled(
        BOOKS, candidate=candidate, tried=[RuleSet(task="t", rules=(OLD, A, B))], effects={A.id: LOSS, B.id: NOTHING}
    )
    books = {one.text: one for one in settled}
    assert {text: one.status for text, one in books.items()} == {
        A.text: "kept", B.text: "dropped", C.text: "proposed", OLD.text: "kept",
    }  # fmt: skip
    assert books[A.text].effect == LOSS and "+0% on 20" in books[B.text].why and books[OLD.text].mistakes == ()
    assert [one.text for one in records.of(candidate, settled)] == [OLD.text, A.text]
    lost = records.settled(BOOKS, candidate=candidate, tried=[RuleSet(task="t", rules=(C,))], effects={})
    assert next(one for one in lost if one.text == C.text).status == "tried"


def test_a_rule_that_stays_without_having_helped_says_so() -> None:
    """Whoever reads the record must not take the form's gain for the rule's."""
    (kept,) = records.settled((), candidate=RuleSet(task="t", rules=(A,)), tried=[], effects={A.id: NOTHING})
    assert kept.status == "kept" and "without it no fewer were right (+0% on 20 items)" in kept.why
    (helped,) = records.settled((), candidate=RuleSet(task="t", rules=(A,)), tried=[], effects={A.id: LOSS})
    assert helped.why == ""


def test_a_rule_that_went_in_spite_of_its_gain_was_not_left_out_without_a_loss() -> None:
    """The rules as a whole brought less than nothing beside the examples."""
    candidate, tried = RuleSet(task="t"), [RuleSet(task="t", rules=(A, B))]
    gone = records.settled(BOOKS[:2], candidate=candidate, tried=tried, effects={A.id: LOSS, B.id: NOTHING})
    assert [one.status for one in gone] == ["tried", "dropped"]
    assert gone[0].why == "no candidate with it was the best one" and gone[0].effect == LOSS
