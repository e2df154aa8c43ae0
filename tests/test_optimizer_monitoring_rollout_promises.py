"""The promise ledger: promised, measured, and what that says."""

import msgspec
import pytest

from gateway.domain import Evidence, Measured, Rule, RuleSet
from gateway.store.memory import MemoryStore
from optimizer.monitoring.rollout.promises import (
    BY_MODEL,
    BY_SIGNS,
    PROMISES,
    FieldMeasurement,
    LedgerEntry,
    Promise,
    describe,
    ledger_entry,
    promise_of,
    with_entry,
)

EVIDENCE = Evidence(
    verdict="better", before=Measured(accuracy=0.6, n=100), after=Measured(accuracy=0.72, n=100), fixed=14, broken=2,
    items_used=100, p_value=0.001, interval=(0.04, 0.19),
)  # fmt: skip
VERSION = RuleSet(task="t", version=3, rules=(Rule(text="Think."),), evidence=EVIDENCE, created=50.0)
PROMISE = Promise(version=3, made_at=50.0, against=None, change=0.12, interval=(0.04, 0.19), items=100)


def measured(low: float, high: float, units: int = 200) -> FieldMeasurement:
    return FieldMeasurement(
        change=(low + high) / 2, interval=(low, high), units=units, of="pairs of answers", since=60.0, until=90.0
    )


def test_a_promise_is_what_the_evidence_says() -> None:
    """A version that nobody verified promises nothing."""
    made = promise_of(VERSION)
    assert made is not None and made.change == pytest.approx(0.12)
    assert (made.version, made.made_at, made.against, made.interval, made.items) == (3, 50.0, None, (0.04, 0.19), 100)
    assert promise_of(RuleSet(task="t", version=1)) is None
    assert promise_of(None) is None


@pytest.mark.parametrize(
    ("seen", "verdict", "covered"),
    [
        (None, "open", None),
        (measured(0.05, 0.15), "held", True),
        (measured(-0.02, 0.05), "held", True),
        (measured(-0.02, 0.05, units=99), "open", None),
        (measured(-0.20, 0.03), "broken", False),
        (measured(-0.20, 0.03, units=5), "broken", False),
        (measured(0.20, 0.40), "exceeded", False),
    ],
)
def test_a_promise_is_judged_by_what_was_measured_since(
    seen: FieldMeasurement | None, verdict: str, covered: bool | None
) -> None:
    """It is broken where no gain fits both; it holds where one does, once there is enough to say so."""
    entry = ledger_entry(PROMISE, seen)
    assert (entry.verdict, entry.covered) == (verdict, covered)


def test_a_version_has_one_line_and_keeps_its_measurement() -> None:
    """Lines are in the order of the versions; a look without a measurement takes none away."""
    other = ledger_entry(Promise(version=1, made_at=1.0, against=None, change=0.1, interval=(0.0, 0.2), items=9), None)
    first, better = ledger_entry(PROMISE, measured(0.0, 0.3)), ledger_entry(PROMISE, measured(0.05, 0.15))
    ledger = with_entry(with_entry(with_entry((), first), other), better)
    assert ledger == (other, better)
    assert with_entry(ledger, ledger_entry(PROMISE, None)) == ledger


def test_the_ledger_is_a_note() -> None:
    """Written by the watch, read by anybody."""
    store, ledger = MemoryStore(), (ledger_entry(PROMISE, measured(0.05, 0.15)),)
    PROMISES.write(store, ledger, "t")
    assert PROMISES.read(store, "t") == ledger
    assert PROMISES.read(store, "other") is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (LedgerEntry(promise=PROMISE), "nothing is measured yet"),
        (ledger_entry(PROMISE, measured(-0.2, 0.0)),
         "measured -10.0 points (-20.0 to +0.0) in 200 pairs of answers: less than promised"),
    ],
)  # fmt: skip
def test_an_entry_in_words(entry: LedgerEntry, expected: str) -> None:
    """For people who did not read this."""
    assert expected in describe(entry)


def test_signs_of_failure_judge_no_promise_of_right_replies() -> None:
    """A wrong reply mostly looks like any other: a change of nothing by signs breaks and keeps nothing."""
    by_signs = msgspec.structs.replace(measured(-0.01, 0.01), of=BY_SIGNS)
    entry = ledger_entry(PROMISE, by_signs)
    assert entry.verdict == "open" and entry.covered is None and "nobody knows if" in describe(entry)
    assert ledger_entry(PROMISE, measured(-0.01, 0.01)).verdict == "broken"


def test_agreement_with_a_model_judges_a_promise_of_agreement_only() -> None:
    """A rule that copies the model's errors agrees more and is right less."""
    agreed = msgspec.structs.replace(measured(-0.05, 0.01), of="pairs of answers" + BY_MODEL)
    entry = ledger_entry(PROMISE, agreed)
    assert entry.verdict == "open" and "agreement with a model" in describe(entry)
    claimed = msgspec.structs.replace(VERSION, evidence=msgspec.structs.replace(EVIDENCE, claim="agreement with large"))
    promise = promise_of(claimed)
    assert promise is not None and ledger_entry(promise, agreed).verdict == "broken"
