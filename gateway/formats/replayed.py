"""Whole replies as the events of a stream: the gateway's own, and those of an upstream that streams nothing. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.formats import sse
from gateway.formats.envelope import decode_object, decoded
from gateway.formats.lenient import objects, relaxed
from gateway.formats.reply import from_upstream

Json = Mapping[str, Any]

_ENDS = ("completed", "incomplete", "failed")
_SAID = {"output_text": "text", "refusal": "refusal"}
"""Kinds of parts of a response's message with the field that comes in pieces."""
_CALLED = {"function_call": "arguments", "custom_tool_call": "input"}
"""Kinds of items of a response with the field that comes in pieces."""


def completion_events(body: bytes, *, include_usage: bool = True) -> Sequence[bytes]:
    """Return a chat's reply, or a legacy completion, as chunks, without the closing event. Raises ``UpstreamGarbage``.

    Each choice comes whole, then its end, then the usage.
    """
    with from_upstream("a chat completion"):
        fields = decode_object(body)
        choices = relaxed({"choices": decoded(fields["choices"])})["choices"]
    head: dict[str, Any] = {name: value for name, value in fields.items() if name not in ("choices", "usage")}
    if any("message" in choice for choice in choices):
        head["object"] = "chat.completion.chunk"
    chunks = [{**head, "choices": [_begun(choice)]} for choice in choices]
    chunks += [{**head, "choices": [_ended(choice)]} for choice in choices if "message" in choice]
    if include_usage and "usage" in fields:
        chunks.append({**head, "choices": [], "usage": fields["usage"]})
    return [sse.event_of(msgspec.json.encode(chunk)) for chunk in chunks]


def _begun(choice: Json) -> Json:
    if "message" not in choice:
        return choice
    delta = dict(choice["message"] or {})
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [{**call, "index": at} for at, call in enumerate(objects(calls))]
    return {**_without_message(choice), "delta": delta, "finish_reason": None}


def _ended(choice: Json) -> Json:
    return {**_without_message(choice), "delta": {}, "logprobs": None}


def _without_message(choice: Json) -> dict[str, Any]:
    return {name: value for name, value in choice.items() if name != "message"}


def response_events(response: Json) -> Sequence[bytes]:
    """Return a response as events, numbered from 0."""
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    status = response.get("status")
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for at, item in enumerate(objects(response.get("output"))):
        events += _item_events(at, item)
    events.append({"type": f"response.{status if status in _ENDS else _ENDS[0]}", "response": response})
    return [_named({**event, "sequence_number": number}) for number, event in enumerate(events)]


def _item_events(at: int, item: Json) -> Iterator[dict[str, Any]]:
    kind, place = item.get("type"), {"item_id": item.get("id"), "output_index": at}
    pieces = _CALLED.get(str(kind))
    empty: dict[str, Any] = {"content": []} if kind == "message" else {pieces: ""} if pieces else {}
    status = {"status": "in_progress"} if "status" in item else {}
    yield {"type": "response.output_item.added", "output_index": at, "item": {**item, **status, **empty}}
    if kind == "message":
        for index, part in enumerate(objects(item.get("content"))):
            yield from _part_events({**place, "content_index": index}, part)
    if pieces:
        name = f"response.{kind}_{pieces}"
        yield {"type": f"{name}.delta", **place, "delta": item.get(pieces)}
        yield {"type": f"{name}.done", **place, "name": item.get("name"), pieces: item.get(pieces)}
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def _part_events(place: Json, part: Json) -> Iterator[dict[str, Any]]:
    kind = part.get("type")
    field = _SAID.get(str(kind))
    yield {"type": "response.content_part.added", **place, "part": {**part, field: ""} if field else part}
    if field:
        probabilities = {"logprobs": part.get("logprobs") or []} if field == "text" else {}
        yield {"type": f"response.{kind}.delta", **place, "delta": part.get(field), **probabilities}
        yield {"type": f"response.{kind}.done", **place, field: part.get(field), **probabilities}
    yield {"type": "response.content_part.done", **place, "part": part}


def message_events(message: Json) -> Sequence[bytes]:
    """Return one of Anthropic's messages as events."""
    ending = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    given = message.get("usage")
    usage = given if isinstance(given, dict) else {}
    begun = {**message, "content": [], **dict.fromkeys(ending), "usage": {**usage, "output_tokens": 0}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for at, block in enumerate(message.get("content") or ()):
        empty, deltas = _pieces_of(block)
        events.append({"type": "content_block_start", "index": at, "content_block": {**block, **empty}})
        events += [{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": at})
    events += [{"type": "message_delta", "delta": ending, "usage": usage}, {"type": "message_stop"}]
    return [_named(event) for event in events]


def _pieces_of(block: Json) -> tuple[Json, Sequence[Json]]:
    """Return the fields that a block begins without, and the deltas that bring them."""
    match block:
        case {"type": "text", "text": text}:
            return {"text": ""}, [{"type": "text_delta", "text": text}]
        case {"type": "tool_use" | "server_tool_use", "input": given}:
            written = msgspec.json.encode(given).decode()
            return {"input": {}}, [{"type": "input_json_delta", "partial_json": written}]
        case {"type": "thinking", "thinking": thought}:
            signature = block.get("signature") or ""
            return {"thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": thought},
                {"type": "signature_delta", "signature": signature},
            ]
        case _:
            return {}, ()


def _named(event: Json) -> bytes:
    kind: str = event["type"]
    return b"event: " + kind.encode() + b"\n" + sse.event_of(msgspec.json.encode(event))
