"""Chat requests: the same rules are the same bytes in the same place, and nothing of the caller's is lost."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.domain import Rule, RuleSet
from gateway.formats.chat import ChatRequest, open_chat, open_message
from gateway.formats.envelope import raw
from gateway.routing.inject import compile_rules
from tests.test_formats_envelope import MESSAGES, TEXTS, VALUES, body_of, spellings

RULES = RuleSet(task="sums", version=3, rules=(Rule(text="Work in steps.", reason="It guessed."), Rule(text="Check.")))
USER = raw({"role": "user", "content": "What is 2 + 2?"})


def asked(messages: Sequence[Raw]) -> ChatRequest:
    return open_chat(b'{"model":"m","messages":' + bytes(raw(messages)) + b"}")


def with_system(messages: Sequence[Raw], text: str) -> list[Raw]:
    """The messages that go upstream when ``text`` is injected."""
    envelope = asked(messages)
    return list(open_chat(envelope.sealed(envelope.with_system(text))).messages)


@given(st.text(), st.text(), st.sampled_from(["system", "developer", None]))
def test_the_same_rules_are_the_same_bytes_in_the_same_place(one: str, other: str, role: str | None) -> None:
    """Whatever the user asks, everything up to the question is byte-identical: prompt caches keep hitting."""
    system = [] if role is None else [raw({"role": role, "content": "Be brief."})]
    prompts = []
    for question in (one, other):
        rule_set = msgspec.json.decode(msgspec.json.encode(RULES), type=RuleSet)
        messages = [*system, raw({"role": "user", "content": question})]
        prompts.append(with_system(messages, compile_rules(rule_set).text)[:-1])
    assert [bytes(message) for message in prompts[0]] == [bytes(message) for message in prompts[1]]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_rules_follow_the_callers_system_text(role: str) -> None:
    """The caller's own text comes first and keeps its bytes; its role stays; no message is added."""
    message = Raw(f'{{"role":"{role}","content":"Be \\u0062rief.","name":"x"}}'.encode())
    first, *rest = with_system([message, USER], "RULES")
    assert bytes(first) == f'{{"role":"{role}","content":"Be \\u0062rief.\\n\\nRULES","name":"x"}}'.encode()
    assert rest == [USER]


def test_rules_become_one_more_part_of_a_part_list() -> None:
    """Parts keep their bytes, cache marks included."""
    part = '{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}'
    first, *_ = with_system([Raw(f'{{"role":"system","content":[{part}]}}'.encode()), USER], "RULES")
    added = '{"type":"text","text":"\\n\\nRULES"}'
    assert bytes(open_message(first).fields["content"]).decode() == f"[{part},{added}]"


def test_rules_become_a_system_message_where_there_is_none() -> None:
    """It stands before everything else."""
    first, *rest = with_system([USER, raw({"role": "system", "content": "late"})], "RULES")
    assert msgspec.json.decode(first) == {"role": "system", "content": "RULES"}
    assert [bytes(message) for message in rest] == [bytes(USER), b'{"role":"system","content":"late"}']


def test_no_rules_add_nothing() -> None:
    """An empty text leaves the request as it came."""
    assert asked([USER]).with_system("") == {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, False),
        ("null", False),
        ("{}", False),
        ('{"include_usage": false}', False),
        ('{"include_usage": true}', True),
    ],
)
def test_whether_the_client_asked_for_usage(options: str | None, expected: bool) -> None:
    """Only ``stream_options.include_usage`` asks for it."""
    fields = {"model": '"m"', "messages": MESSAGES, "stream": "true"}
    envelope = open_chat(body_of(fields if options is None else {**fields, "stream_options": options}))
    assert envelope.include_usage is expected
    assert envelope.stream is True


@pytest.mark.parametrize("stream", ["null", "false", None])
def test_a_reply_is_whole_unless_a_stream_is_asked_for(stream: str | None) -> None:
    """Absent, null and false mean the same."""
    fields = {"model": '"m"', "messages": MESSAGES}
    assert open_chat(body_of(fields if stream is None else {**fields, "stream": stream})).stream is False


def message(content: str) -> Raw:
    return Raw(f'{{"role":"user","content":{content},"name":"ann"}}'.encode())


@given(TEXTS.flatmap(spellings), TEXTS)
def test_a_string_content_keeps_its_bytes_as_a_prefix(content: str, addition: str) -> None:
    """What is appended to a string comes after the client's own spelling of it."""
    extended = open_message(open_message(message(content)).extended(addition))
    assert bytes(extended.fields["content"]).startswith(content[:-1].encode())
    assert extended.text() == json.loads(content) + addition
    assert bytes(extended.fields["name"]) == b'"ann"'


@given(st.lists(VALUES, max_size=4), TEXTS)
def test_a_part_list_keeps_its_bytes_as_a_prefix(parts: list[str], addition: str) -> None:
    """What is appended to a list of parts is one more text part."""
    inner = " , ".join(parts)
    extended = open_message(open_message(message(f"[{inner}]")).extended(addition))
    content = bytes(extended.fields["content"])
    assert content.startswith(b"[" + inner.encode())
    tail = content[1 + len(inner.encode()) :].removeprefix(b",")
    assert json.loads(b"[" + tail) == [{"type": "text", "text": addition}]


def test_an_empty_content_becomes_the_addition() -> None:
    """A message without content has nothing to keep."""
    for empty in (message("null"), Raw(b'{"role":"user"}')):
        assert open_message(open_message(empty).extended("\n\nrules")).text() == "rules"


@pytest.mark.parametrize("content", ["3", "true", '{"text":"x"}'])
def test_a_content_that_no_chat_has_is_left_for_the_upstream_to_refuse(content: str) -> None:
    """Nothing that a client wrote is ever overwritten."""
    assert bytes(open_message(open_message(message(content)).extended("rules")).fields["content"]) == content.encode()


@pytest.mark.parametrize(
    ("content", "text", "only_text"),
    [
        ('"hi"', "hi", True),
        ('""', "", True),
        ('[{"type":"text","text":"a"},{"type":"text","text":"b"}]', "a\nb", True),
        ('[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}}]', "a", False),
        ('[{"type":"image_url","image_url":{"url":"u"}}]', None, False),
        ("[]", None, False),
        ("[3]", None, False),
        ("null", None, False),
        ("3", None, False),
    ],
)
def test_the_text_of_a_message(content: str, text: str | None, only_text: bool) -> None:
    """A string, or the text parts joined; images and audio are no text."""
    opened = open_message(message(content))
    assert (opened.text(), opened.only_text()) == (text, only_text)


@pytest.mark.parametrize(("role", "expected"), [("system", "be brief"), ("developer", "be brief"), ("user", None)])
def test_the_system_text_is_the_leading_message_of_the_two_roles(role: str, expected: str | None) -> None:
    """OpenAI's old and new name of the same role; later messages do not count."""
    messages: list[Any] = [{"role": role, "content": "be brief"}, {"role": "system", "content": "late"}]
    assert asked([raw(item) for item in messages]).system_text() == expected


@pytest.mark.parametrize("role", [b"3", b"null", b"{}"])
def test_a_role_that_is_none_is_left_to_the_upstream(role: bytes) -> None:
    """An odd role is not refused here."""
    assert open_message(Raw(b'{"role":' + role + b"}")).role is None
