"""The gate: exact where it can be checked, and honest in the long run."""

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.paired_test import Finding, Gate, Pairs, mcnemar, paired_interval, smallest_detectable, wilson


def decide(gate: Gate, outcomes: list[tuple[bool, bool]]) -> Finding:
    """Run a gate over (incumbent right, candidate right) outcomes."""
    for look, upto in enumerate(gate.looks(), start=1):
        seen = outcomes[:upto]
        pairs = Pairs(
            both=seen.count((True, True)),
            fixed=seen.count((False, True)),
            broken=seen.count((True, False)),
            neither=seen.count((False, False)),
        )
        finding = gate.judge(look, pairs)
        if finding is not None:
            return finding
    raise AssertionError("no finding at the last look")


def drawn(randomness: random.Random, n: int, *, fixed: float, broken: float) -> list[tuple[bool, bool]]:
    """Independent pairs with given chances of being fixed and broken."""
    pairs = []
    for _ in range(n):
        chance = randomness.random()
        pairs.append((False, True) if chance < fixed else (True, False) if chance < fixed + broken else (True, True))
    return pairs


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_p_value_is_the_exact_binomial_one(fixed: int, broken: int) -> None:
    """The same as scipy's, without scipy's memory."""
    stats = pytest.importorskip("scipy.stats")
    reference = stats.binomtest(fixed, fixed + broken, alternative="greater").pvalue if fixed + broken else 1.0
    assert mcnemar(fixed, broken) == pytest.approx(reference, rel=1e-9)


def test_the_interval_reproduces_newcombes_table() -> None:
    """Newcombe 1998, table II, method 10: 36, 12, 2, 0 gives 0.0569 to 0.3404; nothing discordant is not certainty."""
    assert paired_interval(Pairs(both=36, fixed=12, broken=2)) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    low, high = paired_interval(Pairs(both=20))
    assert low < -0.1 and high > 0.1
    assert paired_interval(Pairs()) == (-1.0, 1.0)


@given(*[st.integers(0, 60)] * 4)
def test_the_interval_holds_the_change_and_mirrors_when_the_arms_swap(a: int, b: int, c: int, d: int) -> None:
    """Neither arm is favoured."""
    pairs = Pairs(both=a, fixed=b, broken=c, neither=d)
    low, high = paired_interval(pairs)
    change = (b - c) / pairs.n if pairs.n else 0.0
    assert -1 <= low <= change + 1e-9 and change - 1e-9 <= high <= 1
    swapped = paired_interval(Pairs(both=a, fixed=c, broken=b, neither=d))
    assert swapped == pytest.approx((-high, -low), abs=1e-9)


def test_wilsons_interval_is_the_textbook_one() -> None:
    """8 of 10: 0.490 to 0.943."""
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=5e-4)


@pytest.mark.parametrize(("n", "points"), [(50, 15), (100, 11), (250, 7), (580, 4.6), (1319, 3.1)])
def test_the_smallest_detectable_gain_is_the_published_one(n: int, points: float) -> None:
    """20% discordant pairs, 80% power, one-sided 5%."""
    assert 100 * smallest_detectable(n) == pytest.approx(points, abs=0.5)


def test_more_items_never_detect_less() -> None:
    """And one item detects nothing that could exist."""
    gains = [smallest_detectable(n) for n in (1, 2, 5, 10, 20, 50, 100, 1000)]
    assert gains == sorted(gains, reverse=True) and gains[0] == pytest.approx(1.0)


def test_looks_fall_on_the_quarters() -> None:
    """Rounded up, the last one on all items."""
    assert Gate(planned=40, margin=0.05).looks() == (10, 20, 30, 40)
    assert Gate(planned=10, margin=0.05).looks() == (3, 5, 8, 10)


@pytest.mark.parametrize(
    ("outcomes", "futility", "verdict", "items"),
    [
        ([(False, True)] * 40, True, "better", 20),
        ([(True, False)] * 40, True, "worse", 20),
        ([(True, True)] * 40, True, "cannot tell", 20),
        ([(True, True)] * 40, False, "cannot tell", 40),
        ([(True, True)] * 200, False, "non-inferior", 200),
        ([(True, False), (True, True)] * 20, False, "worse", 20),
        ([(False, True)] * 5 + [(True, True)] * 35, True, "better", 30),
        ([(True, False)] * 6 + [(False, True)] * 14 + [(True, True)] * 20, False, "non-inferior", 40),
        ([(False, True)] * 4 + [(True, True)] * 36, True, "non-inferior", 40),
        ([(False, True), (True, False), (True, True), (True, True)] * 10, False, "cannot tell", 40),
        ([(False, True), (True, False), (True, True), (True, True)] * 10, True, "cannot tell", 20),
    ],
)
def test_each_verdict_has_its_case(outcomes: list[tuple[bool, bool]], futility: bool, verdict: str, items: int) -> None:
    """Clear cases end early, hopeless ones too, the rest at the last look; 14 to 6 has z = 1.79, but p = 0.058."""
    finding = decide(Gate(planned=len(outcomes), margin=0.05, futility=futility), outcomes)
    assert (finding.verdict, finding.pairs.n) == (verdict, items), finding.note


def adopted_exactly(gate: Gate, *, fixed: float, broken: float) -> float:
    """The chance of an adoption, from the chances of every (fixed, broken) that a run can pass through."""
    chances, total, seen = {(0, 0): 1.0}, 0.0, 0
    for look, upto in enumerate(gate.looks(), start=1):
        for _ in range(upto - seen):
            following: dict[tuple[int, int], float] = {}
            for (f, b), chance in chances.items():
                for pair, share in (((f + 1, b), fixed), ((f, b + 1), broken), ((f, b), 1 - fixed - broken)):
                    following[pair] = following.get(pair, 0.0) + chance * share
            chances = following
        seen = upto
        for (f, b), chance in list(chances.items()):
            finding = gate.judge(look, Pairs(both=upto - f - b, fixed=f, broken=b))
            if finding is not None:
                total += chance * (finding.verdict == "better")
                del chances[f, b]
    return total


@pytest.mark.parametrize("planned", [10, 25, 40, 60])
@pytest.mark.parametrize("discordant", [0.05, 0.2, 0.4, 0.6])
def test_a_null_change_is_adopted_in_at_most_five_percent_of_runs(planned: int, discordant: float) -> None:
    """All four looks included, exactly, and without the help of stopping early for futility."""
    gate = Gate(planned=planned, margin=0.05, futility=False)
    assert adopted_exactly(gate, fixed=discordant / 2, broken=discordant / 2) <= 0.05


def test_one_of_many_tests_goes_on_where_one_alone_would_adopt() -> None:
    """And at the last look it says that it was one of many."""
    alone, strict = Gate(planned=100, margin=0.05), Gate(planned=100, margin=0.05, level=0.001)
    early = Pairs(both=30, fixed=9, broken=1, neither=10)
    assert (found := alone.judge(2, early)) is not None and found.verdict == "better"
    assert strict.judge(2, early) is None
    last = strict.judge(4, Pairs(both=70, fixed=16, broken=4, neither=10))
    assert last is not None and last.verdict == "non-inferior" and "scheduled" in last.note
    clear = strict.judge(2, Pairs(both=10, fixed=30, broken=1, neither=9))
    assert clear is not None and clear.verdict == "better" and "at least 4.64 was needed" in clear.note


@pytest.mark.parametrize(("level", "most"), [(0.043, 0.041), (0.015, 0.012), (0.001, 0.0005)])
def test_a_stricter_test_adopts_fewer_null_changes_than_its_level(level: float, most: float) -> None:
    """The numbers of docs/verification.md, at one of its sizes."""
    gate = Gate(planned=40, margin=0.05, futility=False, level=level)
    assert adopted_exactly(gate, fixed=0.2, broken=0.2) <= most


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 4), st.floats(0.0, 0.05))
def test_a_level_moves_nothing_but_gains(fixed: int, broken: int, look: int, level: float) -> None:
    """Losses, equality and futility are none of its business."""
    pairs = Pairs(both=10, fixed=fixed, broken=broken)
    alone = Gate(planned=80, margin=0.05).judge(look, pairs)
    if alone is None or alone.verdict != "better":
        assert Gate(planned=80, margin=0.05, level=level).judge(look, pairs) == alone


def test_at_level_zero_nothing_is_adopted() -> None:
    """An account that is used up waits for nobody."""
    found = Gate(planned=100, margin=0.05, level=0.0).judge(4, Pairs(fixed=100))
    assert found is not None and found.verdict != "better"


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 4))
def test_nothing_is_adopted_that_the_exact_test_would_not_call_significant(fixed: int, broken: int, look: int) -> None:
    """Whatever z says about a few pairs."""
    finding = Gate(planned=80, margin=0.05).judge(look, Pairs(fixed=fixed, broken=broken))
    assert finding is None or finding.verdict != "better" or mcnemar(fixed, broken) <= 0.05


def test_a_true_loss_is_hardly_ever_adopted_and_a_true_gain_mostly() -> None:
    """200 items: a loss of four points in under 2% of runs, a gain of fifteen in over 90%."""
    randomness = random.Random(7)
    gate = Gate(planned=200, margin=0.05)

    def adopted(fixed: float, broken: float) -> float:
        runs = [decide(gate, drawn(randomness, 200, fixed=fixed, broken=broken)).verdict for _ in range(1000)]
        return runs.count("better") / 1000

    assert adopted(0.08, 0.12) < 0.02
    assert adopted(0.20, 0.05) > 0.9


def test_early_looks_save_items_where_the_case_is_clear() -> None:
    """A gain of 40 points needs half the items or less on average, and so does no gain at all."""
    randomness = random.Random(9)
    gate = Gate(planned=200, margin=0.05)
    for fixed, broken in ((0.45, 0.05), (0.1, 0.1)):
        used = [decide(gate, drawn(randomness, 200, fixed=fixed, broken=broken)).pairs.n for _ in range(300)]
        assert sum(used) / 300 < 145


@pytest.mark.shared
def test_recorded_chain_of_thought_is_refused_where_it_truly_hurts(shared: Path) -> None:
    """On recorded replies of code-davinci-002: worse on two tasks, better on most of the nineteen where it helps."""
    recorded: dict[str, list[tuple[bool, bool]]] = {}
    with gzip.open(shared / "data" / "bbh_recorded.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            recorded.setdefault(row["task"], []).append((row["direct_correct"], row["cot_correct"]))
    verdicts = {}
    for task, outcomes in recorded.items():
        random.Random(task).shuffle(outcomes)
        verdicts[task] = decide(Gate(planned=len(outcomes), margin=0.05), outcomes).verdict
    assert verdicts["word_sorting"] != "better" and verdicts["ruin_names"] != "better"
    assert list(verdicts.values()).count("better") >= 15


def test_importing_the_optimizer_does_not_load_scipy_or_numpy() -> None:
    """It runs inside a gateway that must stay small."""
    modules = (
        "optimizer.distillation.cycle, optimizer.distillation.publish, optimizer.evaluation.judge_calibration, "
        "optimizer.scheduling.learner, optimizer.statistics.alpha_spending"
    )
    code = f"import sys, {modules}; print([m for m in ('scipy', 'numpy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert found.stdout.strip() == "[]"
