"""Values as rows, and back: nothing is lost on the way."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.domain import Exchange, Rule, RuleSet, ToolCall, Usage
from gateway.expected import excess
from gateway.store.rows import (
    decode_expected,
    encode_expected,
    exchange_of,
    exchange_row,
    json_texts,
    rule_set_of,
    rule_set_row,
    stored_texts,
    values_of,
)
from gateway.store.schema import exchanges
from gateway.teaching import DecisionRule, Example, Worksheet
from tests.test_store_sql import EXCHANGE

CALLED = msgspec.structs.replace(
    EXCHANGE, key="team", usage=Usage(prompt_tokens=3, output_tokens=4), tool_calls=(ToolCall(name="a", arguments="{"),)
)


@pytest.mark.parametrize("exchange", [EXCHANGE, CALLED], ids=["plain", "full"])
def test_an_exchange_comes_back_from_its_row(exchange: Exchange) -> None:
    """Its row has the table's columns, all and no other."""
    row = exchange_row(exchange)
    assert set(row) == set(exchanges.c.keys())
    assert exchange_of(row) == exchange


@pytest.mark.parametrize("text", ["1" + "0" * 400, '{"x":[-1' + "0" * 400 + "]}", "[" * 60 + "]" * 60, "{", ""])
def test_an_expected_answer_out_of_bounds_is_read_as_text(text: str) -> None:
    """Earlier versions stored any number and any depth; no reader may fail on them."""
    assert decode_expected(text) == text
    assert text in stored_texts(text)


@given(st.recursive(st.none() | st.booleans() | st.floats(-1e300, 1e300) | st.text(), st.lists))
def test_an_expected_answer_comes_back_from_its_text(expected: Any) -> None:
    """Whatever it is, within the bounds."""
    assume(not excess(expected))
    assert decode_expected(encode_expected(expected)) == expected


@pytest.mark.parametrize("text", ["ann", 'é"\n', "日本"])
def test_json_texts_hold_every_way_to_write_a_string(text: str) -> None:
    """With letters, and with escapes."""
    assert {msgspec.json.encode(text), json.dumps(text).encode()} == json_texts(text)


@pytest.mark.parametrize("exchange", [EXCHANGE, CALLED], ids=["plain", "full"])
def test_values_are_those_of_the_row(exchange: Exchange) -> None:
    """In the order of the columns."""
    columns = exchanges.c.keys()
    assert dict(zip(columns, values_of(columns)(exchange), strict=True)) == exchange_row(exchange)


def test_a_rule_set_comes_back_with_its_version() -> None:
    """The version is the row's, and every part comes back."""
    made = RuleSet(task="sums", rules=(Rule(text="Check the sign.", reason="It was lost."),))
    taught = msgspec.structs.replace(
        made,
        examples=(Example(question="2 - 3", answer="-1", origin="chatcmpl-1", key="shop", tenant="t1"),),
        examples_mode="fixed",
        nearest=8,
        worksheet=Worksheet(schema={"type": "object"}, decisions=(DecisionRule(when="a > 1", result="b"),)),
    )
    for rule_set in (made, taught):
        assert rule_set_of(rule_set_row(rule_set, 3)) == msgspec.structs.replace(rule_set, version=3)


def test_a_row_from_before_examples_and_worksheets_still_opens() -> None:
    """Its body holds rules and evidence alone."""
    made = RuleSet(task="sums", version=3, rules=(Rule(text="Check the sign."),))
    old = '{"rules":[{"text":"Check the sign.","reason":""}],"evidence":null}'
    assert rule_set_of(rule_set_row(made, 3) | {"body": old}) == made
