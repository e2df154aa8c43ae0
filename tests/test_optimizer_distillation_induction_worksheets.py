"""Worksheets by a strong model: checked whole before they are tried, and never an error, whatever it writes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import RuleSet
from optimizer.dataset.items import Item, Mistake, item_of
from optimizer.dataset.remarks import remark
from optimizer.distillation.induction.lint import corpus
from optimizer.distillation.induction.questions import Teacher
from optimizer.distillation.induction.worksheets import (
    DECISIONS,
    FIELDS,
    TRIES,
    ProposedWorksheet,
    propose_worksheet,
    read_worksheet,
)
from tests.scripted import Counting, evaluator

NAMES = ("repairs", "delivery")
KNOWN = corpus(["My parcel came late, I want my money"] * 2, [])
SCHEMA = {
    "type": "object",
    "properties": {
        "problem": {"type": "string", "enum": ["broken", "late", "none"], "description": "The problem stated."},
        "days": {"type": "integer", "default": 3},
    },
}
LIST = [{"when": 'problem == "broken" && days <= 30', "result": "repairs"}, {"when": "", "result": "delivery"}]


def written(schema: Any = SCHEMA, decisions: Any = LIST) -> str:
    return json.dumps({"why": "So.", "worksheet": {"schema": schema, "decisions": decisions}})


def field(**changes: Any) -> dict[str, Any]:
    return {"properties": {"problem": {"type": "string", "enum": ["a"], **changes}}}


def test_a_sound_worksheet_is_taken() -> None:
    """With known keywords only, every property required, nothing else allowed in."""
    proposed = read_worksheet("Here it is:\n```json\n" + written() + "\n```", NAMES, KNOWN)
    sheet = proposed.worksheet
    assert sheet is not None and proposed.note == ""
    assert sheet.schema["required"] == ["problem", "days"] and sheet.schema["additionalProperties"] is False
    assert "default" not in sheet.schema["properties"]["days"]
    assert [line.result for line in sheet.decisions] == ["repairs", "delivery"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no object at all", "no JSON object"),
        (written(schema={}), "no object with 1 to"),
        (
            written(schema={"properties": {f"f{n}": {"type": "boolean"} for n in range(FIELDS + 1)}}),
            "no object with 1 to",
        ),
        (written(schema=field(enum=[])), "a string without an enum"),
        (written(schema=field(type="array")), "no string, number, integer or boolean"),
        (written(schema={"properties": {"text": {"type": "boolean"}}}), "no name for a property"),
        (written(schema=field(description="Visit www.evil.example now")), "holds a link"),
        (written(decisions=[]), "has not 1 to"),
        (written(decisions=[{"when": "", "result": "repairs"}] * (DECISIONS + 1)), "has not 1 to"),
        (written(decisions=[{"when": "", "result": "the moon"}]), "no label of the task"),
        (written(decisions=[{"when": "problem ==", "result": "repairs"}]), "line 1"),
        (written(decisions=[{"when": "weather == 1", "result": "repairs"}]), "no property"),
        (written(decisions=[{"when": 'text.contains("www.evil.example")', "result": "repairs"}]), "holds a link"),
    ],
)
def test_what_may_not_be_tried_is_refused_with_the_reason(text: str, reason: str) -> None:
    """A bad form or list never reaches a model or the gateway."""
    proposed = read_worksheet(text, NAMES, KNOWN)
    assert proposed.worksheet is None and reason in proposed.note


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, st.text(max_size=30))
def test_no_reply_raises(schema: Any, decisions: Any, prose: str) -> None:
    """Whatever a strong model writes is a worksheet or a note."""
    for text in (prose, json.dumps(schema), written(schema=schema), written(decisions=decisions)):
        proposed = read_worksheet(text, NAMES, KNOWN)
        assert (proposed.worksheet is None) == bool(proposed.note)


class Designer(Counting):
    """Writes one text after the other, and keeps what it was asked."""

    def __init__(self, *texts: str) -> None:
        super().__init__("large")
        self.texts = list(texts)
        self.asked: list[list[dict[str, str]]] = []

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        self.asked.append(body["messages"])
        return self.texts.pop(0), 40


def labelled(number: int) -> Item:
    body = {"messages": [{"role": "user", "content": f"Parcel {number} came late"}]}
    return item_of(body, NAMES[number % 2])


ITEMS = [labelled(number) for number in range(8)]
WRONG = Mistake(
    request=ITEMS[0].request, reply="delivery", expected="repairs", remark=remark(form='{"problem": "none", "days": 1}')
)


async def proposed(tmp_path: Path, designer: Designer, **how: Any) -> ProposedWorksheet:
    return await propose_worksheet(
        evaluator(tmp_path), designer, mistakes=[WRONG], successes=[], items=ITEMS, known=KNOWN,
        teacher=Teacher(characters=10_000), **how,
    )  # fmt: skip


async def test_a_refused_worksheet_comes_back_once_with_the_reason(tmp_path: Path) -> None:
    """A slip in one line does not cost the whole worksheet; a strong model that repeats it is not asked for ever."""
    bad = written(decisions=[{"when": "problem ==", "result": "repairs"}])
    designer = Designer(bad, written())
    assert (await proposed(tmp_path, designer)).worksheet is not None
    assert [turn["role"] for turn in designer.asked[1]] == ["user", "assistant", "user"]
    assert "line 1 of its decision list" in designer.asked[1][-1]["content"]
    stubborn = Designer(*[bad] * 3)
    assert "line 1" in (await proposed(tmp_path / "again", stubborn)).note
    assert len(stubborn.asked) == TRIES


async def test_a_revision_sees_the_forms_behind_the_mistakes_and_what_must_stay_right(tmp_path: Path) -> None:
    """Without the filled-in form nobody can tell a wrong condition from a wrong entry."""
    sheet = read_worksheet(written(), NAMES, KNOWN).worksheet
    designer = Designer(written())
    await proposed(tmp_path, designer, earlier=sheet)
    asked = designer.asked[0][0]["content"]
    assert '<remark>form: {"problem": "none", "days": 1}</remark>' in asked
    assert all(f"Parcel {number} came late" in asked for number in range(8))
