"""The two versions of a comparison, and equal answers; the calls are told with ``paired_answers``."""

from pathlib import Path

import pytest

from gateway.domain import Activation, Evidence, Measured, RuleSet, Usage
from gateway.settings.graders import NumericGrader
from gateway.store.base import Store
from optimizer.dataset.items import item_of_request
from optimizer.evaluation.evaluator import Answer
from optimizer.monitoring.shadow.both_versions import are_equal, contest_of
from tests.test_optimizer_monitoring_shadow_paired_answers import decided
from tests.traffic import TASK, background, exchange, gateway_of, live


def said(text: str) -> Answer:
    return Answer(text=text, usage=Usage(), latency_s=0.1, finish_reason="stop")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("7", "7.0", True), ("7", "8", False), ("I cannot say", "8", False), ("8", "I cannot say", False),
     ("I cannot say", "I cannot say", True), ("I cannot say", "Nor can I", None)],
)  # fmt: skip
async def test_answers_are_equal_if_the_grader_takes_them_for_the_same(
    store: Store, tmp_path: Path, first: str, second: str, expected: bool | None
) -> None:
    """Where neither names an answer, only equal words are equal."""
    with background(tmp_path, gateway_of(None, store, live())) as behind:
        item, one, other = item_of_request(exchange(1).request), said(first), said(second)
        assert await are_equal(behind.evaluator(), NumericGrader(), item, one, other) is expected


def test_a_live_version_is_compared_with_that_of_its_verification() -> None:
    """Or, if nobody verified it, with what was live before; with itself never."""
    measured = Measured(accuracy=0.9, n=50)
    evidence = Evidence(
        verdict="better", before=measured, after=measured, fixed=1, broken=0, items_used=50, p_value=0.1,
        interval=(0, 1), against=1,
    )  # fmt: skip
    known = {
        1: RuleSet(task=TASK, version=1), 2: RuleSet(task=TASK, version=2),
        3: RuleSet(task=TASK, version=3, evidence=evidence),
    }  # fmt: skip

    def against(*history: Activation) -> tuple[int, int | None, bool] | None:
        contest = contest_of(history, known.get)
        return (contest.version, contest.against, contest.trial) if contest is not None else None

    assert against(decided("live", 2), decided("live", 3)) == (3, 1, False)
    assert against(decided("live", 1), decided("live", 2)) == (2, 1, False)
    assert against(decided("live", 2)) == (2, None, False)
    assert against(decided("live", 2), decided("canary", 3, 0.1)) == (3, 2, True)
    assert against(decided("live", 1), decided("live", 1)) is None
    assert against() is None and against(decided("live", 9)) is None
