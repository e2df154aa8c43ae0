"""What Ollama answered, as OpenAI's clients read it."""

import base64
import json
import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamGarbage
from gateway.upstream.ollama_replies import (
    ChatAnswer,
    EmbeddingAnswer,
    Stamp,
    StreamableAnswer,
    TextAnswer,
    refusal,
)
from gateway.upstream.ollama_requests import Asked

STAMP = Stamp(token="abc", created=7, model="qwen")
COUNTS = {"prompt_eval_count": 10, "eval_count": 3}
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
Line = dict[str, Any]


def chat_line(content: str = "", *, done: bool = False, **more: Any) -> Line:
    end = {"done_reason": "stop", **COUNTS} if done else {}
    message = {"role": "assistant", "content": content}
    message.update({key: more.pop(key) for key in ("thinking", "tool_calls") if key in more})
    return {"model": "qwen", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done, **end, **more}


def tool(name: str, arguments: Any, **more: Any) -> Line:
    return {"function": {"name": name, "arguments": arguments}, **more}


def asked(**more: Any) -> Asked:
    return Asked(path="/api/chat", body=b"{}", **more)


def chat(line: Line) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.decode(ChatAnswer(asked(), STAMP).whole(line))
    return made


def stream(*lines: Line, answer: StreamableAnswer | None = None) -> list[dict[str, Any]]:
    """The chunks that lines make; the ``[DONE]`` after them is taken off."""
    answer = answer or ChatAnswer(asked(), STAMP)
    events = b"".join(answer.events(line) for line in lines)
    assert answer.done == bool(lines and lines[-1]["done"])
    events = events.removesuffix(b"data: [DONE]\n\n") if answer.done else events
    return [json.loads(event.removeprefix(b"data: ")) for event in events.split(b"\n\n") if event]


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def test_a_whole_chat() -> None:
    """Exactly a chat completion."""
    assert chat(chat_line("It is 4", done=True)) == {
        "id": "chatcmpl-abc", "object": "chat.completion", "created": 7, "model": "qwen",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "It is 4"}, "logprobs": None,
                     "finish_reason": "stop"}],
        "usage": USAGE,
    }  # fmt: skip


def test_a_streamed_chat() -> None:
    """Chunks under one id and time: role first, then the text, the reason to end, and usage where it was asked for."""
    answer = ChatAnswer(asked(include_usage=True), STAMP)
    chunks = stream(chat_line("It "), chat_line("is 4"), chat_line(done=True), answer=answer)
    head = {"id": "chatcmpl-abc", "object": "chat.completion.chunk", "created": 7, "model": "qwen"}
    assert all(chunk.items() >= head.items() for chunk in chunks)
    assert deltas(chunks[:-1]) == [{"role": "assistant", "content": "It "}, {"content": "is 4"}, {}]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, None, "stop"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], USAGE)


def test_usage_is_not_told_unasked() -> None:
    """A client that did not ask may not expect a chunk without choices."""
    assert all("usage" not in chunk for chunk in stream(chat_line("4"), chat_line(done=True)))


@given(st.lists(st.text()))
def test_texts_arrive_whole(pieces: list[str]) -> None:
    """Any text, in any pieces."""
    chunks = stream(*[chat_line(piece) for piece in pieces], chat_line(done=True))
    assert "".join(delta.get("content", "") for delta in deltas(chunks)) == "".join(pieces)
    assert chat(chat_line("".join(pieces), done=True))["choices"][0]["message"]["content"] == "".join(pieces)


def test_a_line_that_says_nothing_makes_no_event() -> None:
    """But the first one says whose turn it is."""
    answer = ChatAnswer(asked(), STAMP)
    assert deltas(stream(chat_line(), answer=answer)) == [{"role": "assistant", "content": ""}]
    assert answer.events(chat_line()) == b""


def test_thinking_comes_beside_the_text() -> None:
    """As ``reasoning_content``, whole and in pieces."""
    assert chat(chat_line("4", done=True, thinking="2+2"))["choices"][0]["message"]["reasoning_content"] == "2+2"
    chunks = stream(chat_line(thinking="2"), chat_line(thinking="+2"), chat_line("4", done=True))
    assert [delta.get("reasoning_content") for delta in deltas(chunks)] == ["2", "+2", None, None]


ARGUMENTS = st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.lists(st.booleans()), max_size=3)


@given(st.lists(st.lists(st.tuples(st.text(min_size=1), ARGUMENTS), max_size=3), max_size=3))
def test_tool_calls_are_numbered_through_a_stream(lines: list[list[tuple[str, dict[str, Any]]]]) -> None:
    """However they are spread over the lines, a client puts the same calls together as from a whole reply."""
    native = [[tool(name, arguments) for name, arguments in line] for line in lines]
    chunks = stream(*[chat_line(tool_calls=calls) for calls in native], chat_line(done=True))
    calls = [call for delta in deltas(chunks) for call in delta.get("tool_calls", [])]
    told = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    assert told == [call for line in lines for call in line]
    assert [call.pop("index") for call in calls] == list(range(len(calls)))
    assert len({call["id"] for call in calls}) == len(calls)
    whole = chat(chat_line(done=True, tool_calls=[call for calls in native for call in calls]))["choices"][0]
    assert whole["message"].get("tool_calls", []) == calls
    reason = "tool_calls" if calls else "stop"
    assert (whole["finish_reason"], chunks[-1]["choices"][0]["finish_reason"]) == (reason, reason)


def test_a_call_without_text_has_no_content() -> None:
    """OpenAI says null there; text beside a call stays."""
    calls = [tool("add", {"a": 1}, id="call_own")]
    message = chat(chat_line(done=True, tool_calls=calls))["choices"][0]["message"]
    assert (message["content"], message["tool_calls"][0]["id"]) == (None, "call_own")
    assert chat(chat_line("so", done=True, tool_calls=calls))["choices"][0]["message"]["content"] == "so"


@pytest.mark.parametrize(
    ("done_reason", "reason"), [("stop", "stop"), ("length", "length"), ("load", "stop"), (None, "stop")]
)
def test_reasons_to_end(done_reason: str | None, reason: str) -> None:
    """In OpenAI's words."""
    line = chat_line("4", done=True, done_reason=done_reason)
    assert chat(line)["choices"][0]["finish_reason"] == stream(line)[-1]["choices"][0]["finish_reason"] == reason


def test_a_reply_without_an_end_was_cut_short() -> None:
    """Ollama stops a model that repeats itself, and tells neither why nor what it counted."""
    assert chat(chat_line("no no", done=False))["choices"][0]["finish_reason"] == "length"
    for answer, said in (
        (ChatAnswer(asked(include_usage=True), STAMP), {"delta": {}}),
        (TextAnswer(asked(include_usage=True), STAMP), {"text": ""}),
    ):
        *events, done, _ = answer.cut_short().split(b"\n\n")
        finish, usage = (json.loads(event.removeprefix(b"data: ")) for event in events)
        assert finish["choices"][0].items() >= {"finish_reason": "length", **said}.items()
        assert (usage["usage"]["total_tokens"], done, answer.done) == (0, b"data: [DONE]", True)


def test_logprobs_are_handed_on() -> None:
    """With the keys that OpenAI's always has."""
    logprobs = [{"token": "4", "logprob": -0.5, "top_logprobs": [{"token": "4", "logprob": -0.5}]}]
    expected = {"content": [{"bytes": None, **logprobs[0]}], "refusal": None}
    assert chat(chat_line("4", done=True, logprobs=logprobs))["choices"][0]["logprobs"] == expected
    assert stream(chat_line("4", logprobs=logprobs))[0]["choices"][0]["logprobs"] == expected


def test_a_completion_whole_and_in_pieces() -> None:
    """Exactly a text completion."""
    end = {"response": "", "done": True, "done_reason": "length", **COUNTS}
    answer = TextAnswer(asked(include_usage=True), STAMP)
    assert json.loads(answer.whole({**end, "response": "It is 4"})) == {
        "id": "cmpl-abc", "object": "text_completion", "created": 7, "model": "qwen",
        "choices": [{"index": 0, "text": "It is 4", "logprobs": None, "finish_reason": "length"}],
        "usage": USAGE,
    }  # fmt: skip
    chunks = stream({"response": "It ", "done": False}, {"response": "is 4", "done": False}, end, answer=answer)
    choices = [(chunk["choices"][0]["text"], chunk["choices"][0]["finish_reason"]) for chunk in chunks[:-1]]
    assert choices == [("It ", None), ("is 4", None), ("", "length")]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], USAGE)


def embeddings(vectors: list[list[float]], **more: Any) -> dict[str, Any]:
    answer = EmbeddingAnswer(asked(**more), STAMP)
    made: dict[str, Any] = json.loads(answer.whole({"embeddings": vectors, "prompt_eval_count": 5}))
    return made


def test_embeddings() -> None:
    """Exactly a list of embeddings."""
    assert embeddings([[0.5, 1.0], [0.25, 0.0]]) == {
        "object": "list", "model": "qwen", "usage": {"prompt_tokens": 5, "total_tokens": 5},
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, 1.0]},
            {"object": "embedding", "index": 1, "embedding": [0.25, 0.0]},
        ],
    }  # fmt: skip


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_base64_is_little_endian_floats(vector: list[float]) -> None:
    """The official client asks for them unless told otherwise."""
    packed = base64.b64decode(embeddings([vector], base64=True)["data"][0]["embedding"])
    assert list(struct.unpack(f"<{len(vector)}f", packed)) == vector


def test_an_embedding_is_shortened_to_the_dimensions_asked_for() -> None:
    """An old Ollama ignores the field: the beginning of the vector is kept and has length one again."""
    [short] = embeddings([[3.0, 4.0, 12.0]], dimensions=2)["data"]
    assert short["embedding"] == [0.6, 0.8]
    assert embeddings([[3.0, 4.0]], dimensions=2)["data"][0]["embedding"] == [3.0, 4.0]
    assert embeddings([[0.0, 0.0, 1.0]], dimensions=2)["data"][0]["embedding"] == [0.0, 0.0]
    assert math.hypot(*embeddings([[1.0] * 9], dimensions=3)["data"][0]["embedding"]) == pytest.approx(1)


@pytest.mark.parametrize("line", [{}, {"message": None}, {"message": {"content": 3}}, {"message": {}, "done": "yes"}])
def test_what_is_not_ollamas_is_garbage(line: Line) -> None:
    """Another server stands at that address."""
    with pytest.raises(UpstreamGarbage):
        ChatAnswer(asked(), STAMP).whole(line)
    with pytest.raises(UpstreamGarbage):
        ChatAnswer(asked(), STAMP).events(line)
    with pytest.raises(UpstreamGarbage):
        EmbeddingAnswer(asked(), STAMP).whole(line)


@pytest.mark.parametrize(
    ("status", "kind", "param", "code"),
    [
        (400, "invalid_request_error", None, None),
        (404, "invalid_request_error", "model", "model_not_found"),
        (500, "upstream_error", None, None),
    ],
)
def test_an_error_is_in_openais_shape(status: int, kind: str, param: str | None, code: str | None) -> None:
    """All four keys, Ollama's words."""
    told = json.loads(refusal("no such thing", status))
    assert told == {"error": {"message": "no such thing", "type": kind, "param": param, "code": code}}


def test_an_error_of_something_in_between_is_handed_on() -> None:
    """A proxy may speak OpenAI's language already."""
    assert json.loads(refusal({"message": "slow down", "code": "busy"}, 429)) == {
        "error": {"message": "slow down", "code": "busy"}
    }
