"""A form that the model fills in, a decision of the gateway, and the reply in the caller's own words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Rule
from gateway.errors import BadRequest
from gateway.forms.examples import ExampleSet, ExamplesForm
from gateway.forms.guidance import Guidance
from gateway.forms.none import NONE
from gateway.forms.tags import TAGS
from gateway.forms.two_pass import TWO_PASS
from gateway.forms.worksheet import WORKSHEET_TOKENS, WorksheetForm
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
    """The model sees the schema even if its server knows none; nothing of the caller's reply shapes this answer."""
    request = asked(SYSTEM, QUESTION, stream=True, stop="4", max_tokens=3, tools=[{}], store=True)
    step = FORM.first_pass(request, guided("Be kind."))
    body = sent(request, step)
    assert not step.shown and step.optional == ("response_format",)
    assert body["response_format"]["json_schema"]["schema"] == SHEET.schema
    assert json.dumps(SHEET.schema, separators=(",", ":")) in body["messages"][-1]["content"]
    assert body["messages"][0] == SYSTEM and body["messages"][-1]["content"].startswith("My cup broke\n\nFill in")
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
    assert question["content"] == f"My cup broke\n\nBy the house rules this goes to: {result}"
    assert system["content"].endswith("1. Be kind.")
    assert (body["stop"], body["max_tokens"]) == ("4", 3)


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
    assert sent(REQUEST, working)["messages"][-1]["content"].endswith("goes to: refuse")
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
