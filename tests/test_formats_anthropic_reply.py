"""Anthropic's replies to a client that speaks the same: bytes as they came, read into a record while they pass."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import NO_USAGE, ToolCall, Usage
from gateway.errors import UpstreamBroken, UpstreamGarbage
from gateway.formats import sse
from gateway.formats.anthropic_reply import AnthropicReader, open_anthropic_reply
from gateway.formats.sent_message import counted_message
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript
from tests.sent_messages import COUNTS, MESSAGES, event, events, failure, message, said, thought, use

USED = Usage(prompt_tokens=127, output_tokens=3, cached_tokens=100, written_tokens=20)


def relay(
    *sent: bytes, tags: TagFilter | None = None, transcript: Transcript | None = None
) -> tuple[list[bytes], Transcript, bool]:
    """The events that a client gets, the transcript, and whether the reply came to its end."""
    transcript = transcript or Transcript()
    reader = AnthropicReader(transcript, tags)
    shown = [out for one in sent if (out := reader.read(sse.data_of(one) or b"", one)) is not None]
    return shown, transcript, reader.finished


def decoded(shown: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(sse.data_of(one) or b"") for one in sse.Events().feed(b"".join(shown))]


@given(MESSAGES, st.integers(1, 9))
def test_a_stream_passes_byte_for_byte(sent: dict[str, Any], size: int) -> None:
    """Thinking and signatures too; the record holds what the whole reply would have held."""
    given_events = events(sent, size)
    shown, transcript, finished = relay(*given_events)
    assert shown == given_events and finished
    whole = open_anthropic_reply(json.dumps(sent).encode())
    assert (transcript.text, transcript.finish_reason) == (whole.text, whole.finish_reason)
    assert [(call.name, json.loads(call.arguments)) for call in transcript.tool_calls] == [
        (call.name, json.loads(call.arguments)) for call in whole.tool_calls
    ]
    assert transcript.usage == whole.usage == USED
    assert transcript.reply_id == whole.id == "msg_01"


@given(MESSAGES)
def test_a_whole_reply_passes_byte_for_byte(sent: dict[str, Any]) -> None:
    """Under the upstream's own id: later requests may name it."""
    body = json.dumps(sent, indent=1).encode()
    reply = open_anthropic_reply(body)
    assert reply.sealed("msg_ours") == body
    assert reply.sealed("msg_ours", usage=reply.usage) == body


def test_what_is_new_passes() -> None:
    """Blocks, deltas and events of a later version of the API."""
    new = [
        event("sparkle", x=1),
        event("content_block_start", index=0, content_block={"type": "sparkle"}),
        event("content_block_delta", index=0, delta={"type": "sparkle_delta", "sparkle": 1}),
        event("content_block_delta", index=0),
    ]
    assert relay(*new)[0] == new
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
    assert open_anthropic_reply(json.dumps(message(search, said("4"))).encode()).tool_calls == ()


def test_a_call_without_input_is_recorded_as_an_empty_object() -> None:
    """Its stream has no piece of it."""
    assert relay(*events(message(use("now", {}))))[1].tool_calls == (ToolCall(name="now", arguments="{}"),)


def test_a_stream_that_stops_in_the_middle_is_not_finished() -> None:
    """Nor is one that reports an error; the words are the upstream's."""
    assert relay(*events(message(said("It is 4")))[:-1])[2] is False
    with pytest.raises(UpstreamBroken, match="Overloaded"):
        relay(event("error", error={"type": "overloaded_error", "message": "Overloaded"}))


@pytest.mark.parametrize("reply", ["4", "It is 4"])
@pytest.mark.parametrize("thinks", [False, True])
@given(size=st.integers(1, 20))
def test_working_between_tags_is_cut_out_of_a_stream(reply: str, thinks: bool, size: int) -> None:
    """Wherever it is cut; the rest is a message like any other."""
    sent = message(*([thought("hm")] if thinks else []), said(f"<working>2 and 2</working>\n{reply}"))
    shown, transcript, finished = relay(*events(sent, size), tags=TagFilter())
    assert transcript.text == reply and finished
    told = decoded(shown)
    kept = message(*sent["content"][:-1], said(reply))
    expected = decoded(events(kept, 1000))
    pieces = [one for one in told if one.get("delta", {}).get("type") == "text_delta"]
    assert "".join(piece["delta"]["text"] for piece in pieces) == reply
    kinds = [one["type"] for one in told if one not in pieces and one["type"] != "content_block_delta"]
    assert kinds == [one["type"] for one in expected if one["type"] != "content_block_delta"]


def test_nothing_is_shown_of_working_without_a_reply() -> None:
    """A second pass begins the message: a client never sees two beginnings."""
    tags = TagFilter()
    shown, transcript, finished = relay(*events(message(said("<working>2 and 2"))), tags=tags)
    assert shown == [] and finished and transcript.text == ""
    assert tags.working == "2 and 2"
    again, transcript, _ = relay(*events(message(said("4"), id="msg_02")), transcript=transcript)
    assert decoded(again)[0]["message"]["id"] == transcript.reply_id == "msg_02"
    assert counted_message({**COUNTS, **decoded(again)[-2]["usage"]}) == USED + USED


def test_a_short_answer_without_tags_is_the_reply() -> None:
    """It stands in its own block, before its end."""
    shown, transcript, _ = relay(*events(message(thought("hm"), said("It is 4"))), tags=TagFilter())
    assert transcript.text == "It is 4"
    told = decoded(shown)
    where = next(at for at, one in enumerate(told) if one.get("delta", {}).get("type") == "text_delta")
    assert told[where]["delta"]["text"] == "It is 4" and told[where]["index"] == 1
    assert (told[where + 1]["type"], told[where + 1]["index"]) == ("content_block_stop", 1)
    assert [one["type"] for one in told][-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_a_cut_whole_reply_keeps_its_other_blocks() -> None:
    """A signature would be worth nothing otherwise."""
    body = json.dumps(message(thought("hm"), said("<working>x</working>4"), said(" more"), use("f", {}))).encode()
    sealed = json.loads(open_anthropic_reply(body).sealed("m", text="4", usage=USED + USED))
    assert sealed["content"] == [thought("hm"), said("4"), use("f", {})]
    assert counted_message(sealed["usage"]) == USED + USED and sealed["id"] == "msg_01"


def test_no_message_is_garbage() -> None:
    """Its reader asks whether it is an error."""
    for body in (b"{}", b"x", json.dumps(failure("x")).encode()):
        with pytest.raises(UpstreamGarbage):
            open_anthropic_reply(body)


def test_a_reply_without_usage_can_be_counted() -> None:
    """Odd accounting breaks nothing."""
    body = json.dumps({"content": [said("4")]}).encode()
    reply = open_anthropic_reply(body)
    assert (reply.id, reply.usage, reply.finish_reason) == (None, NO_USAGE, None)
    assert json.loads(reply.sealed("m", usage=USED))["usage"]["output_tokens"] == 3


@given(st.binary())
def test_garbage_in_a_stream_is_called_garbage(data: bytes) -> None:
    """Never an error of ours."""
    try:
        AnthropicReader(Transcript(), None).read(data, sse.event_of(data))
    except (UpstreamGarbage, UpstreamBroken):
        return


def test_a_block_without_a_type_is_kept() -> None:
    """It is no text, whatever it is."""
    body = json.dumps(message(said("<working>x</working>4"))).replace('"content": [', '"content": [{"x": 1}, ').encode()
    assert json.loads(open_anthropic_reply(body).sealed("m", text="4"))["content"] == [{"x": 1}, said("4")]
