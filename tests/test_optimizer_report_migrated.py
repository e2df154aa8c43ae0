"""The report of a migration."""

import msgspec

from optimizer.report.migrated import migrated
from tests.reports import FACTS, migration


def test_three_arms_stand_side_by_side() -> None:
    """Quality, tokens, time and money, each with its row heading."""
    report = migrated(migration(), FACTS)
    assert [column.title for column in report.columns] == ["strong", "weak", "weak + rules"]
    assert {len(column.cells) for column in report.columns} == {len(report.measures)}
    assert report.columns[0].cells[0] == "90.0%"


def test_the_verdict_against_the_strong_model_tells_the_pairs() -> None:
    """Not only the difference."""
    _, against, _ = (answer for _, answer in migrated(migration(), FACTS).verdicts)
    assert against.startswith("Cannot tell: on 40 untouched examples both are right on 34")
    assert "the loss seen is 5.0 points" in against


def test_savings_are_told_with_what_they_cost() -> None:
    """Per thousand calls, per month, and when the cost of the whole run is earned back."""
    *_, (_, saved) = migrated(migration(strong=20), FACTS).verdicts
    assert "per 1,000 calls" in saved and "per month" in saved
    assert "This run took $0.20, earned back after" in saved


def test_no_savings_are_promised_under_a_verdict_that_was_not_reached() -> None:
    """The cost of the run is told all the same."""
    *_, (_, saved) = migrated(migration(), FACTS).verdicts
    assert saved == "Nothing is promised: that weak + rules may serve is not shown. This run took $0.20."


def test_without_prices_no_money_is_told() -> None:
    """Nor drawn."""
    report = migrated(migration(prices=False, strong=20), FACTS)
    assert not report.money
    assert report.verdicts[-1][1].startswith("Not known")
    assert "not known" in report.columns[0].cells


def test_reference_labels_are_told_wherever_quality_is() -> None:
    """Agreement is not correctness."""
    assert not any("agreement" in note for note in migrated(migration(), FACTS).notes)
    (note,) = migrated(migration(references=9), FACTS).notes
    assert note.startswith("For 9 of 40 examples") and note.endswith("its own earlier answers on 9 of them.")


def test_examples_show_what_each_arm_replied() -> None:
    """Fixed, broken and lost; counted in full, shown in part."""
    fixed, broken, lost = migrated(migration(), FACTS).blocks
    assert (fixed.count, broken.count, lost.count) == (26, 0, 2)
    assert [reply.who for reply in fixed.examples[0].replies] == ["strong", "weak", "weak + rules"]


def test_how_strict_the_gate_was_is_told_last() -> None:
    """What quality means comes first."""
    result = migration(references=9)
    outcome = msgspec.structs.replace(result.outcome, level=0.05)
    meaning, level = migrated(msgspec.structs.replace(result, outcome=outcome), FACTS).notes
    assert "quality means agreement" in meaning and "adopts at most 5%" in level
