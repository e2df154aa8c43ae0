"""Requests of an evaluation: repeatable, bounded, and what an answer may cost at most."""

import json
from typing import Any

import pytest

from gateway.domain import Rule, RuleSet, Scratchpad
from gateway.forms.two_pass import WORKING_TOKENS
from gateway.teaching import Example
from optimizer.evaluation.bounded_request import bounded, most_output, most_usage

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "What is 1 + 1?"}]}


def test_temperature_and_limit_are_set() -> None:
    """0, and the limit of the evaluation."""
    assert json.loads(bounded(json.dumps(ASKED).encode(), 256)) == {**ASKED, "temperature": 0, "max_tokens": 256}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_settings_of_the_request_stay(name: str) -> None:
    """Under either name of a limit."""
    own = {**ASKED, "temperature": 0.5, name: 9}
    assert json.loads(bounded(json.dumps(own).encode(), 256)) == own


def test_null_is_no_setting() -> None:
    """A client that sends every field it knows must not have its replies evaluated without a limit."""
    nulls = dict.fromkeys(("temperature", "max_tokens", "max_completion_tokens"))
    sent = json.loads(bounded(json.dumps({**ASKED, **nulls}).encode(), 256))
    assert sent == {**ASKED, "temperature": 0, "max_tokens": 256}


@pytest.mark.parametrize(("scratchpad", "most"), [("none", 256), ("two_pass", 256), ("tags", 2 * WORKING_TOKENS)])
def test_an_answer_between_tags_has_room_for_its_working(scratchpad: Scratchpad, most: int) -> None:
    """As much as a caller's limit must leave, or the form would be another one."""
    assert most_output(RuleSet(task="t", scratchpad=scratchpad), 256) == most


@pytest.mark.parametrize(
    ("stated", "scratchpad", "passes", "output"),
    [
        ({}, "none", 1, 256),
        ({"max_tokens": 8192}, "none", 1, 8192),
        ({"max_tokens": 8192, "max_completion_tokens": 30}, "none", 1, 30),
        ({"max_tokens": None}, "none", 1, 256),
        ({}, "two_pass", 2, WORKING_TOKENS + 256),
        ({}, "tags", 2, 4 * WORKING_TOKENS),
    ],
)
def test_the_most_output_is_what_all_passes_may_write(
    stated: dict[str, Any], scratchpad: Scratchpad, passes: int, output: int
) -> None:
    """A budget reserves it before the call; too little of it would let the budget be exceeded."""
    rules = RuleSet(task="t", scratchpad=scratchpad)
    body = json.dumps({**ASKED, **stated}).encode()
    assert most_usage(body, rules, passes=passes, max_output_tokens=256).output_tokens == output


def test_the_most_prompt_holds_rules_and_the_longest_examples() -> None:
    """Of those that are shown: the two longest of three, where the nearest two are."""
    examples = tuple(Example(question=n * "q", answer="a") for n in (30, 300, 600))
    rules = RuleSet(task="t", rules=(Rule(text=90 * "r"),), examples=examples, examples_mode="nearest", nearest=2)
    body = json.dumps(ASKED).encode()
    usage = most_usage(body, rules, passes=1, max_output_tokens=256)
    assert usage.prompt_tokens == (len(body) + 90 + 301 + 601) // 3
