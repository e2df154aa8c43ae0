"""What begins a cycle, and what does not."""

from typing import Any

import msgspec
import pytest

from gateway.domain import CycleRecord, Exchange, Feedback, ToolCall
from gateway.settings import NumericGrader
from gateway.settings.graders import JudgeGrader, ToolCallGrader
from gateway.store.base import Graded
from gateway.store.notes import DriftNotice
from optimizer.dataset.graded_exchanges import examples_from
from optimizer.dataset.items import Examples
from optimizer.scheduling.triggers import (
    LearningTrigger,
    UpstreamModel,
    drift_time,
    is_incumbents,
    items_of,
    may_be_wrong,
    mistakes_in,
    served_now,
    suspects,
    trigger_for,
)
from tests.fakes import settings

SECTION = settings().tasks["arithmetic"]
LAST = CycleRecord(id=1, task="t", started=100.0, plan=b"{}")


def graded(question: str, reply: str = "5", *, calls: tuple[ToolCall, ...] = (), **feedback: Any) -> Graded:
    request = msgspec.json.encode({"messages": [{"role": "user", "content": question}]})
    exchange = Exchange(
        id=question, created=50.0, task="t", client_model="m", model="small", arm="weak", rules=None, stream=False,
        status="ok", http_status=200, request=request, reply=reply, tool_calls=calls,
    )  # fmt: skip
    return Graded(exchange=exchange, feedback=Feedback(exchange_id=question, created=60.0, **feedback))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, LearningTrigger(reason="mistakes", since=100.0, needed=5)),
        ({"last": None}, LearningTrigger(reason="mistakes", since=0.0, needed=5)),
        ({"drifted": 101.0}, LearningTrigger(reason="drift", since=100.0, needed=3)),
        ({"drifted": 99.0}, LearningTrigger(reason="mistakes", since=100.0, needed=5)),
        ({"drifted": 101.0, "new_model": True}, LearningTrigger(reason="a new model", since=100.0, needed=0)),
        ({"now": 90.0}, LearningTrigger(reason="mistakes", since=0.0, needed=5)),
    ],
)
def test_what_a_cycle_waits_for(given: dict[str, Any], expected: LearningTrigger) -> None:
    """All new mistakes, half of them after drift, none for a new model; a last cycle of tomorrow hides nothing."""
    state: dict[str, Any] = {"last": LAST, "now": 200.0, "min_mistakes": 5, "drifted": None, "new_model": False}
    known = state | given
    assert trigger_for(known.pop("last"), **known) == expected


def test_another_model_under_the_same_name_is_noticed_once_it_was_noted() -> None:
    """What was never noted has always been there."""
    always = UpstreamModel(model="mock tiny", since=0.0)
    assert served_now(None, "mock tiny", 9.0) == (always, False)
    noted = UpstreamModel(model="mock tiny", since=3.0)
    assert served_now(noted, "mock tiny", 9.0) == (UpstreamModel(model="mock tiny", since=3.0), False)
    assert served_now(noted, "mock other", 9.0) == (UpstreamModel(model="mock other", since=9.0), True)


def test_drift_is_the_live_versions() -> None:
    """That of an earlier version was answered when it was replaced."""
    notice = DriftNotice(time=7.0, version=2, why="wrong more often")
    assert drift_time(notice, 2) == 7.0
    assert drift_time(notice, 3) is drift_time(notice, None) is drift_time(None, 2) is None


def test_own_replies_are_the_present_models_under_the_live_version() -> None:
    """Not those of the model that stood under its name before."""
    one = graded("a", expected=5)
    assert is_incumbents(one, SECTION, None, UpstreamModel(model="m", since=0.0))
    assert not is_incumbents(one, SECTION, None, UpstreamModel(model="m", since=51.0))
    assert not is_incumbents(one, SECTION, 1, UpstreamModel(model="m", since=0.0))


def test_all_who_say_wrong_count() -> None:
    """A client, a shadow by the expected answer, an outcome without one; praise does not."""
    told = [
        graded("a", correct=False),
        graded("b", expected=6, source="shadow"),
        graded("c", correct=False, source="outcome", comment="empty"),
        graded("d", correct=True),
        graded("e", score=1.0),
        graded("f", expected=5),
    ]
    assert [may_be_wrong(one) for one in told] == [True, True, True, False, False, True]
    examples = examples_from(told, NumericGrader(), model="small", rules=None)
    every = set(items_of(told).values())
    assert mistakes_in(examples, every) == 3
    assert mistakes_in(examples, items_of(told[1:]).values()) == 2
    assert mistakes_in(Examples(), every) == mistakes_in(examples, ()) == 0


def test_what_is_no_request_is_no_item() -> None:
    """Nothing is raised for it."""
    broken = msgspec.structs.replace(graded("a").exchange, request=b"[]")
    assert items_of([Graded(exchange=broken, feedback=Feedback(exchange_id="a", created=1.0))]) == {}


def test_where_records_cannot_be_graded_another_answer_than_the_expected_one_is_suspect() -> None:
    """Of a judge's task in other words; a verdict leaves nothing to suspect, and recorded calls are graded."""
    told = [graded("a", "Rome", expected="Oslo"), graded("b", "Oslo ", expected="Oslo"),
            graded("c", "Rome", expected="Oslo", correct=False), graded("d", "Rome", correct=False)]  # fmt: skip
    assert suspects(told, JudgeGrader(model="m")) == 1
    assert suspects(told, NumericGrader()) == 0
    add, call = {"name": "add", "arguments": {"a": 1}}, ToolCall(name="add", arguments='{"a": 1}')
    called = [graded("a", "", expected=add, calls=(call,)), graded("b", "", expected=add),
              graded("c", "", expected="nonsense")]  # fmt: skip
    assert suspects(called, ToolCallGrader()) == 0
    examples = examples_from(called, ToolCallGrader(), model="small", rules=None)
    assert mistakes_in(examples, examples.seen.keys()) == 1
