"""Replies as OpenAI's own servers write them, fields that nobody knows yet included."""

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tests.conformance.upstream import event

MODEL = "tiny-1b"
RESPONSE = "resp_upstream"
"""The id of every response here."""
TOMORROW = {"from_tomorrow": {"deep": [1, 2.5, None, "ü"], "empty": {}}}

JsonObject = Mapping[str, Any]


def usage(prompt: int = 7, output: int = 3) -> JsonObject:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 0},
    }


def message(content: str | None, **more: Any) -> JsonObject:
    return {"role": "assistant", "content": content, "refusal": None, "annotations": [], **more}


def choice(content: str | None, index: int = 0, finish: str = "stop", **more: Any) -> JsonObject:
    return {"index": index, "message": message(content, **more), "logprobs": None, "finish_reason": finish}


def chat(*choices: JsonObject, **more: Any) -> JsonObject:
    """A chat completion."""
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": choices,
        "usage": usage(),
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        **TOMORROW,
        **more,
    }


def delta(content: str | None = None, index: int = 0, finish: str | None = None, **more: Any) -> JsonObject:
    """One choice of a chunk."""
    said = {} if content is None else {"content": content}
    return {"index": index, "delta": {**said, **more}, "logprobs": None, "finish_reason": finish}


def chunk(*choices: JsonObject, **more: Any) -> JsonObject:
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "system_fingerprint": "fp_1",
        "choices": choices,
        **more,
    }


def chunks(*deltas: JsonObject, counted: bool = True) -> list[bytes]:
    """A whole stream, from the role to ``[DONE]``; OpenAI's chunks say ``usage: null`` once usage is asked for."""
    null = {"usage": None} if counted else {}
    bodies = [chunk(each, **null, **TOMORROW) for each in [delta("", role="assistant", refusal=None), *deltas]]
    if not any(each["finish_reason"] for each in deltas):
        bodies.append(chunk(delta(finish="stop"), **null))
    if counted:
        bodies.append(chunk(usage=usage()))
    return [*map(event, bodies), event("[DONE]")]


def call(number: int, name: str, arguments: str) -> JsonObject:
    """A whole tool call."""
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def call_begins(index: int, name: str) -> JsonObject:
    """The delta with which a streamed tool call begins."""
    begun = {**call(index, name, ""), "index": index}
    return delta(tool_calls=[begun])


def call_goes_on(index: int, piece: str) -> JsonObject:
    return delta(tool_calls=[{"index": index, "function": {"arguments": piece}}])


def logprob(token: str) -> JsonObject:
    alone = {"token": token, "logprob": -0.25, "bytes": list(token.encode())}
    return {**alone, "top_logprobs": [alone, {"token": "3", "logprob": -1.5, "bytes": [51]}]}


def text(*texts: str, finish: str | None = "stop", **more: Any) -> JsonObject:
    """A legacy completion, or a chunk of one."""
    return {
        "id": "cmpl-upstream",
        "object": "text_completion",
        "created": 1,
        "model": MODEL,
        "choices": [
            {"index": index, "text": each, "logprobs": None, "finish_reason": finish}
            for index, each in enumerate(texts)
        ],
        **more,
    }


def embeddings(*vectors: Sequence[float], packed: bool) -> JsonObject:
    """Vectors as numbers, or packed as the clients ask for by default. Numbers that a 32 bit float holds exactly."""

    def written(vector: Sequence[float]) -> Any:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if packed else vector

    data = [
        {"object": "embedding", "index": index, "embedding": written(vector)} for index, vector in enumerate(vectors)
    ]
    return {"object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": 5, "total_tokens": 5}}


def response(*output: JsonObject, status: str = "completed", **more: Any) -> JsonObject:
    """A reply of ``/v1/responses``."""
    return {
        "id": RESPONSE,
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 10,
        },
        "metadata": {},
        **TOMORROW,
        **more,
    }


def said(text: str, status: str = "completed") -> JsonObject:
    """A message among a response's output."""
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}] if text else []
    return {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": content}


def called(name: str, arguments: str) -> JsonObject:
    """A tool call among a response's output."""
    return {
        "id": "fc_1",
        "type": "function_call",
        "status": "completed",
        "call_id": "call_1",
        "name": name,
        "arguments": arguments,
    }


def response_events(*pieces: str, ends: str = "completed") -> list[bytes]:
    """A streamed response in the events of the real one; there is no ``[DONE]``."""
    full = "".join(pieces)
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    unfinished = response(status="in_progress", usage=None)
    last = response(said(full), status=ends)
    bodies: list[JsonObject] = [
        {"type": "response.created", "response": unfinished},
        {"type": "response.in_progress", "response": unfinished},
        {"type": "response.output_item.added", "output_index": 0, "item": said("", "in_progress")},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in pieces),
        {"type": "response.output_text.done", **place, "text": full, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": {**part, "text": full}},
        {"type": "response.output_item.done", "output_index": 0, "item": said(full)},
        {"type": f"response.{ends}", "response": last},
    ]
    return [event({**body, "sequence_number": number}, body["type"]) for number, body in enumerate(bodies)]


def resplit(events: Sequence[bytes], *, at: Sequence[bytes]) -> list[bytes]:
    """The same bytes in other pieces: cut in the middle of every occurrence of the given ones."""
    pieces = [b"".join(events)]
    for mark in at:
        half = len(mark) // 2
        cut: list[bytes] = []
        for piece in pieces:
            first, *rest = piece.split(mark)
            for following in rest:
                cut.append(first + mark[:half])
                first = mark[half:] + following
            cut.append(first)
        pieces = cut
    return pieces


def dumped(value: Any) -> str:
    """Compact JSON, for arguments and structured content."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
