"""An upstream that answers by what it is asked, in each of the four wires, and follows every form that it is told."""

import itertools
import json
from typing import Any

from gateway.formats.replayed import response_events
from tests import sent_messages
from tests.conformance import replies
from tests.conformance.upstream import Answer, Asked, binary, stream, whole

RULE = "Always handle the doubled part first."
WORKING = "2 + 2 is 4, I think."
ASK = "What is 2 + 2?"
ANSWER = "It is 4"
TOO_MUCH = "Is this too long?"
"""A question that the upstream refuses."""
TOO_LONG = "This model's maximum context length is 8 tokens"
"""Its words for that."""
_RESULTS = ('"role": "tool"', '"function_call_output"', '"tool_result"')
_IDS = itertools.count()


def answered(asked: Asked) -> Answer:
    """Work where a form asks for it; call the first tool until its result is there; else say ``ANSWER``."""
    if not asked.body:
        return whole({"object": "list", "data": []})
    body: dict[str, Any] = asked.json
    text = json.dumps(body, ensure_ascii=False)
    if TOO_MUCH in text:
        return _refusal(asked.line)
    called = None
    if "asked to fill in the form" in text:
        said = '{"n":2}'
    elif "draft for yourself" in text:
        said = WORKING
    else:
        called = None if any(mark in text for mark in _RESULTS) else _call(body)
        said = '{"value":4}' if _is_structured(body) else _marked(text)
        said = f"<working>{WORKING}</working>\n{said}" if "<working>" in text else said
    path = asked.line.rpartition(" ")[2].partition("?")[0]
    for end, wire in _WIRES.items():
        if path.endswith(end):
            return wire(said, called, body)
    raise AssertionError(f"nobody answers {asked.line}")


def _refusal(line: str) -> Answer:
    """Words about the context, in the shape of each wire."""
    error: Any = {"message": TOO_LONG, "type": "invalid_request_error"}
    if line.endswith("/messages"):
        return whole({"type": "error", "error": error}, 400)
    if line.endswith("/api/chat"):
        return whole({"error": TOO_LONG}, 400)
    return whole({"error": {**error, "param": "messages", "code": "context_length_exceeded"}}, 400)


def _call(body: dict[str, Any]) -> tuple[str, dict[str, int]] | None:
    for tool in body.get("tools") or ():
        name = tool.get("name") or tool["function"]["name"]
        return name, {"a": 2, "b": 2} if name == "add" else {"value": 4}
    return None


def _is_structured(body: dict[str, Any]) -> bool:
    shapes = [body.get("response_format"), (body.get("text") or {}).get("format"), body.get("output_format")]
    shapes.append((body.get("output_config") or {}).get("format"))
    return "format" in body or any(shape and shape.get("type") == "json_schema" for shape in shapes)


def _marked(text: str) -> str:
    """The answer, in DSPy's marks where these are asked for."""
    for name, value in (("answer", ANSWER), ("value", "4")):
        if f"[[ ## {name} ## ]]" in text:
            return f"[[ ## {name} ## ]]\n{value}\n\n[[ ## completed ## ]]"
    return ANSWER


Called = tuple[str, dict[str, int]] | None


def _chat(said: str, called: Called, body: dict[str, Any]) -> Answer:
    if body.get("stream"):
        deltas = [replies.delta(piece) for piece in said]
        if called:
            deltas = [replies.call_begins(0, called[0]), replies.call_goes_on(0, replies.dumped(called[1]))]
            deltas.append(replies.delta(finish="tool_calls"))
        return stream(replies.chunks(*deltas, counted=bool(body.get("stream_options"))))
    if called:
        call = replies.call(0, called[0], replies.dumped(called[1]))
        return whole(replies.chat(replies.choice(None, finish="tool_calls", tool_calls=[call])))
    return whole(replies.chat(replies.choice(said)))


def _response(said: str, called: Called, body: dict[str, Any]) -> Answer:
    item = replies.called(called[0], replies.dumped(called[1])) if called else replies.said(said)
    made = replies.response(item, id=f"resp_{next(_IDS)}")
    return stream(response_events(made)) if body.get("stream") else whole(made)


def _message(said: str, called: Called, body: dict[str, Any]) -> Answer:
    made = sent_messages.message(sent_messages.use(*called) if called else sent_messages.said(said))
    return stream(sent_messages.events(made)) if body.get("stream") else whole(made)


def _ollama(said: str, called: Called, body: dict[str, Any]) -> Answer:
    message: dict[str, Any] = {"role": "assistant", "content": "" if called else said}
    if called:
        message["tool_calls"] = [{"function": {"name": called[0], "arguments": called[1]}}]
    made = {"model": "tiny-1b", "created_at": "2026-11-29T00:00:00Z", "message": message}
    ended = {**made, "done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}
    if body.get("stream") is False:
        return whole(ended)
    lines = [{**made, "done": False}, {**ended, "message": {"role": "assistant", "content": ""}}]
    return binary(b"".join(json.dumps(line).encode() + b"\n" for line in lines), "application/x-ndjson")


_WIRES = {"/chat/completions": _chat, "/responses": _response, "/messages": _message, "/api/chat": _ollama}
