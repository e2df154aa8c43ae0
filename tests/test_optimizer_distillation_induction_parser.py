"""Rules out of replies of all kinds, and none out of prose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Rule
from optimizer.distillation.induction.parser import MOST, rules_in

TWO = [Rule(text="Add first.", reason="It did not."), Rule(text="Then double.")]


@pytest.mark.parametrize(
    "reply",
    [
        '[{"rule": "Add first.", "reason": "It did not."}, {"rule": "Then double."}]',
        '```json\n[{"rule": "Add first.", "reason": "It did not."},\n {"rule": "Then double."}]\n```',
        'Here are [two] rules: {"rules": [{"text": "Add first.", "why": "It did not."}, "Then double."]} Enjoy!',
        '{"Rule": "Add first.", "Reason": "It did not."}\n{"Rule": "Then double."}',
        '{"rule1": {"rule": "Add first.", "reason": "It did not."}, "rule2": {"rule": "Then double."}}',
    ],
)
def test_json_is_found_wherever_it_stands(reply: str) -> None:
    """In a fence, in prose, as lines, as objects."""
    assert rules_in(reply) == TWO


@pytest.mark.parametrize(
    "reply",
    [
        '["Add first.", "Then double."]',
        '[{"rule": "Add first.", "reason": "a",}, {"rule": "Then double.", "reas',
        "1. Add first.\n2. Then double.",
        "Rules:\n- **Add first.**\n* 'Then double.'\n",
        "1) Add first.\n\n2) Then double.\nI hope this helps.",
        "Rule 1: Add first.\nRule 2: Then double.",
        "1. The model should add first.\n2. The small model must then double.",
        "- Rule 1: Add first.\n- Rule 2: Then double.\n- rule 3: add FIRST.",
    ],
)
def test_broken_json_and_lists_of_lines_yield_their_texts(reply: str) -> None:
    """Small models write these; a repeated rule counts once."""
    assert [rule.text for rule in rules_in(reply)] == ["Add first.", "Then double."]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I'm sorry, I can't help with that.",
        "the of banana qux and and",
        "[]",
        "{}",
        "[[[[",
        '{"rule": 5}',
        "-",
        "[1, 2]",
    ],
)
def test_prose_and_noise_hold_no_rules(reply: str) -> None:
    """Nothing is guessed."""
    assert rules_in(reply) == []


def test_a_model_that_loops_is_cut_off() -> None:
    """The first ``MOST`` rules are taken."""
    assert len(rules_in("\n".join(f"{n}. Rule number {n}." for n in range(500)))) == MOST


@given(st.text(st.sampled_from('[]{}":,rule 1.-\n\\'), max_size=60) | st.text())
def test_no_reply_breaks_the_parser(reply: str) -> None:
    """Every rule that is found has a text of one line."""
    assert all(rule.text and "\n" not in rule.text for rule in rules_in(reply))


def test_what_is_no_text_is_replaced() -> None:
    """Half of a surrogate pair, which JSON lets through, could not be stored or hashed."""
    assert rules_in('["Add \\ud83d first."]') == [Rule(text="Add ? first.")]


def test_deep_nesting_does_not_break_the_parser() -> None:
    """Ten thousand brackets are noise."""
    assert rules_in("[" * 10_000) == []


def test_a_reply_that_runs_away_is_read_in_linear_time() -> None:
    """A small model may end in a megabyte of line breaks: they took hours, with the learner's lock held."""
    assert [rule.text for rule in rules_in("1. Write out the working." + "\n" * 1_000_000)] == [
        "Write out the working."
    ]
    assert rules_in(" \n" * 500_000) == []
