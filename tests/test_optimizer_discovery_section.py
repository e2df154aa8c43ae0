"""What makes a group a task: a sign that finds its requests and no others."""

import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.discovery.groups import Group, groups
from optimizer.discovery.section import Sign, grader_for, section, sign
from tests.languages import LANGUAGES
from tests.unclaimed import BOILERPLATE, KINDS, chat, exchange, traffic


def signs(result: list[Group]) -> list[Sign]:
    return [sign(group, [other for other in result if other is not group]) for group in result]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_gets_a_sign_in_languages_without_spaces(language: str) -> None:
    """A pattern may end within a run of characters; it matches nearly all of the kind and none of the others."""
    _, exchanges = traffic(LANGUAGES[language], 200)
    kinds = groups(exchanges)
    for kind, own in zip(kinds, signs(kinds), strict=True):
        assert own.system_prompt is not None and own.matches >= 0.95 * len(kind.members)


def test_every_instructed_kind_gets_a_sign_of_its_own() -> None:
    """It finds nearly all of the kind, none of the others, and is anchored."""
    _, exchanges = traffic(KINDS, 2000)
    result = groups(exchanges)
    for group, item in zip(result, signs(result), strict=True):
        assert item.model == "gpt-4o" and item.system_prompt is not None
        search = re.compile(item.system_prompt).search
        assert item.matches == sum(search(shape.system) is not None for _, shape in group.members)
        assert item.matches >= 0.95 * len(group.members)
        strange = [shape.system for other in result if other is not group for _, shape in other.members]
        assert not any(search(text) for text in strange)
        assert item.system_prompt.startswith((r"\A", "(?m)^"))


def test_a_sign_holds_no_value() -> None:
    """Neither a name nor a number gets into the configuration."""
    _, exchanges = traffic({"orders": KINDS["orders"]}, 300)
    ((item),) = signs(groups(exchanges))
    assert item.system_prompt is not None and not re.search(r"\d|Alice|Anna", item.system_prompt)


def test_of_one_prompt_that_begins_like_another_the_end_is_part_of_the_sign() -> None:
    """Otherwise it would find both."""
    texts = [BOILERPLATE] * 5 + [BOILERPLATE + "Classify the ticket as bug or praise."] * 5
    result = groups([exchange(number, chat(text)) for number, text in enumerate(texts)])
    assert [item.matches for item in signs(result)] == [5, 5]


def test_without_instructions_a_model_of_its_own_is_the_sign() -> None:
    """And if others use it, too, there is none."""
    own, shared = chat(None, "Why?") | {"model": "own"}, chat(None, "Why?")
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    result = groups([exchange(1, own), exchange(2, own), exchange(3, shared), exchange(4, shared | {"tools": tools})])
    assert signs(result)[0] == Sign(model="own", matches=2)
    assert signs(result)[1:] == [Sign(), Sign()]


def test_several_models_are_no_part_of_a_sign() -> None:
    """The instructions are the same."""
    words = "Classify the ticket as bug, question or praise."
    (item,) = signs(groups([exchange(1, chat(words)), exchange(2, chat(words) | {"model": "other"})]))
    assert item.model is None and item.matches == 2


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
    result = Sign(model=model, system_prompt=pattern)
    text = section(name, result, weak="small", strong="large", serve="strong", grader="exact")
    assert tomllib.loads(text) == {
        "tasks": {
            name: {
                "match": {"model": model, "system_prompt": pattern},
                "weak": "small", "strong": "large", "serve": "strong", "grader": {"kind": "exact"},
            }
        }
    }  # fmt: skip
