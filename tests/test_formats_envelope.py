"""The envelope: a request is looked into, and everything that nobody reads keeps its bytes."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.errors import BadRequest
from gateway.formats.chat import open_chat, open_message
from gateway.formats.envelope import decode_object, decoded, raw

MESSAGES = '[{"role":"user","content":"hi"}]'
NUMBERS = ["1.0", "-0.0", "1e5", "1E+400", "0.1000000000000000055", "123456789012345678901234567890", "1" * 400]


def spellings(text: str) -> st.SearchStrategy[str]:
    """A string as different writers spell it in JSON."""
    escaped = "".join(f"\\u{ord(char):04x}" if ord(char) < 0xD800 else char for char in text)
    return st.sampled_from([json.dumps(text), json.dumps(text, ensure_ascii=False), f'"{escaped}"'])


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(
    st.sampled_from(["null", "true", "false", *NUMBERS]),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    TEXTS.flatmap(spellings),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[" + " , ".join(items) + "]"),
        st.lists(st.tuples(TEXTS.map(json.dumps), inner), max_size=4).map(
            lambda pairs: "{ " + ",".join(f"{name}:\t{value}" for name, value in pairs) + "}"
        ),
    ),
    max_leaves=20,
)
KNOWN = {"model", "messages", "stream", "stream_options"}
FIELDS = st.dictionaries(TEXTS.filter(lambda name: name not in KNOWN), VALUES, max_size=6)


def body_of(fields: dict[str, str]) -> bytes:
    return ("{" + ", ".join(f"{json.dumps(name)} : {value}" for name, value in fields.items()) + "}").encode()


@given(FIELDS, VALUES)
@example({"deep": "[" * 500 + "]" * 500}, '"x"')
def test_what_nobody_reads_keeps_its_bytes(fields: dict[str, str], content: str) -> None:
    """Unknown fields, numbers, escapes and white space arrive upstream as the client wrote them."""
    messages = f'[ {{"role": "user", "content" : {content} }} ]'
    envelope = open_chat(body_of({"model": '"gpt"', **fields, "messages": messages}))
    sealed = envelope.sealed({"model": raw("tiny")})
    found = msgspec.json.decode(sealed, type=dict[str, Raw])
    assert {name: bytes(value).decode() for name, value in found.items()} == {
        "model": '"tiny"', **fields, "messages": messages
    }  # fmt: skip
    assert list(found) == ["model", *fields, "messages"]


def test_a_field_can_be_left_out_or_added() -> None:
    """``None`` takes a field away; a new one comes last."""
    envelope = open_chat(body_of({"model": '"m"', "messages": MESSAGES, "stop": '"x"'}))
    assert envelope.sealed({"stop": None, "max_tokens": raw(3)}) == (
        b'{"model":"m","messages":' + MESSAGES.encode() + b',"max_tokens":3}'
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"null", None),
        (b'"model"', None),
        (b"{", None),
        (b'{"model":"m"} x', None),
        (b"\xef\xbb\xbf{}", None),
        (b'{"model":"m","messages":[{}],"x":01}', None),
        (b'{"model":"m","messages":[{}],"x":"\xff"}', None),
        (b'{"model":"m","messages":[{}],"x":"\\ud800"}', None),
        (b'{"model":"m","messages":[{}],"x":' + b"[" * 10**5 + b"]" * 10**5 + b"}", None),
        (b"{}", "model"),
        (b'{"model":""}', "model"),
        (b'{"model":null}', "model"),
        (b'{"model":3}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":null}', "messages"),
        (b'{"model":"m","messages":"hi"}', "messages"),
        (b'{"model":"m","messages":[{},"hi"]}', "messages[1]"),
        (b'{"model":"m","messages":[{}],"stream":"yes"}', "stream"),
        (b'{"model":"m","messages":[{}],"stream":1}', "stream"),
        (b'{"model":"m","messages":[{}],"stream_options":[]}', "stream_options"),
        (b'{"model":"m","messages":[{}],"stream_options":{"a":1e999}}', "stream_options"),
    ],
)
def test_a_request_that_is_none_is_refused_with_its_place(body: bytes, param: str | None) -> None:
    """Malformed JSON, wrong types, invalid UTF-8 and endless nesting are the client's mistake, said with the field."""
    with pytest.raises(BadRequest) as caught:
        open_chat(body)
    assert caught.value.param == param
    assert caught.value.status == 400


@given(st.binary() | VALUES.map(str.encode) | FIELDS.map(body_of))
def test_any_bytes_are_a_request_or_a_bad_one(body: bytes) -> None:
    """No body whatsoever raises anything but ``BadRequest``."""
    try:
        envelope = open_chat(body)
    except BadRequest:
        return
    assert envelope.body == body


@given(VALUES, VALUES, VALUES)
def test_odd_messages_never_break_what_reads_them(role: str, content: str, value: str) -> None:
    """A message of any shape can be looked into, or is the client's mistake."""
    fields = {"model": '"m"', "messages": f'[{{"role":{role},"content":{content}}}]', "metadata": value}
    envelope = open_chat(body_of(fields))
    for look in (
        envelope.system_text,
        lambda: open_message(envelope.messages[0]).text(),
        lambda: open_message(envelope.messages[0]).only_text(),
        lambda: envelope.value("metadata"),
    ):
        try:
            look()
        except BadRequest:
            continue


@pytest.mark.parametrize("value", [b"1e999", b"[" * 5000 + b"]" * 5000], ids=["out of range", "too deep"])
def test_a_value_that_cannot_be_held_is_the_clients_mistake(value: bytes) -> None:
    """What passes through as bytes may still be too much to look into."""
    with pytest.raises(BadRequest):
        decoded(Raw(value))


def test_the_last_of_two_equal_keys_counts() -> None:
    """As in every common JSON reader; the upstream receives one of them."""
    assert {name: bytes(value) for name, value in decode_object(b'{"a":1,"a":2}').items()} == {"a": b"2"}
