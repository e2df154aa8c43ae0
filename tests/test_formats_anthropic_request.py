"""Anthropic's requests for an upstream that speaks the same: bytes stay, rules join where a prompt cache survives."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.formats.anthropic_request import AnthropicRequest, open_anthropic
from gateway.formats.envelope import raw
from gateway.formats.messages import open_messages
from gateway.routing.conversation import tenant_of

HELLO = [{"role": "user", "content": "hi"}]
MARK = {"cache_control": {"type": "ephemeral"}}
LASTING = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
TOOL = {"name": "get", "input_schema": {"type": "object"}}
DOCUMENT = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def body_of(**fields: Any) -> bytes:
    return json.dumps({"model": "claude", "max_tokens": 9, "messages": HELLO, **fields}).encode()


def opened(**fields: Any) -> AnthropicRequest:
    return open_anthropic(body_of(**fields))


def system(**fields: Any) -> Any:
    """The instructions with rules in them."""
    given = opened(**fields).with_system("Rules.")["system"]
    assert given is not None
    return json.loads(bytes(given))


OURS = text("Rules.", **MARK)


@pytest.mark.parametrize("absent", [{}, {"system": None}, {"system": ""}, {"system": []}])
def test_rules_alone_are_the_instructions(absent: dict[str, Any]) -> None:
    """A block of their own, the same bytes in every request."""
    assert system(**absent) == [OURS]


def test_rules_stand_behind_the_clients_instructions() -> None:
    """Which they are about; and in front of the conversation, which varies."""
    assert system(system="Be brief.") == [text("Be brief."), OURS]
    assert system(system=[text("a", **MARK), text("b")]) == [text("a", **MARK), text("b"), OURS]


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.booleans())
def test_the_clients_blocks_keep_their_bytes(said: str, escaped: bool) -> None:
    """However they are written: a prompt cache reads what they say."""
    for given_system in (said, [text(said, citations=None, **MARK)]):
        written = json.dumps(given_system, ensure_ascii=escaped).encode()
        body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}], "system":  ' + written + b"}"
        changed = open_anthropic(body).with_system("Rules.")["system"]
        assert changed is not None
        assert written.strip(b"[]") in bytes(changed)


def test_an_odd_system_is_the_upstreams_to_judge() -> None:
    """Nothing is added to it."""
    assert opened(system=3).with_system("Rules.") == {}
    assert opened().with_system("") == {}


@pytest.mark.parametrize("count", range(6))
def test_a_breakpoint_of_ours_is_set_only_where_theirs_leave_room(count: int) -> None:
    """Four in a request are all that Anthropic takes."""
    turn = {"role": "user", "content": [text("hi", **MARK) for _ in range(count)] + [text("and?")]}
    assert system(messages=[turn])[-1] == (OURS if count < 4 else text("Rules."))


def test_marks_are_counted_wherever_they_stand() -> None:
    """On tools, instructions, results of tools; and the request's own."""
    result = {"type": "tool_result", "tool_use_id": "t", "content": [text("x", **MARK)]}
    marked = {
        "tools": [{**TOOL, **MARK}], "system": [text("a", **MARK)], "messages": [{"role": "user", "content": [result]}],
    }  # fmt: skip
    assert system(**marked)[-1] == OURS
    assert system(**marked, **MARK)[-1] == text("Rules.")


def test_a_text_about_marks_is_no_mark() -> None:
    """People write about caching."""
    turns = [{"role": "user", "content": 'Set "cache_control" and "cache_control": {"type": "ephemeral", "ttl": "1h"}'}]
    assert system(messages=turns * 5)[-1] == OURS


@pytest.mark.parametrize(
    ("fields", "ours"),
    [
        ({"system": [text("a", **LASTING)]}, MARK),
        ({"messages": [{"role": "user", "content": [text("a", **LASTING)]}]}, LASTING),
        (LASTING, LASTING),
        (
            {"system": [text("a", **LASTING)], "messages": [{"role": "user", "content": [text("a", **LASTING)]}]},
            LASTING,
        ),
        ({"system": [text("a", **MARK)], "messages": [{"role": "user", "content": [text("a", **LASTING)]}]}, {}),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "ttl": "1h"}]}]}, MARK),
    ],
)
def test_a_lasting_mark_never_follows_a_brief_one(fields: dict[str, Any], ours: dict[str, Any]) -> None:
    """Anthropic refuses that order."""
    assert system(**fields)[-1] == text("Rules.", **ours)


def test_a_breakpoint_can_be_switched_off() -> None:
    """By the configuration."""
    request = AnthropicRequest(
        body=b"", fields=opened().fields, model="m", messages=opened().messages, cache_rules=False
    )
    assert request.with_system("Rules.") == {"system": raw([text("Rules.")])}


@given(
    st.dictionaries(st.sampled_from(["temperature", "later_addition", "thinking", "tools"]), st.text() | st.integers())
)
def test_every_other_field_keeps_its_bytes(more: dict[str, Any]) -> None:
    """Rules and the model's name change; unknown fields and blocks do not."""
    request = opened(messages=[{"role": "user", "content": [DOCUMENT, {"type": "sparkle", "x": 1.50}]}], **more)
    changed = json.loads(request.sealed({"model": raw("m"), **request.with_system("Rules.")}))
    again = open_anthropic(json.dumps(changed).encode())
    assert changed.pop("system") == [OURS] and changed.pop("model") == "m"
    assert all(json.loads(bytes(request.fields[name])) == value for name, value in changed.items())
    sealed = request.sealed(request.with_system("Rules."))
    assert all(bytes(request.fields[name]) in sealed for name in changed)
    assert list(again.fields) == [*(name for name in request.fields), "system"]


def test_a_question_gets_its_working_behind_it() -> None:
    """As a block of its own: a mark on the client's last block stays where it is."""
    assert json.loads(bytes(opened().with_question(" more").messages[-1])) == {"role": "user", "content": "hi more"}
    marked = opened(messages=[{"role": "user", "content": [text("hi", **MARK)]}]).with_question(" more")
    assert json.loads(bytes(marked.messages[-1]))["content"] == [text("hi", **MARK), text(" more")]
    assert marked.question() == "hi\n more"


def test_examples_stand_before_the_conversation() -> None:
    """Behind instructions that stand among the turns."""
    first = {"role": "system", "content": "Be kind."}
    turns = [
        json.loads(bytes(message)) for message in opened(messages=[first, *HELLO]).with_turns([("q", "a")]).messages
    ]
    assert turns == [first, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, *HELLO]


def test_a_hidden_pass_is_plain() -> None:
    """Without tools, thinking and formats, with a limit of its own; the instructions' format asks for JSON."""
    request = opened(tools=[TOOL], thinking={"type": "adaptive"}, output_config={"effort": "max"}, stream=True)
    sent = json.loads(request.sealed(request.hidden(77)))
    assert sent == {"model": "claude", "max_tokens": 77, "messages": HELLO}
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    shaped = json.loads(request.sealed({**request.hidden(77), **request.structured("sheet", schema)}))
    assert shaped["output_config"]["format"]["schema"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"system": "Be brief."},
        {"system": [text("a"), text("b")]},
        {"messages": [{"role": "system", "content": "Be kind."}, *HELLO]},
        {"messages": [{"role": "user", "content": [text("a"), text("b")]}]},
        {"messages": [*HELLO, {"role": "assistant", "content": "hello"}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}]},
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "get"}},
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        {"tools": [TOOL, TOOL], "tool_choice": {"type": "any"}},
        {"stop_sequences": ["END"]},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"output_config": {"effort": "low"}},
        {"metadata": {"user_id": "u1"}},
        {"metadata": {"user_id": "u" * 100}},
    ],
)
def test_both_wordings_of_a_request_mean_the_same(fields: dict[str, Any]) -> None:
    """To tasks, forms and records: whichever upstream it goes to."""
    own, chat = opened(**fields), open_messages(body_of(**fields))
    assert own.system_text() == chat.system_text()
    assert own.question() == chat.question()
    assert list(own.obstacles()) == list(chat.obstacles())
    assert own.supports_tags() == chat.supports_tags()
    assert tenant_of(own) == tenant_of(chat)
    assert own.recorded(own.body) == chat.body


def test_what_no_chat_can_hold_is_recorded_as_it_came() -> None:
    """Nothing is lost, and nothing refused."""
    own = opened(messages=[{"role": "user", "content": [DOCUMENT]}])
    assert own.recorded(own.body) == own.body
    with pytest.raises(BadRequest):
        own.translated()


@pytest.mark.parametrize(("name", "obstacle"), [("mcp_servers", "tools"), ("container", "conversation")])
def test_anthropics_own_tools_and_states_are_obstacles(name: str, obstacle: str) -> None:
    """A draft would leave traces there."""
    assert list(opened(**{name: [{"x": 1}]}).obstacles()) == [obstacle]


@pytest.mark.parametrize(
    ("fields", "place"),
    [({"messages": []}, "messages"), ({"messages": ["hi"]}, "messages.0"), ({"messages": 3}, "messages"),
     ({"model": ""}, "model"), ({"stream": "yes"}, "stream")],
)  # fmt: skip
def test_what_cannot_be_routed_is_refused(fields: dict[str, Any], place: str) -> None:
    """All else is the upstream's to judge."""
    with pytest.raises(BadRequest) as caught:
        opened(**fields)
    assert caught.value.param == place


def test_another_models_thinking_is_left_out() -> None:
    """It has no signature, because a chat stood between; everything else keeps its bytes."""
    foreign = {"type": "thinking", "thinking": "hm", "signature": ""}
    own = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    use = {"type": "tool_use", "id": "t", "name": "get", "input": {"n": 1.50, "signature": ""}}
    turns = [*HELLO, {"role": "assistant", "content": [foreign, use]}, {"role": "assistant", "content": [own, use]},
             {"role": "assistant", "content": [foreign]}, {"role": "user", "content": '"signature":""'}]  # fmt: skip
    request = opened(messages=turns)
    signed = request.signed()
    expected = [HELLO[0], {"role": "assistant", "content": [use]}, turns[2], turns[4]]
    assert [json.loads(bytes(message)) for message in signed.messages] == expected
    assert json.loads(bytes(signed.fields["messages"])) == expected
    assert b'"n": 1.5' in bytes(signed.messages[1])
    assert opened(messages=[*HELLO, turns[2]]).signed().messages == opened(messages=[*HELLO, turns[2]]).messages
    plain = opened()
    assert plain.signed() is plain
