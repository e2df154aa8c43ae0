"""ModelAgreement and drift: each label once, of the right replies."""

import random

from gateway.domain import Evidence, Measured
from optimizer.monitoring.rollout.labels import ModelAgreement, drift_watch
from tests.rollouts import START, observed

PROMISED = Evidence(
    verdict="better", before=Measured(accuracy=0.5, n=200), after=Measured(accuracy=0.95, n=200), fixed=90, broken=0,
    items_used=200, p_value=0.0, interval=(0.4, 0.5),
)  # fmt: skip


def test_agreement_counts_each_comparison_with_the_strong_model_once() -> None:
    """Of replies to callers and of those in the background; not clients' words, other rules, or the strong model's."""
    rows = [
        observed(1, START, "weak", 2, bad=False, source="shadow"),
        observed(2, START, "shadow", 2, bad=True, source="shadow"),
        observed(3, START, "weak", 2, bad=False, source="client"),
        observed(4, START, "weak", 1, bad=False, source="shadow"),
        observed(5, START, "shadow", None, bad=False, source="shadow", model="large"),
    ]
    agreement = ModelAgreement()
    for _ in range(3):
        agreement = agreement.after(rows, weak="small", version=2, began=START)
    assert (agreement.agreed, agreement.differed) == (1, 1)
    other = agreement.after(rows, weak="small", version=1, began=START)
    assert (other.agreed, other.differed) == (1, 0)


def test_nothing_is_certain_before_there_are_comparisons() -> None:
    """And with more of them more is."""
    assert ModelAgreement().bound(0.01) == 0.0
    assert ModelAgreement(agreed=50).bound(0.01) < ModelAgreement(agreed=500).bound(0.01) < 1


def test_drift_is_noticed_once_and_says_when() -> None:
    """Labels of the live version wrong in 30% of cases where 5% were measured."""
    randomness = random.Random(3)
    watch = drift_watch("2", 2, PROMISED)
    assert watch is not None
    noticed = []
    for look in range(60):
        rows = [
            observed(10 * look + at, START + look, "weak", 2, bad=randomness.random() < 0.3, source="client")
            for at in range(5)
        ]
        watch = watch.after(rows, weak="small", began=START, now=START + look)
        noticed.append(watch.noticed_at)
    first = next(at for at in noticed if at is not None)
    assert {at for at in noticed if at is not None} == {first} and first < START + 40
    assert "the verification promised at most" in watch.why


def test_the_same_labels_twice_are_no_drift() -> None:
    """One mistake that is read a hundred times is one mistake."""
    watch = drift_watch("2", 2, PROMISED)
    for _ in range(100):
        assert watch is not None
        watch = watch.after(
            [observed(1, START, "weak", 2, bad=True, source="client")], weak="small", began=START, now=START
        )
    assert watch is not None and (watch.wrong, watch.noticed_at) == (1, None)


def test_without_a_measurement_there_is_no_promise_to_break() -> None:
    """Nor is there one that everything fits."""
    assert drift_watch("2", 2, None) is None
    hopeless = Measured(accuracy=0.0, n=50)
    found = drift_watch("2", 2, Evidence(
        verdict="cannot tell", before=hopeless, after=hopeless, fixed=0, broken=0, items_used=50, p_value=1.0,
        interval=(0, 0),
    ))  # fmt: skip
    assert found is not None and 0 < found.drift.baseline < 1
