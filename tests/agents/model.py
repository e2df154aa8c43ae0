"""A scripted model that works as agents' models do: it calls a tool some times, counts its prompts, and gets full."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tests import sent_messages
from tests.agents.prompt_cache import (
    AutomaticCache,
    Counts,
    MarkedCache,
    chat_blocks,
    message_blocks,
    response_blocks,
)
from tests.conformance import replies
from tests.conformance.upstream import Answer, Asked, event, refused, stream, whole

Json = Mapping[str, Any]
Call = tuple[str, str] | None
"""Name and arguments of a tool call."""
Wire = Literal["chat", "responses", "messages"]
PATHS: Mapping[str, Wire] = {
    "/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/messages": "messages",
}  # fmt: skip
TOOLS: Mapping[str, str] = {"Bash": "command", "exec_command": "cmd"}
"""The tools of agents that run a command, with the name of their argument."""
COMPACTING = ("CONTEXT CHECKPOINT COMPACTION", "Respond with TEXT ONLY")
"""The words in which agents ask for a summary in the place of their history."""
SUMMARY = "<summary>Some steps are done.</summary>"
DONE = "All done."
FULL = 190_000
"""Tokens of a context of 200,000 beyond which agents compact."""
OUTPUT = 7
"""Output tokens of every reply."""


class AgentModel:
    """Answers requests of the wires that it speaks. ``counts`` holds the count of each prompt, in order.

    ``context``: tokens beyond which a prompt is refused, in the words of the wire; a request for a summary never is.
    ``full_at``: the number of the reply that says that its prompt had ``FULL`` tokens.
    """

    def __init__(self, *wires: Wire, calls: int = 30, context: int | None = None, full_at: int = 0) -> None:
        self._wires = wires
        self._left = calls
        self.context = context
        self._full_at = full_at
        self._automatic = AutomaticCache()
        self._marked = MarkedCache()
        self._numbers = itertools.count(1)
        self.counts: list[Counts] = []
        self.asked: list[Asked] = []
        """What was answered, not what was refused."""
        self.summaries = 0

    def __call__(self, asked: Asked) -> Answer:
        wire = PATHS.get(asked.line.removeprefix("POST ").partition("?")[0])
        if wire is None or wire not in self._wires:
            return whole({"detail": "Not Found"}, 404)
        body = asked.json
        counts = self._count(wire, body)
        summary = any(words in str(_last(body)) for words in COMPACTING)
        if self.context is not None and counts.prompt > self.context and not summary:
            return self._too_long(wire, counts)
        if len(self.counts) + 1 == self._full_at:
            counts = Counts(FULL)
        self.counts.append(counts)
        self.asked.append(asked)
        number = next(self._numbers)
        if summary:
            self.summaries += 1
            return _said(wire, body, SUMMARY, None, number, counts)
        call = self._call(body) if self._left else None
        self._left -= call is not None
        return _said(wire, body, DONE if call is None else f"Step {number}.", call, number, counts)

    def _count(self, wire: Wire, body: Mapping[str, Any]) -> Counts:
        match wire:
            case "chat":
                return self._automatic.count(chat_blocks(body))
            case "responses":
                return self._automatic.count(response_blocks(body))
            case "messages":
                return self._marked.count(*message_blocks(body))

    def _call(self, body: Json) -> Call:
        names = {tool.get("name") or tool.get("function", {}).get("name") for tool in body.get("tools") or ()}
        name = next((name for name in TOOLS if name in names), None)
        return None if name is None else (name, json.dumps({TOOLS[name]: f"echo step-{self._left}"}))

    def _too_long(self, wire: Wire, counts: Counts) -> Answer:
        if wire == "messages":
            words = f"prompt is too long: {counts.prompt} tokens > {self.context} maximum"
            return whole(sent_messages.failure(words), 400)
        words = f"This model's maximum context length is {self.context} tokens, your messages have {counts.prompt}."
        answer = refused(400, code="context_length_exceeded", param="messages")
        error = {**json.loads(answer.pieces[0])["error"], "message": words}
        return whole({"error": error}, 400)


def _last(body: Mapping[str, Any]) -> Any:
    turns: Sequence[Any] = body.get("messages") or body["input"]
    return turns[-1]


def _said(wire: Wire, body: Json, text: str, call: Call, number: int, counts: Counts) -> Answer:
    makers = {"chat": _chat, "responses": _response, "messages": _message}
    return makers[wire](body, text, call, number, counts)


def _chat(body: Json, text: str, call: Call, number: int, counts: Counts) -> Answer:
    usage = {
        "prompt_tokens": counts.prompt,
        "completion_tokens": OUTPUT,
        "total_tokens": counts.prompt + OUTPUT,
        "prompt_tokens_details": {"cached_tokens": counts.read},
    }
    calls = [] if call is None else [replies.call(number, *call)]
    finish = "tool_calls" if calls else "stop"
    if not body.get("stream"):
        more: dict[str, Any] = {"tool_calls": calls} if calls else {}
        return whole(replies.chat(replies.choice(text, finish=finish, **more), id=f"c{number}", usage=usage))
    deltas = [replies.delta(text)]
    if calls:
        deltas.append(replies.delta(tool_calls=[{**calls[0], "index": 0}]))
    chunks = replies.chunks(*deltas, replies.delta(finish=finish), counted=False)[:-1]
    return stream([*chunks, event(replies.chunk(usage=usage)), event("[DONE]")])


def _response(body: Json, text: str, call: Call, number: int, counts: Counts) -> Answer:
    usage = {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.read},
        "output_tokens": OUTPUT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counts.prompt + OUTPUT,
    }
    output = [{**replies.said(text), "id": f"msg_{number}"}]
    if call is not None:
        output.append({**replies.called(*call), "id": f"fc_{number}", "call_id": f"call_{number}"})
    made = replies.response(*output, id=f"resp_{number}", usage=usage, tools=body.get("tools", []))
    if not body.get("stream"):
        return whole(made)
    events = _response_events(made)
    return stream([event({**one, "sequence_number": at}, one["type"]) for at, one in enumerate(events)])


def _response_events(made: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**made, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    for at, item in enumerate(made["output"]):
        opened = {**item, "status": "in_progress"}
        place = {"item_id": item["id"], "output_index": at}
        if item["type"] == "message":
            text = item["content"][0]["text"]
            yield {"type": "response.output_item.added", "output_index": at, "item": {**opened, "content": []}}
            yield {"type": "response.output_text.delta", **place, "content_index": 0, "delta": text}
            yield {"type": "response.output_text.done", **place, "content_index": 0, "text": text}
        else:
            yield {"type": "response.output_item.added", "output_index": at, "item": {**opened, "arguments": ""}}
            yield {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]}
            yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
        yield {"type": "response.output_item.done", "output_index": at, "item": item}
    yield {"type": "response.completed", "response": made}


def _message(body: Json, text: str, call: Call, number: int, counts: Counts) -> Answer:
    usage = {
        "input_tokens": counts.prompt - counts.read - counts.written,
        "cache_read_input_tokens": counts.read,
        "cache_creation_input_tokens": counts.written,
        "output_tokens": OUTPUT,
    }
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    content = [sent_messages.thought("Hm.", f"c2ln{number}")] if thinks else []
    content.append(sent_messages.said(text))
    if call is not None:
        content.append(sent_messages.use(call[0], json.loads(call[1]), f"toolu_{number}"))
    made = sent_messages.message(*content, id=f"msg_{number}", usage=usage)
    return stream(sent_messages.events(made, 1000)) if body.get("stream") else whole(made)
