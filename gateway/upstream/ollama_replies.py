"""Ollama's answers in OpenAI's shape: whole replies, pieces of a stream, embeddings, errors. Pure."""

import base64
import math
import sys
from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec

from gateway.domain import Value
from gateway.errors import UpstreamError, UpstreamGarbage, error_body
from gateway.formats.sse import DONE, event_of
from gateway.upstream.ollama_requests import Asked

_encode = msgspec.json.encode


class _AnswerFunction(msgspec.Struct):
    name: str
    arguments: Any = None


class _AnswerToolCall(msgspec.Struct):
    function: _AnswerFunction
    id: str | None = None


class _AnswerMessage(msgspec.Struct):
    content: str = ""
    thinking: str = ""
    tool_calls: list[_AnswerToolCall] | None = None


class _Line(msgspec.Struct, kw_only=True):
    """The fields of every answer, whole or a line of a stream."""

    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int = 0
    eval_count: int = 0


class _ChatLine(_Line):
    message: _AnswerMessage
    logprobs: list[dict[str, Any]] | None = None


class _TextLine(_Line):
    response: str


class _EmbeddingReply(msgspec.Struct):
    embeddings: list[list[float]]
    prompt_eval_count: int = 0


_T = TypeVar("_T")


def _read(answer: Mapping[str, Any], kind: type[_T]) -> _T:
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise UpstreamGarbage(f"Ollama answered with something that is not its own API: {error}") from None


class Stamp(Value, frozen=True):
    """The marks on every piece of a reply."""

    token: str
    """Unique, letters and digits."""
    created: int
    """Seconds since the epoch."""
    model: str


class StreamableAnswer(ABC):
    """A reply in the making, whole or in pieces."""

    prefix: ClassVar[str]
    """Beginning of its id."""
    kind: ClassVar[str]
    chunk: ClassVar[str]
    silence: ClassVar[tuple[str, Any]]
    """The content of a choice in an empty chunk."""
    done: bool
    """The stream has come to its end."""

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        self.done = False
        self._include_usage = asked.include_usage
        self._stamp = stamp

    @abstractmethod
    def whole(self, answer: Mapping[str, Any]) -> bytes:
        """Return the body of an unstreamed reply. Raises ``UpstreamGarbage``."""

    @abstractmethod
    def events(self, line: Mapping[str, Any]) -> bytes:
        """Return the events, perhaps none, for a line of a streamed answer. Raises ``UpstreamGarbage``."""

    def cut_short(self) -> bytes:
        """Return the closing events of a stream that ended in good order, but without a last line.

        Ollama stops a model in this way when it repeats a token over and over (ollama/ollama#7547).
        """
        return self._end(_Line())

    def _body(self, kind: str, choices: Sequence[Mapping[str, Any]], **more: Any) -> bytes:
        stamp = self._stamp
        return _encode(
            {
                "id": self.prefix + stamp.token,
                "object": kind,
                "created": stamp.created,
                "model": stamp.model,
                "choices": choices,
                **more,
            }
        )

    def _event(self, choice: Mapping[str, Any]) -> bytes:
        return event_of(self._body(self.chunk, [choice]))

    def _end(self, line: _Line) -> bytes:
        self.done = True
        finish = self._event(_choice(*self.silence, self._finish_reason(line)))
        usage = event_of(self._body(self.chunk, [], usage=_usage(line))) if self._include_usage else b""
        return finish + usage + DONE

    def _finish_reason(self, line: _Line) -> str:
        """Map Ollama's reason: ``load`` and ``unload`` (requests without messages) are a stop for OpenAI's clients."""
        return "length" if line.done_reason == "length" or not line.done else "stop"


class ChatAnswer(StreamableAnswer):
    """A chat completion. Thinking becomes ``reasoning_content``, as DeepSeek named it."""

    prefix = "chatcmpl-"
    kind = "chat.completion"
    chunk = "chat.completion.chunk"
    silence = ("delta", {})

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        super().__init__(asked, stamp)
        self._calls = 0
        self._begun = False

    def whole(self, answer: Mapping[str, Any]) -> bytes:
        line = _read(answer, _ChatLine)
        content = self._content(line.message)
        for call in content.get("tool_calls", ()):
            del call["index"]  # only pieces have an index
        text = None if self._calls and not line.message.content else line.message.content
        message = {"role": "assistant", **content, "content": text}
        choice = self._choice("message", message, line, self._finish_reason(line))
        return self._body(self.kind, [choice], usage=_usage(line))

    def events(self, line: Mapping[str, Any]) -> bytes:
        read = _read(line, _ChatLine)
        content = self._content(read.message)
        if not self._begun:
            content = {"role": "assistant", "content": "", **content}
        self._begun = True
        piece = self._event(self._choice("delta", content, read, None)) if content or read.logprobs else b""
        return piece + self._end(read) if read.done else piece

    def _content(self, message: _AnswerMessage) -> dict[str, Any]:
        """Return the content of a message. Calls are numbered through the whole reply; missing ids are made."""
        content: dict[str, Any] = {}
        if message.thinking:
            content["reasoning_content"] = message.thinking
        if message.content:
            content["content"] = message.content
        calls = []
        for call in message.tool_calls or ():
            arguments = _encode({} if call.function.arguments is None else call.function.arguments).decode()
            calls.append({
                "index": self._calls,
                "id": call.id or f"call_{self._stamp.token}{self._calls}",
                "type": "function",
                "function": {"name": call.function.name, "arguments": arguments},
            })  # fmt: skip
            self._calls += 1
        if calls:
            content["tool_calls"] = calls
        return content

    def _choice(self, key: str, content: Mapping[str, Any], line: _ChatLine, reason: str | None) -> dict[str, Any]:
        choice = _choice(key, content, reason)
        if line.logprobs:
            entries = [{"bytes": None, "top_logprobs": [], **entry} for entry in line.logprobs]
            choice["logprobs"] = {"content": entries, "refusal": None}
        return choice

    def _finish_reason(self, line: _Line) -> str:
        reason = super()._finish_reason(line)
        return "tool_calls" if self._calls and reason == "stop" else reason


class TextAnswer(StreamableAnswer):
    """A completion."""

    prefix = "cmpl-"
    kind = "text_completion"
    chunk = "text_completion"
    silence = ("text", "")

    def whole(self, answer: Mapping[str, Any]) -> bytes:
        line = _read(answer, _TextLine)
        return self._body(self.kind, [_choice("text", line.response, self._finish_reason(line))], usage=_usage(line))

    def events(self, line: Mapping[str, Any]) -> bytes:
        read = _read(line, _TextLine)
        piece = self._event(_choice("text", read.response, None)) if read.response else b""
        return piece + self._end(read) if read.done else piece


class EmbeddingAnswer:
    """A list of embeddings, never streamed."""

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        self._asked = asked
        self._model = stamp.model

    def whole(self, answer: Mapping[str, Any]) -> bytes:
        """Return the body of the reply. Raises ``UpstreamGarbage``."""
        read = _read(answer, _EmbeddingReply)
        data = [
            {"object": "embedding", "index": index, "embedding": self._shaped(vector)}
            for index, vector in enumerate(read.embeddings)
        ]
        usage = {"prompt_tokens": read.prompt_eval_count, "total_tokens": read.prompt_eval_count}
        return _encode({"object": "list", "data": data, "model": self._model, "usage": usage})

    def _shaped(self, vector: list[float]) -> list[float] | str:
        """Return the vector in the requested length and encoding. An old Ollama does not shorten it itself."""
        length = self._asked.dimensions
        if length is not None and length < len(vector):
            vector = vector[:length]
            norm = math.hypot(*vector) or 1.0
            vector = [value / norm for value in vector]
        return _packed(vector) if self._asked.base64 else vector


def refusal(error: Any, status: int) -> bytes:
    """Return Ollama's error in OpenAI's shape. ``error`` is a text, or any JSON of a proxy in between."""
    if not isinstance(error, str):
        return _encode({"error": error})
    if status == 404:
        return error_body(error, "invalid_request_error", "model", "model_not_found")
    return error_body(error, UpstreamError.type if status >= 500 else "invalid_request_error")


def _choice(key: str, content: Any, reason: str | None) -> dict[str, Any]:
    return {"index": 0, key: content, "logprobs": None, "finish_reason": reason}


def _packed(vector: Sequence[float]) -> str:
    """Encode numbers as base64 of little-endian 32-bit floats."""
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()


def _usage(line: _Line) -> dict[str, int]:
    return {
        "prompt_tokens": line.prompt_eval_count,
        "completion_tokens": line.eval_count,
        "total_tokens": line.prompt_eval_count + line.eval_count,
    }
