"""Kinds of request in a log, found again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Exchange
from optimizer.discovery.groups import Group, groups
from tests.languages import LANGUAGES, agent_traffic
from tests.unclaimed import KINDS, agreement, chat, document, exchange, traffic

TOOLS = [{"type": "function", "function": {"name": "look_up"}}]


def recorded(*bodies: dict[str, Any]) -> list[Exchange]:
    return [exchange(number, body) for number, body in enumerate(bodies)]


def partition(exchanges: list[Exchange], result: list[Group]) -> list[str]:
    """The group of each exchange."""
    of = {item.id: group.id for group in result for item, _ in group.members}
    return [of[item.id] for item in exchanges]


def test_the_kinds_of_a_log_are_found_exactly() -> None:
    """Each request is in one group, the largest group comes first."""
    labels, exchanges = traffic(KINDS, 2000)
    result = groups(exchanges)
    assert agreement(labels, partition(exchanges, result)) == 1.0
    assert [len(group.members) for group in result] == sorted((len(group.members) for group in result), reverse=True)


def test_a_group_keeps_its_id_when_traffic_goes_on() -> None:
    """What was listed yesterday can be adopted today."""
    _, exchanges = traffic(KINDS, 3000)
    assert {group.id for group in groups(exchanges[:600])} == {group.id for group in groups(exchanges)}


def test_the_same_instructions_with_other_tools_are_another_kind() -> None:
    """A weak model may do one and not the other."""
    result = groups(recorded(chat("Help the caller."), chat("Help the caller."), chat("Help the caller.", tools=TOOLS)))
    assert [(len(group.members), group.tools) for group in result] == [(2, ()), (1, ("look_up",))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_kinds_are_kept_apart_in_languages_without_spaces(language: str) -> None:
    """Two applications share their boilerplate, two begin alike, documents and names are filled in."""
    labels, exchanges = traffic(LANGUAGES[language], 200)
    assert agreement(labels, partition(exchanges, groups(exchanges))) == 1.0


def test_an_agent_with_a_varying_tool_list_is_one_kind() -> None:
    """Optional tools, tools retrieved for each request, a growing list; two products and no tools at all are others."""
    labels, bodies = agent_traffic(300)
    exchanges = recorded(*bodies)
    kinds = groups(exchanges)
    assert agreement(labels, partition(exchanges, kinds)) == 1.0
    (office,) = (kind for kind in kinds if "plan" in kind.tools)
    assert office.tools == ("act", "ask", "plan", "stop")
    assert sorted(office.varying_tools) == ["browser", "calendar", "crm", "mail", "sheets"]


def test_a_kind_with_varying_tools_keeps_its_id() -> None:
    """However many tools it has been offered by then."""
    _, bodies = agent_traffic(600)
    exchanges = recorded(*bodies)
    assert {group.id for group in groups(exchanges[:300])} == {group.id for group in groups(exchanges)}


def test_one_kind_may_come_through_several_apis_and_models() -> None:
    """What is asked counts, not how."""
    words = "Classify the ticket as bug, question or praise."
    anthropic = {"model": "claude", "system": words, "messages": [{"role": "user", "content": "It broke."}]}
    (group,) = groups(
        recorded(chat(words), chat(words), anthropic, {"model": "o", "instructions": words, "input": "Hm."})
    )
    assert dict(group.models) == {"gpt-4o": 2, "claude": 1, "o": 1}


def test_without_instructions_a_template_in_the_question_tells_the_kind() -> None:
    """Programs write their instructions there, people do not."""
    from random import Random

    random = Random(1)
    bodies = [
        *(
            chat(None, f"Translate the following product text to French, keep the markup: {document(random, 20)}")
            for _ in range(60)
        ),
        *(
            chat(None, f"List the colours that are named in this product text, one on a line: {document(random, 20)}")
            for _ in range(60)
        ),
        *(chat(None, document(random, 12)) for _ in range(60)),
        *(chat(None, document(random, 12)) | {"model": "other"} for _ in range(5)),
    ]
    labels = ["french"] * 60 + ["colours"] * 60 + ["free"] * 60 + ["other"] * 5
    exchanges = recorded(*bodies)
    assert agreement(labels, partition(exchanges, groups(exchanges))) == 1.0


def test_a_name_is_made_of_the_words_that_tell_a_group() -> None:
    """It is free in the configuration, and no two groups have one."""
    _, exchanges = traffic(KINDS, 600)
    names = [group.name for group in groups(exchanges)]
    assert len(set(names)) == len(names)
    assert any("summarise" in name for name in names)
    again = [group.name for group in groups(exchanges, taken=names)]
    assert not set(again) & set(names)


def test_a_group_knows_its_volume_and_its_time() -> None:
    """By what was recorded."""
    (group,) = groups(recorded(*[chat("Help the caller.")] * 3))
    assert (group.usage.output_tokens, group.last_seen - group.first_seen) == (30, 7200.0)
    assert group.template_text == "Help the caller." and group.instructed


@given(st.lists(st.text(max_size=40) | st.none(), max_size=12), st.lists(st.text(max_size=20), min_size=1, max_size=3))
def test_any_log_can_be_grouped(systems: list[str | None], questions: list[str]) -> None:
    """No exchange is lost, none is counted twice."""
    exchanges = [
        exchange(number, json.dumps(chat(system, questions[number % len(questions)])).encode())
        for number, system in enumerate(systems)
    ]
    members = [item.id for group in groups(exchanges) for item, _ in group.members]
    assert sorted(members) == sorted(item.id for item in exchanges)
