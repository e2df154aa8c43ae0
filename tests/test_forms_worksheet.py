"""A form that the model fills in, a decision of the gateway, and the reply in the caller's own words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain import Rule
from gateway.errors import BadRequest
from gateway.forms.examples import ExampleSet, ExamplesForm
from gateway.forms.guidance import Guidance
from gateway.forms.none import NONE
from gateway.forms.tags import TAGS
from gateway.forms.two_pass import TWO_PASS
from gateway.forms.worksheet import LONGEST_TEXT, WORKSHEET_TOKENS, WorksheetForm
from gateway.teaching import DecisionRule, Example, Worksheet
from tests.conversations import SYSTEM, USER, asked, guided, sent

SHEET = Worksheet(
    schema={"properties": {"days": {"type": "integer"}, "item": {"enum": ["cup", "plate"]}}, "required": ["days"]},
    decisions=(
        DecisionRule(when="days > 30", result="refuse"),
        DecisionRule(when="item == 'cup' && text.contains('broke')", result="packaging"),
        DecisionRule(when="item == 'plate'", result="returns"),
    ),
)
FORM = WorksheetForm(NONE, SHEET)
LINE = "By the house rules the right answer is: {result}\nReply with {result}, in the form that was asked for."
QUESTION = {"role": "user", "content": "My cup broke"}
REQUEST = asked(SYSTEM, QUESTION)


def reply_to(
    answer: str, form: WorksheetForm = FORM, guidance: Guidance | None = None, **fields: Any
) -> dict[str, Any]:
    """The body of the pass behind a filled-in form."""
    request = asked(SYSTEM, QUESTION, **fields)
    step = form.first_pass(request, guidance or guided("Be kind.")).following(answer)
    assert step is not None
    return sent(request, step)


def test_the_form_is_asked_for_with_a_schema_and_in_words() -> None:
    """The model sees the schema even if its server knows none; nothing of the caller's reply shapes this answer.

    The schema stands before the question, the same bytes for every request: a prompt cache reads it once.
    """
    request = asked(SYSTEM, QUESTION, stream=True, stop="4", max_tokens=3, tools=[{}], store=True)
    step = FORM.first_pass(request, guided("Be kind."))
    body = sent(request, step)
    assert not step.shown and step.optional == ("response_format",)
    assert body["response_format"]["json_schema"]["schema"] == SHEET.schema
    assert body["messages"][0]["content"].startswith(SYSTEM["content"])
    assert body["messages"][0]["content"].endswith(json.dumps(SHEET.schema, separators=(",", ":")))
    assert body["messages"][-1]["content"].startswith("My cup broke\n\nFill in")
    assert set(body) == {"model", "messages", "max_tokens", "response_format", "store"}
    assert (body["max_tokens"], body["store"]) == (WORKSHEET_TOKENS, False)


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ('{"days": 40, "item": "cup"}', "refuse"),
        ('{"days": 3, "item": "cup"}', "packaging"),
        ('{"days": 3, "item": "plate"}', "returns"),
    ],
)
def test_the_first_rule_that_holds_decides(answer: str, result: str) -> None:
    """The reply is asked for by the caller's own prompt, with the decision behind the question."""
    body = reply_to(answer, stop="4", max_tokens=3)
    system, question = body["messages"]
    assert question["content"] == f"My cup broke\n\n{LINE.format(result=result)}"
    assert system["content"].endswith("1. Be kind.")
    assert (body["stop"], body["max_tokens"]) == ("4", 3)


@pytest.mark.parametrize(("before", "decided"), [(LONGEST_TEXT - 5, True), (LONGEST_TEXT - 4, False)])
def test_conditions_read_the_beginning_of_a_question(before: int, decided: bool) -> None:
    """Whatever stands behind the bound decides nothing."""
    request = asked(SYSTEM, {"role": "user", "content": "x" * before + "broke"})
    step = FORM.first_pass(request, guided("Be kind.")).following('{"days": 3, "item": "cup"}')
    assert step is not None
    assert sent(request, step)["messages"][-1]["content"].endswith(LINE.format(result="packaging")) is decided


def test_without_a_decision_there_is_no_line() -> None:
    """The list has no line for this case; the rules are sent all the same."""
    body = reply_to('{"days": 3}')
    assert body["messages"][-1] == QUESTION and "Be kind." in body["messages"][0]["content"]


def test_a_decision_is_no_template() -> None:
    """Braces of a decision or of a question mean nothing."""
    decision = DecisionRule(when="", result="{result} {0}")
    sheet = Worksheet(schema=SHEET.schema, decisions=(decision,), reply_line="So: {result}")
    body = reply_to('{"days": 3}', WorksheetForm(NONE, sheet))
    assert body["messages"][-1]["content"].endswith("So: {result} {0}")


ANSWERING = WorksheetForm(NONE, structs.replace(SHEET, decide="answer"))


def decided(**fields: Any) -> str | None:
    """The reply of the gateway's own to a message of 40 days."""
    step = ANSWERING.first_pass(asked(SYSTEM, QUESTION, **fields), guided()).following('{"days": 40}')
    assert step is not None
    return step.reply


@pytest.mark.parametrize("fields", [{}, {"stop": "x"}, {"max_tokens": 9}, {"response_format": {"type": "text"}}])
def test_a_decision_may_be_the_reply(fields: dict[str, Any]) -> None:
    """Wherever a label alone is asked for."""
    assert decided(**fields) == "refuse"


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2}, {"tools": [{}]}, {"functions": [{}]}, {"logprobs": True}, {"top_logprobs": 2}, {"stop": ["fus"]},
        {"logit_bias": {"1": 5}}, {"modalities": ["text", "audio"]}, {"max_tokens": 1}, {"max_completion_tokens": 1},
        {"store": True}, {"response_format": {"type": "json_object"}}, {"response_format": {"type": "grammar"}},
    ],
)  # fmt: skip
def test_a_request_for_more_than_a_label_is_the_models(fields: dict[str, Any]) -> None:
    """The gateway has neither chances nor choices to give; a stop sequence would cut the label."""
    assert decided(**fields) is None


def test_rules_may_depend_on_the_fields() -> None:
    """A request gets the rules that concern it."""
    guidance = guided("Be kind.", Rule(text="Name the fee.", when="days > 2"), Rule(text="No.", when="days > 9"))
    content = reply_to('{"days": 3}', guidance=guidance)["messages"][0]["content"]
    assert "2. Name the fee." in content and "No." not in content


@given(st.text())
def test_a_form_that_is_not_filled_in_leaves_the_request_as_it_came(answer: str) -> None:
    """Not a byte of it changes, and the reason is known."""
    step = FORM.first_pass(REQUEST, guided("Be kind.")).following(answer)
    assert step is not None
    if step.why:
        assert (step.why, step.changes, step.shown) == ("worksheet", {}, True)


def test_a_refused_form_leaves_the_request_as_it_came() -> None:
    """A model that refuses the schema and the words, or a question that is too long with them."""
    step = FORM.first_pass(REQUEST, guided("Be kind."))
    assert step.without_answer is not None
    assert (step.without_answer().why, step.without_answer().changes) == ("worksheet", {})


def test_a_working_follows_the_decision() -> None:
    """In the scratchpad of the version, with the decision in view."""
    first = WorksheetForm(TWO_PASS, SHEET).first_pass(REQUEST, guided("Be kind."))
    working = first.following('{"days": 40}')
    assert working is not None and not working.shown
    assert sent(REQUEST, working)["messages"][-1]["content"].endswith(LINE.format(result="refuse"))
    reply = working.following("I refuse.")
    assert reply is not None and sent(REQUEST, reply)["messages"][-1]["content"].endswith("Working:\nI refuse.")


def test_examples_stand_in_the_reply_and_not_in_the_form() -> None:
    """They answer in the caller's form; the worksheet has a form of its own."""
    examples = ExampleSet([Example(question="A plate broke", answer="returns", shared=True)], "nearest", 1)
    first = ExamplesForm(FORM, examples).first_pass(REQUEST, Guidance())
    reply = first.following('{"days": 40}')
    assert reply is not None
    assert len(sent(REQUEST, first)["messages"]) == 2 and len(sent(REQUEST, reply)["messages"]) == 4


@pytest.mark.parametrize(("fields", "obstacle"), [({}, None), ({"tools": [{}]}, None), ({"n": 2}, None)])
def test_a_worksheet_fits_every_question(fields: dict[str, Any], obstacle: str | None) -> None:
    """The reply is the caller's own business."""
    assert FORM.obstacle(asked(**fields)) == obstacle


def test_a_worksheet_needs_a_question() -> None:
    """Behind a tool's result there is none."""
    assert FORM.obstacle(asked(USER, {"role": "tool", "tool_call_id": "t", "content": "4"})) == "no_question"


def test_the_scratchpad_s_obstacles_and_substitute_count() -> None:
    """A version is sent whole."""
    assert WorksheetForm(TAGS, SHEET).obstacle(asked(tools=[{}])) == "tools"
    assert WorksheetForm(TAGS, SHEET).for_request(asked(stop="4")).name == "worksheet+two_pass"
    assert FORM.for_request(asked()) is FORM


def test_a_worksheet_that_cannot_serve_is_refused() -> None:
    """A bad condition or a bad schema."""
    for sheet in (
        Worksheet(schema=SHEET.schema, decisions=(DecisionRule(when="days >", result="x"),)),
        Worksheet(schema={"properties": {}}),
    ):
        with pytest.raises(BadRequest):
            WorksheetForm(NONE, sheet)
