"""Ollama's own API on its way out: a whole chat completion becomes a reply of Ollama's, an error becomes Ollama's.

Times are the gateway's own: from the request's arrival to the first piece, and from there to the end.
``ollama_stream`` writes the lines of a stream.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Raw

from gateway.domain import NO_USAGE, ToolCall, Usage, Value
from gateway.errors import PreceptorError
from gateway.formats.chat import text_of
from gateway.formats.messages_reply import is_object
from gateway.formats.ollama_request import NativeShape
from gateway.formats.reply import decoded, from_upstream
from gateway.formats.tool_calls import CallPieces
from gateway.formats.usage import counted

_NS = 10**9
_REASONS = {"tool_calls": "stop", "function_call": "stop"}
_MARKS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))
"""Characters that readers of lines take for an end of the line, and their escapes in JSON."""


class Moment(Value, frozen=True):
    """The time of a line."""

    wall_s: float
    """Seconds since the epoch."""
    elapsed_s: float
    """Seconds since the request arrived."""


class SpokenPiece(msgspec.Struct):
    """A whole message of a model, or in a stream a piece of it."""

    content: Any = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None


class NativeChoice(msgspec.Struct):
    """The fields of a choice that make a reply of Ollama's."""

    index: int = 0
    message: SpokenPiece | None = None
    delta: SpokenPiece | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Any = None

    @property
    def spoken(self) -> SpokenPiece:
        """The message or its piece; a completion has a text instead."""
        return self.message or self.delta or SpokenPiece(content=self.text)

    def words(self) -> str:
        """Return the text, a refusal included."""
        return (text_of(self.spoken.content, ("text",)) or "") + (self.spoken.refusal or "")

    def thinking(self) -> str:
        """Return the reasoning under either name; an upstream with both repeats itself."""
        given = self.spoken.reasoning_content or self.spoken.reasoning
        return given if isinstance(given, str) else ""

    def chances(self) -> list[Any]:
        """Return the log probabilities of the tokens."""
        content = self.logprobs.get("content") if isinstance(self.logprobs, dict) else None
        return content if isinstance(content, list) else []


class NativeCompletion(msgspec.Struct):
    """A completion or a chunk of one."""

    choices: list[NativeChoice] | None = None
    usage: Any = None

    def first(self) -> NativeChoice | None:
        """Return the first choice, the only part of Ollama's reply."""
        return next((choice for choice in self.choices or () if choice.index == 0), None)


_completion = msgspec.json.Decoder(NativeCompletion)


def to_native(completion: bytes, *, shape: NativeShape, now: Moment) -> bytes:
    """Translate a whole reply. Raises ``UpstreamGarbage`` if it is no completion."""
    with from_upstream("a chat completion"):
        opened = decoded(_completion, completion)
    choice = opened.first() or NativeChoice()
    pieces = CallPieces()
    calls = choice.spoken.tool_calls
    if isinstance(calls, list):
        pieces.add([{**call, "index": at} for at, call in enumerate(calls) if isinstance(call, dict)])
    words = content(
        shape, choice.words(), choice.thinking() if shape.thinking else "", pieces.identified(), choice.chances()
    )
    ended = ending(choice.finish_reason, counted(opened.usage), now, first_s=None)
    return line(shape, now, {**words, **ended})


def content(
    shape: NativeShape,
    text: str,
    thinking: str = "",
    calls: Sequence[tuple[str | None, ToolCall]] = (),
    chances: Sequence[Any] = (),
) -> dict[str, Any]:
    """Return the fields of a reply, or of a line, with the model's words."""
    more: dict[str, Any] = {"thinking": thinking} if thinking else {}
    outside: dict[str, Any] = {"logprobs": chances} if chances else {}
    if shape.api == "generate":
        return {"response": text, **more, **outside}
    if calls:
        more["tool_calls"] = [_call(at, id_, call) for at, (id_, call) in enumerate(calls)]
    return {"message": {"role": "assistant", "content": text, **more}, **outside}


def ending(reason: str | None, usage: Usage, now: Moment, *, first_s: float | None) -> dict[str, Any]:
    """Return the fields of a reply's end. ``first_s``: when its first piece came; ``None`` for a reply in one piece."""
    times = {"total_duration": int(now.elapsed_s * _NS), "load_duration": 0}
    began_s = 0.0
    if first_s is not None:
        began_s = min(first_s, now.elapsed_s)
        times["prompt_eval_duration"] = int(began_s * _NS)
    counts = {"prompt_eval_count": usage.prompt_tokens, "eval_count": usage.output_tokens} if usage != NO_USAGE else {}
    times["eval_duration"] = max(1, int((now.elapsed_s - began_s) * _NS))
    return {"done": True, "done_reason": _REASONS.get(reason or "stop", reason or "stop"), **times, **counts}


def loaded(shape: NativeShape, reason: Literal["load", "unload"], now: Moment) -> bytes:
    """Return the reply to a request without content."""
    return line(shape, now, {**content(shape, ""), "done": True, "done_reason": reason})


def line(shape: NativeShape, now: Moment, fields: Mapping[str, Any]) -> bytes:
    """Return a reply, or a line of a stream without its end."""
    created = datetime.fromtimestamp(now.wall_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return unbroken(msgspec.json.encode({"model": shape.model, "created_at": created, **fields}))


def unbroken(data: bytes) -> bytes:
    """Return JSON without characters that end lines for some readers."""
    for mark, escape in _MARKS:
        data = data.replace(mark, escape)
    return data


def embedded(reply: bytes, *, model: str, elapsed_s: float, old: bool) -> bytes:
    """Translate a list of embeddings; ``old`` for ``/api/embeddings``, with a single vector."""
    with from_upstream("a list of embeddings"):
        opened = msgspec.json.decode(reply, type=_Embedded)
    vectors = [item.embedding for item in sorted(opened.data, key=lambda item: item.index)]
    if old:
        return msgspec.json.encode({"embedding": vectors[0] if vectors else []})
    times = {"total_duration": int(elapsed_s * _NS), "load_duration": 0}
    count = counted(opened.usage).prompt_tokens
    return msgspec.json.encode({"model": model, "embeddings": vectors, **times, "prompt_eval_count": count})


def native_error(error: PreceptorError) -> bytes:
    """Return an error in Ollama's shape, with the upstream's own words where it has some."""
    return unbroken(msgspec.json.encode({"error": error.words()}))


class _Vector(msgspec.Struct):
    embedding: Raw
    index: int = 0


class _Embedded(msgspec.Struct):
    data: list[_Vector]
    usage: Any = None


def _call(at: int, id_: str | None, call: ToolCall) -> dict[str, Any]:
    """Return a call with an object as its arguments: clients accept nothing else.

    A model may write invalid JSON; it is passed on as the only value of an object, so that the tool's check fails.
    """
    text = call.arguments.strip() or "{}"
    arguments = Raw(text.encode()) if is_object(text) else {"INVALID_JSON": call.arguments}
    function = {"index": at, "name": call.name, "arguments": arguments}
    return {"id": id_, "function": function} if id_ else {"function": function}
