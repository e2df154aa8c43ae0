"""Graded exchanges as items: whose label counts, which replies are the incumbent's, what may measure."""

import json
from typing import Any

import msgspec

from gateway.domain import Exchange, Feedback, ToolCall
from gateway.settings import NumericGrader
from gateway.settings.graders import JudgeGrader, PythonGrader, ToolCallGrader
from gateway.store.base import Graded
from optimizer.dataset.graded_exchanges import examples_from

GRADER = NumericGrader()


def graded(
    question: str, reply: str | None, *, rules: int | None = None, model: str = "small", **feedback: Any
) -> Graded:
    request = {"model": "gpt", "stream": True, "temperature": 1, "messages": [{"role": "user", "content": question}]}
    exchange = Exchange(
        id=question, created=1.0, task="t", client_model="gpt", model=model, arm="weak", rules=rules, stream=True,
        status="ok", http_status=200, request=json.dumps(request).encode(), reply=reply,
    )  # fmt: skip
    return Graded(exchange=exchange, feedback=Feedback(exchange_id=question, created=2.0, **feedback))


def test_graded_exchanges_become_items_with_the_incumbents_replies() -> None:
    """The label is the feedback's, or the reply's where that was called right; delivery is stripped."""
    examples = examples_from(
        [graded("a", "It is 5", expected=6), graded("b", "It is 7", correct=True), graded("c", "8", score=1.0)],
        GRADER, model="small", rules=None,
    )  # fmt: skip
    assert [item.expected for item in examples.items] == [6, "7", "8"]
    assert [examples.seen[item.id].correct for item in examples.items] == [False, True, True]
    assert json.loads(examples.items[0].request) == {
        "temperature": 1, "messages": [{"role": "user", "content": "a"}],
    }  # fmt: skip


def test_a_mistake_without_a_label_is_for_induction_only() -> None:
    """It cannot measure anything; praise and half scores say even less."""
    examples = examples_from(
        [graded("a", "5", correct=False), graded("b", "5", score=0.0), graded("c", "5", score=0.4), graded("d", None)],
        GRADER, model="small", rules=None,
    )  # fmt: skip
    assert not examples.items and [mistake.reply for mistake in examples.mistakes] == ["5", "5"]


def test_replies_of_another_model_or_version_are_not_the_incumbents() -> None:
    """Their questions and labels still count."""
    examples = examples_from(
        [graded("a", "5", rules=1, expected=5), graded("b", "5", rules=2, expected=5),
         graded("c", "5", rules=2, model="large", expected=5), graded("d", "5", rules=1, correct=False)],
        GRADER, model="small", rules=2,
    )  # fmt: skip
    assert len(examples.items) == 3 and len(examples.seen) == 1 and not examples.mistakes


def test_feedback_that_cannot_be_graded_is_listed_not_raised() -> None:
    """A label that is no number, and two clients who disagree."""
    examples = examples_from(
        [graded("a", "5", expected="five"), graded("b", "5", expected=1), graded("b", "5", expected=2)],
        GRADER, model="small", rules=None,
    )  # fmt: skip
    assert not examples.items and not examples.seen
    assert [complaint.split(":")[0] for complaint in examples.complaints] == ["exchange a", "exchange b"]


def test_a_reply_without_a_call_is_wrong_where_a_call_is_expected() -> None:
    """Whatever the client says of it: the record holds the calls."""
    wanted = {"name": "add", "arguments": {}}
    examples = examples_from(
        [graded("a", "", expected=wanted, correct=False), graded("b", "", expected=wanted, correct=True),
         graded("c", "", expected=wanted)],
        ToolCallGrader(), model="small", rules=None,
    )  # fmt: skip
    assert len(examples.items) == 3 and not examples.complaints
    assert [seen.correct for seen in examples.seen.values()] == [False, False, False]


def test_a_judge_is_not_asked_about_recorded_replies() -> None:
    """Feedback says whether they were right; one that was is a reference, and nobody's word makes none."""
    examples = examples_from(
        [graded("a", "Rome", expected="Oslo", correct=False), graded("b", "Bonn", correct=True),
         graded("c", "Rome", expected="Oslo"), graded("d", "Rome", correct=False)],
        JudgeGrader(model="m"), model="small", rules=None,
    )  # fmt: skip
    assert [item.expected for item in examples.items] == ["Oslo", "Bonn", "Oslo"] and not examples.complaints
    assert [seen.correct for seen in examples.seen.values()] == [False, True]
    assert [mistake.reply for mistake in examples.mistakes] == ["Rome"]


def test_an_empty_reply_labels_nothing() -> None:
    """Nobody wants nothing, whatever the client says of it."""
    examples = examples_from([graded("a", "", correct=True)], ToolCallGrader(), model="small", rules=None)
    assert not examples.items and examples.complaints[0].startswith("exchange a: ")


def test_a_grader_that_fails_on_a_recorded_reply_leaves_it_to_the_feedback() -> None:
    """The question and its label count all the same."""
    lost = PythonGrader(call="nowhere:grade")
    examples = examples_from(
        [graded("a", "5", expected=5), graded("b", "5", expected=6, correct=False)], lost, model="small", rules=None
    )
    assert len(examples.items) == 2 and [seen.correct for seen in examples.seen.values()] == [False]


def test_recorded_calls_are_graded() -> None:
    """An empty reply with a call is an answer, and a right call labels the next question like it."""
    wanted = {"name": "add", "arguments": {"to": 1}}
    called = ToolCall(name="add", arguments='{"to": 1}')
    pairs = [graded("a", "", expected=wanted), graded("b", "", correct=True)]
    recorded = [
        msgspec.structs.replace(pair, exchange=msgspec.structs.replace(pair.exchange, tool_calls=(called,)))
        for pair in pairs
    ]
    examples = examples_from(recorded, ToolCallGrader(), model="small", rules=None)
    assert [seen.correct for seen in examples.seen.values()] == [True, True]
    assert examples.items[1].expected == [wanted]


def test_a_person_s_label_counts_more_than_a_model_s() -> None:
    """Where they contradict each other, the model's is left out and named; the item stays."""
    shadow = graded("a", "5", expected=6, source="shadow", labeller="large")
    person = graded("a", "5", expected=7, labeller="ann")
    for order in ([shadow, person], [person, shadow]):
        examples = examples_from(order, GRADER, model="small", rules=None)
        (item,) = examples.items
        assert (item.expected, item.labelled_by, item.labellers) == (7, "", ("ann",))
        assert "large answers otherwise" in examples.complaints[0]


def test_labels_that_agree_name_everybody_behind_them() -> None:
    """And are no longer a model's own."""
    shadow = graded("a", "5", expected=6, source="shadow", comment="large")
    person = graded("a", "5", expected="6", key="team")
    (item,) = examples_from([shadow, person], GRADER, model="small", rules=None).items
    assert item.labelled_by == "" and set(item.labellers) == {"large", "key team"}


def test_an_item_carries_its_provenance() -> None:
    """The audit rate, the key, the tenant and the conversation of its exchange."""
    pair = graded("a", "5", expected=6)
    request = json.loads(pair.exchange.request) | {"user": "u1"}
    exchange = msgspec.structs.replace(pair.exchange, key="team", audit_rate=0.25, request=json.dumps(request).encode())
    (item,) = examples_from([msgspec.structs.replace(pair, exchange=exchange)], GRADER, model="small", rules=None).items
    assert (item.key, item.audit_rate, item.is_audited) == ("team", 0.25, True)
    assert item.tenant is not None and len(item.tenant) == 16
    (chosen,) = examples_from([pair], GRADER, model="small", rules=None).items
    assert not chosen.is_audited


def test_turns_of_one_conversation_share_a_cluster() -> None:
    """Five turns are no five independent questions."""
    turns: list[dict[str, str]] = []
    pairs = []
    for number in range(5):
        turns.append({"role": "user", "content": f"Question {number} about something new"})
        pair = graded(f"x{number}", str(number), expected=number)
        request = json.dumps({"messages": turns}).encode()
        pairs.append(msgspec.structs.replace(pair, exchange=msgspec.structs.replace(pair.exchange, request=request)))
        turns.append({"role": "assistant", "content": str(number)})
    other = graded("Another beginning", "9", expected=9)
    *talk, alone = examples_from([*pairs, other], GRADER, model="small", rules=None).items
    assert len({item.unit for item in talk}) == 1 and alone.cluster == ""


def test_comments_and_the_graders_words_stand_beside_wrong_replies() -> None:
    """They say what a bare "wrong" does not; a right reply needs none."""
    examples = examples_from(
        [
            graded("a", "5 or 6", expected=6, comment="Pick one."),
            graded("b", "7", expected=7, comment="Fine."),
            graded("c", "x", correct=False, comment="No letters!"),
        ],
        GRADER, model="small", rules=None,
    )  # fmt: skip
    assert [examples.seen[item.id].remark.text for item in examples.items] == [
        "comment: Pick one.\ncheck: the reply states several numbers", "",
    ]  # fmt: skip
    assert [mistake.remark.text for mistake in examples.mistakes] == ["comment: No letters!"]


def test_everybody_who_gave_the_same_answer_is_a_labeller() -> None:
    """Two of them make a solved example; another answer, or one that cannot be read, confirms nothing."""
    pair = graded("a", "5", expected=6, labeller="ann")
    others = tuple(
        Feedback(exchange_id="a", created=1.0, **given)
        for given in (
            {"expected": 6, "labeller": "ann"},
            {"expected": "6.0", "labeller": "ben"},
            {"expected": 7, "labeller": "cid"},
            {"expected": "six", "labeller": "dan"},
            {"correct": False, "labeller": "eve"},
            {"expected": 6, "labeller": "large", "source": "shadow"},
        )
    )
    (item,) = examples_from([msgspec.structs.replace(pair, others=others)], GRADER, model="small", rules=None).items
    assert item.labellers == ("ann", "ben", "large")
