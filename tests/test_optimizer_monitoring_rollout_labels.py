"""Agreement and drift: each conversation once, by the labels of the right replies."""

import random

from gateway.domain import Evidence, Measured, Source
from optimizer.monitoring.rollout.comparison import ArmCounts
from optimizer.monitoring.rollout.labels import DriftWatch, ModelAgreement, drift_watch
from tests.rollouts import START, judged, observed

PROMISED = Evidence(
    verdict="better", before=Measured(accuracy=0.5, n=200), after=Measured(accuracy=0.95, n=200), fixed=90, broken=0,
    items_used=200, p_value=0.0, interval=(0.4, 0.5),
)  # fmt: skip


def test_agreement_counts_each_conversation_once() -> None:
    """Of replies to callers and of those in the background; not clients' words, other rules, or the strong model's."""
    labels = [
        judged(observed(1, START, "weak", 2, bad=False, source="shadow", cluster="a")),
        judged(observed(2, START, "shadow", 2, bad=True, source="shadow", cluster="b")),
        judged(observed(3, START, "weak", 2, bad=False, source="client")),
        judged(observed(4, START, "weak", 1, bad=False, source="shadow")),
        judged(observed(5, START, "shadow", None, bad=False, source="shadow", model="large")),
        judged(observed(6, START, "weak", 2, bad=True, source="shadow", cluster="a")),
    ]
    agreement = ModelAgreement().after(labels, weak="small", version=2, began=START)
    assert (agreement.agreed, agreement.differed) == (1, 1)
    later = agreement.after(labels[-1:], weak="small", version=2, began=START)
    assert (later.agreed, later.differed) == (1, 1)
    other = agreement.after(labels, weak="small", version=1, began=START)
    assert (other.agreed, other.differed) == (1, 0)


def test_nothing_is_certain_before_there_are_comparisons() -> None:
    """And with more of them more is."""
    assert ModelAgreement().bound(0.01) == 0.0
    assert ModelAgreement(agreed=50).bound(0.01) < ModelAgreement(agreed=500).bound(0.01) < 1


def watched(chance: float, *, turns: int = 1, looks: int = 60, seed: int = 3, source: Source = "label") -> DriftWatch:
    """After looks of five conversations each, an hour apart; all turns of a conversation succeed or fail together."""
    randomness, watch = random.Random(seed), drift_watch("2", 2, PROMISED)
    assert watch is not None
    for look in range(looks):
        labels = []
        for at in range(5):
            bad = randomness.random() < chance
            labels += [
                judged(
                    observed(100 * look + at, START + look, "weak", 2, bad=bad, source=source, cluster=f"{look} {at}")
                )
                for _ in range(turns)
            ]
        watch = watch.after(labels, weak="small", began=START, now=START + 3600 * look)
    return watch


def test_drift_is_noticed_once_and_says_when() -> None:
    """Labels of the live version wrong in 30% of cases where 5% were measured."""
    early, late = watched(0.3, looks=40), watched(0.3)
    assert early.noticed_at is not None and late.noticed_at == early.noticed_at < START + 40 * 3600
    assert "the verification promised at most" in late.why
    assert watched(0.3, source="client").noticed_at is None


def test_conversations_whose_turns_share_a_fate_are_no_drift() -> None:
    """Twelve turns each, all right or all wrong, 5% wrong as promised: what counts is the conversation."""
    assert [watched(0.05, turns=12, seed=seed).noticed_at for seed in range(20)] == [None] * 20


def test_complaints_on_more_replies_than_may_be_wrong_are_drift() -> None:
    """Among audited replies, labelled or not: complaints show a part of what is wrong at least."""
    watch = drift_watch("2", 2, PROMISED)
    assert watch is not None
    calm = watch.after_complaints(ArmCounts(), ArmCounts(audited=1000, complaints=50), START)
    assert calm.noticed_at is None and calm.complained == 50
    alarmed = watch.after_complaints(ArmCounts(audited=5), ArmCounts(audited=205, complaints=80), START + 9)
    assert alarmed.noticed_at == START + 9 and "complaints came on 80 of" in alarmed.why


def test_without_a_measurement_there_is_no_promise_to_break() -> None:
    """Nor is there one that everything fits."""
    assert drift_watch("2", 2, None) is None
    hopeless = Measured(accuracy=0.0, n=50)
    found = drift_watch("2", 2, Evidence(
        verdict="cannot tell", before=hopeless, after=hopeless, fixed=0, broken=0, items_used=50, p_value=1.0,
        interval=(0, 0),
    ))  # fmt: skip
    assert found is not None and 0 < found.labels.baseline < 1
