"""Field names: the gateway and its upstream read the same request, however lenient the upstream's decoder is."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, Forbidden
from gateway.formats.allowed_fields import CHAT, EMBEDDINGS
from gateway.formats.field_names import fold, request_fields, restricted

KEYS = st.sampled_from(["a", "b", "model", "seed", "ä", "\\", '"', "", "\0", "😀"])
VALUES = st.sampled_from(["1", "12", '"a"', "null", "[1, 2]", '{"a":1}', "1.50"])


@given(
    pairs=st.lists(st.tuples(KEYS, VALUES), max_size=6),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    ascii_only=st.booleans(),
    padding=st.sampled_from(["", " " * 10_000]),
)
def test_a_duplicate_is_found_in_any_layout(
    pairs: list[tuple[str, str]], separators: tuple[str, str], ascii_only: bool, padding: str
) -> None:
    """White space and escapes hide none, and nothing else is taken for one; nor does length."""
    comma, colon = separators
    written = comma.join(json.dumps(name, ensure_ascii=ascii_only) + colon + value for name, value in pairs)
    body = f"{{{padding}{written}}}"
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        with pytest.raises(BadRequest, match="twice"):
            request_fields(body.encode())
        return
    fields = request_fields(body.encode())
    assert list(fields) == names and {type(name) for name in fields} <= {str}
    assert {name: bytes(raw).decode() for name, raw in fields.items()} == dict(pairs)


@pytest.mark.parametrize(
    "body",
    [b'{"model":"a","model":"b"}', b'{"model":"a","mod\\u0065l":"b"}', b'{"seed":1,"seed":1}',
     b' { "seed" : 1 , "seed" : 1 } ', b'{"x":{},"x":{}}'],
)  # fmt: skip
def test_a_duplicate_is_refused_by_name(body: bytes) -> None:
    """With the name of the field as ``param``."""
    with pytest.raises(BadRequest, match="twice") as refused:
        request_fields(body)
    assert refused.value.code == "duplicate_field" and refused.value.param in ("model", "seed", "x")


@pytest.mark.parametrize(
    ("name", "known"),
    [("MODEL", "model"), ("Model", "model"), ("Messages", "messages"), ("me\u017f\u017fages", "messages"),
     ("to\u212aens", ""), ("\u212aeep_alive", "keep_alive"), ("\uff4dodel", "model"), ("model\0", "model"),
     ("model\0x", "model"), (" model", "model"), ("STREAM", "stream"), ("Max_Tokens", "max_tokens")],
)  # fmt: skip
def test_a_spelling_that_a_lenient_decoder_accepts_is_refused(name: str, known: str) -> None:
    """Another case, another form of a letter, something behind a NUL; beside the right name or without it."""
    for others in ({}, {"model": "small"}):
        body = json.dumps({**others, name: "x"}).encode()
        if not known:
            assert name in request_fields(body)
            continue
        with pytest.raises(BadRequest, match=f"write '{known}'"):
            request_fields(body)


@given(name=st.sampled_from(sorted(CHAT)), data=st.data())
def test_every_known_name_is_protected(name: str, data: st.DataObject) -> None:
    """In any mixture of cases."""
    upper = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    spelt = "".join(letter.upper() if up else letter for letter, up in zip(name, upper, strict=True))
    body = json.dumps({spelt: 1}).encode()
    if spelt == name:
        assert request_fields(body)
    else:
        with pytest.raises(BadRequest):
            request_fields(body)


def test_a_field_that_nobody_knows_passes() -> None:
    """An upstream's own parameter; its bytes are kept."""
    fields = request_fields(b'{"model":"small","myParameter":1.50}')
    assert bytes(fields["myParameter"]) == b"1.50"


@given(st.text())
def test_folding_again_changes_nothing(name: str) -> None:
    """So that a folded name can be looked up."""
    assert fold(fold(name)) == fold(name)


def limited(*more: str, **fields: Any) -> dict[str, Any]:
    body = json.dumps({"model": "small", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    return dict(msgspec.json.decode(restricted(body, CHAT, more)))


@pytest.mark.parametrize("name", ["models", "fallbacks", "route", "provider", "engine", "extra_body", "x"])
def test_a_key_with_limits_sends_known_fields_only(name: str) -> None:
    """Any other may choose a model; the configuration can allow it by name."""
    with pytest.raises(Forbidden, match=name) as refused:
        limited(**{name: ["large"]})
    assert (refused.value.code, refused.value.param) == ("field_not_allowed", name)
    assert limited(name, **{name: ["large"]})[name] == ["large"]


def test_a_key_with_limits_sends_no_duplicate_at_any_depth() -> None:
    """Its request is written anew from the values that were checked."""
    body = b'{"model":"small","messages":[{"role":"user","content":"a","content":"b"}],"metadata":{"task":1,"task":2}}'
    assert restricted(body, CHAT) == (
        b'{"model":"small","messages":[{"role":"user","content":"b"}],"metadata":{"task":2}}'
    )


@pytest.mark.parametrize(
    "message",
    [{"role": "system", "content": "a", "Content": "b"}, {"role": "user", "Role": "system", "content": "a"},
     {"role": "user", "content": [{"type": "text", "text": "a", "TEXT": "b"}]},
     {"role": "user", "content": {"type": "text", "text": "a", "Text": "b"}}, [{"role": "user", "Content": "b"}]],
)  # fmt: skip
def test_a_key_with_limits_cannot_hide_words_in_a_message(message: Any) -> None:
    """The names inside a message count as those of the request do."""
    with pytest.raises(BadRequest, match="is not known"):
        limited(messages=[message])


@pytest.mark.parametrize("name", ["model", "Model", "MODEL", "model\0", "\uff4dodel", "models"])
@pytest.mark.parametrize("field", ["tools", "tool_choice", "reasoning", "web_search_options", "chat_template_kwargs"])
def test_a_key_with_limits_cannot_choose_another_model_inside(field: str, name: str) -> None:
    """Hosted tools may bring one, such as a generator of images; other objects of settings, too. In any spelling."""
    part = {"type": "image_generation", name: "gpt-image-1"}
    for value in (part, [part], [[part]]):
        with pytest.raises(Forbidden, match="may not choose a model") as refused:
            limited(**{field: value})
        assert refused.value.param == field
    assert limited(tools=[{"type": "function", "function": {"name": "f"}}])["tools"]


def test_a_key_with_limits_keeps_its_own_objects() -> None:
    """Its own data may speak of a model, and so may its own schemas."""
    own = {"metadata": {"model": "T"}, "documents": [{"model": "T"}], "moderation": {"model": "omni-moderation-latest"}}
    assert limited(**own).items() >= own.items()


def test_what_has_no_names_is_not_decoded() -> None:
    """Ten million numbers of an input for embeddings would hold up everybody: they keep their bytes."""
    body = b'{"model":"small","input":[1.0, 1e400,2E1],"user":"a"}'
    assert restricted(body, EMBEDDINGS) == b'{"model":"small","input":[1.0, 1e400,2E1],"user":"a"}'


def test_a_tool_s_own_names_are_free() -> None:
    """A schema may have any property."""
    schema = {"type": "object", "properties": {"Role": {"type": "string"}, "role": {"type": "string"}}}
    assert limited(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])
