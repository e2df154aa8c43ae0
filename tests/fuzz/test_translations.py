"""Requests and streams in the shapes that are translated: Ollama's own, and responses asked as chats."""

import contextlib
import json
from typing import Any

from hypothesis import strategies as st

from gateway.errors import BadRequest, UpstreamGarbage
from gateway.formats.ollama_reply import Moment, to_native
from gateway.formats.ollama_request import NativeShape, loading, open_embed, open_generate, open_native_chat
from gateway.formats.ollama_stream import NativeStream
from gateway.upstream.response_events import ResponseStream
from gateway.upstream.response_replies import ResponseMarks, whole_response
from gateway.upstream.response_requests import chat_of
from tests.fuzz.budget import fuzz


def words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


NAMES = words("""
    type role content text name input output arguments function id call_id index images tool_calls tools tool_choice
    delta message choices finish_reason usage format schema effort mode refusal reasoning_content logprobs summary
    definition syntax description image_url file_data prompt_tokens completion_tokens
""")
WORDS = words("""
    message function function_call function_call_output custom custom_tool_call reasoning item_reference input_text
    output_text input_image input_file refusal user assistant system tool developer json json_schema allowed_tools
    grammar stop length error web_search add {"a":1} {"input":"x"} [1 low
""")
NUMBERS = st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=15,
)
FIELDS = words("""
    messages prompt system images suffix raw format think options keep_alive stream template context input
    instructions tools tool_choice text reasoning include top_logprobs max_output_tokens parallel_tool_calls metadata
    previous_response_id conversation background
""")


def test_requests() -> None:
    """Whatever JSON a client sends, it becomes a chat or is a bad request."""

    def holds(fields: dict[str, Any]) -> None:
        body = json.dumps({"model": "m", **fields}).encode()
        for opened in (
            lambda: json.loads(open_native_chat(body, str).body),
            lambda: json.loads(open_generate(body, str).body),
            lambda: json.loads(open_embed(body, str).body),
            lambda: loading(body, "messages"),
            lambda: json.loads(chat_of(body, stream=True).body),
        ):
            with contextlib.suppress(BadRequest):
                opened()

    assert fuzz(st.dictionaries(FIELDS, VALUES, max_size=6), holds)


DELTAS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("content", "refusal", "reasoning_content", "tool_calls", "role"), VALUES)
)
CHOICES = st.fixed_dictionaries(
    {"index": st.just(0)}, optional={"delta": DELTAS, "finish_reason": VALUES, "logprobs": VALUES}
)
CHUNK = st.fixed_dictionaries({}, optional={"choices": st.lists(CHOICES, max_size=2), "usage": VALUES, "error": VALUES})


def test_replies() -> None:
    """Whatever JSON an upstream sends, it becomes lines or events with numbers, or is garbage."""
    shape, now = NativeShape(model="m"), Moment(wall_s=0.0, elapsed_s=1.0)
    marks = ResponseMarks(token="abc", created=7, model="m")
    request = chat_of(b'{"model":"m","input":"x","tools":[{"type":"custom","name":"add"}]}', stream=True)

    def holds(chunks: list[Any]) -> None:
        native, responses = NativeStream(shape), ResponseStream(request, marks)
        numbers = []
        for data in [*(json.dumps(chunk).encode() for chunk in chunks), b"[DONE]"]:
            with contextlib.suppress(UpstreamGarbage):
                for line in native.feed(b"data: " + data + b"\n\n", now).splitlines():
                    json.loads(line)
            with contextlib.suppress(UpstreamGarbage):
                events = responses.events(data).decode().split("\n\n")
                numbers += [json.loads(event.partition("data: ")[2])["sequence_number"] for event in events if event]
            with contextlib.suppress(UpstreamGarbage):
                to_native(data, shape=shape, now=now)
            with contextlib.suppress(UpstreamGarbage):
                whole_response(data, request, marks)
        assert numbers == list(range(len(numbers)))

    assert fuzz(st.lists(CHUNK | VALUES, max_size=5), holds)
