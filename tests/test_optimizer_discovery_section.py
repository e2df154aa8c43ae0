"""What makes a group a task: a sign that finds its requests and no others."""

import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.discovery.groups import Group, groups
from optimizer.discovery.section import Sign, grader_for, section, sign
from tests.unclaimed import BOILERPLATE, KINDS, chat, exchange, traffic


def signs(found: list[Group]) -> list[Sign]:
    return [sign(group, [other for other in found if other is not group]) for group in found]


def test_every_instructed_kind_gets_a_sign_of_its_own() -> None:
    """It finds nearly all of the kind, none of the others, and is anchored."""
    _, exchanges = traffic(KINDS, 2000)
    found = groups(exchanges)
    for group, one in zip(found, signs(found), strict=True):
        assert one.model == "gpt-4o" and one.system_prompt is not None
        search = re.compile(one.system_prompt).search
        assert one.matches == sum(search(shape.system) is not None for _, shape in group.members)
        assert one.matches >= 0.95 * len(group.members)
        strange = [shape.system for other in found if other is not group for _, shape in other.members]
        assert not any(search(text) for text in strange)
        assert one.system_prompt.startswith((r"\A", "(?m)^"))


def test_a_sign_holds_no_value() -> None:
    """Neither a name nor a number gets into the configuration."""
    _, exchanges = traffic({"orders": KINDS["orders"]}, 300)
    ((one),) = signs(groups(exchanges))
    assert one.system_prompt is not None and not re.search(r"\d|Alice|Anna", one.system_prompt)


def test_of_one_prompt_that_begins_like_another_the_end_is_part_of_the_sign() -> None:
    """Otherwise it would find both."""
    texts = [BOILERPLATE] * 5 + [BOILERPLATE + "Classify the ticket as bug or praise."] * 5
    found = groups([exchange(number, chat(text)) for number, text in enumerate(texts)])
    assert [one.matches for one in signs(found)] == [5, 5]


def test_without_instructions_a_model_of_its_own_is_the_sign() -> None:
    """And if others use it, too, there is none."""
    own, shared = chat(None, "Why?") | {"model": "own"}, chat(None, "Why?")
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    found = groups([exchange(1, own), exchange(2, own), exchange(3, shared), exchange(4, shared | {"tools": tools})])
    assert signs(found)[0] == Sign(model="own", matches=2)
    assert signs(found)[1:] == [Sign(), Sign()]


def test_several_models_are_no_part_of_a_sign() -> None:
    """The instructions are the same."""
    told = "Classify the ticket as bug, question or praise."
    (one,) = signs(groups([exchange(1, chat(told)), exchange(2, chat(told) | {"model": "other"})]))
    assert one.model is None and one.matches == 2


@pytest.mark.parametrize(
    ("replies", "fields", "kind"),
    [
        (["12", "$3.50"], {}, "numeric"),
        (["bug", "praise"], {}, "exact"),
        (["It is on its way, as far as we know."], {}, "judge"),
        (["{}"], {"response_format": {"type": "json_object"}}, "json_schema"),
        (["Yes."], {"tools": [{"type": "function", "function": {"name": "buy"}}]}, "tool_call"),
    ],
)
def test_the_grader_fits_the_replies(replies: list[str], fields: dict[str, Any], kind: str) -> None:
    """It is a proposal: another can be named."""
    made = [exchange(number, chat("Help.", **fields), reply=reply) for number, reply in enumerate(replies)]
    (group,) = groups(made)
    assert grader_for(group) == kind


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_whatever_the_texts_are_the_section_says_them(name: str, model: str, pattern: str) -> None:
    """Quotes, backslashes and control characters survive."""
    found = Sign(model=model, system_prompt=pattern)
    text = section(name, found, weak="small", strong="large", serve="strong", grader="exact")
    assert tomllib.loads(text) == {
        "tasks": {
            name: {
                "match": {"model": model, "system_prompt": pattern},
                "weak": "small", "strong": "large", "serve": "strong", "grader": {"kind": "exact"},
            }
        }
    }  # fmt: skip
