"""Injection: the same bytes in the same place for every request, and nothing of the caller's lost."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.domain import Rule, RuleSet, Scratchpad
from gateway.pipeline.envelope import open_message, raw
from gateway.pipeline.inject import compile_rules, with_system_text

RULES = RuleSet(task="sums", version=3, rules=(Rule(text="Work in steps.", reason="It guessed."), Rule(text="Check.")))
USER = raw({"role": "user", "content": "What is 2 + 2?"})


def test_rules_are_numbered_under_a_heading_that_lets_them_win() -> None:
    """The block is the same text for the same rules, and holds no reasons."""
    assert compile_rules(RULES).text == (
        "Rules. Where they conflict with the text above, these rules win.\n1. Work in steps.\n2. Check."
    )


@pytest.mark.parametrize("form", ["tags", "two_pass"])
def test_rules_read_the_same_in_every_form(form: Scratchpad) -> None:
    """The form decides where the model works under them, not what they say."""
    assert compile_rules(msgspec.structs.replace(RULES, scratchpad=form)).text == compile_rules(RULES).text


@given(st.text(), st.text(), st.sampled_from(["system", "developer", None]))
def test_the_same_rules_are_the_same_bytes_in_the_same_place(one: str, other: str, role: str | None) -> None:
    """Whatever the user asks, everything up to the question is byte-identical: prompt caches keep hitting."""
    system = [] if role is None else [raw({"role": role, "content": "Be brief."})]
    prompts = []
    for question in (one, other):
        rule_set = msgspec.json.decode(msgspec.json.encode(RULES), type=RuleSet)
        messages = [*system, raw({"role": "user", "content": question})]
        prompts.append(with_system_text(messages, compile_rules(rule_set).text)[:-1])
    assert [bytes(message) for message in prompts[0]] == [bytes(message) for message in prompts[1]]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_rules_follow_the_callers_system_text(role: str) -> None:
    """The caller's own text comes first and keeps its bytes; its role stays; no message is added."""
    message = Raw(f'{{"role":"{role}","content":"Be \\u0062rief.","name":"x"}}'.encode())
    first, *rest = with_system_text([message, USER], "RULES")
    assert bytes(first) == f'{{"role":"{role}","content":"Be \\u0062rief.\\n\\nRULES","name":"x"}}'.encode()
    assert rest == [USER]


def test_rules_become_one_more_part_of_a_part_list() -> None:
    """Parts keep their bytes, cache marks included."""
    part = '{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}'
    first, *_ = with_system_text([Raw(f'{{"role":"system","content":[{part}]}}'.encode()), USER], "RULES")
    added = '{"type":"text","text":"\\n\\nRULES"}'
    assert bytes(open_message(first).content()).decode() == f"[{part},{added}]"


def test_rules_become_a_system_message_where_there_is_none() -> None:
    """It stands before everything else."""
    first, *rest = with_system_text([USER, raw({"role": "system", "content": "late"})], "RULES")
    assert msgspec.json.decode(first) == {"role": "system", "content": "RULES"}
    assert [bytes(message) for message in rest] == [bytes(USER), b'{"role":"system","content":"late"}']


def test_no_rules_add_nothing() -> None:
    """An empty rule set leaves the messages as they came."""
    injection = compile_rules(RuleSet(task="sums", version=1))
    assert injection.text == ""
    assert with_system_text([USER], injection.text) == [USER]
