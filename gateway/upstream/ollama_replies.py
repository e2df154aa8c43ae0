"""What Ollama answered, in OpenAI's shape: whole replies, pieces of a stream, embeddings, errors. Pure."""

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
    """What a whole answer and a line of a streamed one have in common."""

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
    """What every piece of a reply carries."""

    token: str
    """Unique, letters and digits."""
    created: int
    """Seconds since the epoch."""
    model: str


class StreamableAnswer(ABC):
    """One reply in the making, whole or in pieces."""

    prefix: ClassVar[str]
    """Of its id."""
    kind: ClassVar[str]
    chunk: ClassVar[str]
    silence: ClassVar[tuple[str, Any]]
    """What a choice holds in a chunk that says nothing."""
    done: bool
    """Whether the stream has come to its end."""

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        self.done = False
        self._include_usage = asked.include_usage
        self._stamp = stamp

    @abstractmethod
    def whole(self, answer: Mapping[str, Any]) -> bytes:
        """The body of an unstreamed reply. Raises ``UpstreamGarbage``."""

    @abstractmethod
    def events(self, line: Mapping[str, Any]) -> bytes:
        """The events, maybe none, that a line of a streamed answer makes. Raises ``UpstreamGarbage``."""

    def cut_short(self) -> bytes:
        """The closing events of a stream that ended in good order, but without a last line.

        So Ollama stops a model that repeats one token over and over (ollama/ollama#7547).
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
        """``load`` and ``unload`` answer a request without messages; to OpenAI's clients they are a stop too."""
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
        said = self._said(line.message)
        for call in said.get("tool_calls", ()):
            del call["index"]  # only pieces have one
        content = None if self._calls and not line.message.content else line.message.content
        return self._body(
            self.kind, [self._choice("message", {"role": "assistant", **said, "content": content}, line,
                                       self._finish_reason(line))], usage=_usage(line),
        )  # fmt: skip

    def events(self, line: Mapping[str, Any]) -> bytes:
        read = _read(line, _ChatLine)
        said = self._said(read.message)
        if not self._begun:
            said = {"role": "assistant", "content": "", **said}
        self._begun = True
        piece = self._event(self._choice("delta", said, read, None)) if said or read.logprobs else b""
        return piece + self._end(read) if read.done else piece

    def _said(self, message: _AnswerMessage) -> dict[str, Any]:
        """What a message holds. Calls are numbered, and named where Ollama did not, through the whole reply."""
        said: dict[str, Any] = {}
        if message.thinking:
            said["reasoning_content"] = message.thinking
        if message.content:
            said["content"] = message.content
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
            said["tool_calls"] = calls
        return said

    def _choice(self, key: str, said: Mapping[str, Any], line: _ChatLine, reason: str | None) -> dict[str, Any]:
        choice = _choice(key, said, reason)
        if line.logprobs:
            content = [{"bytes": None, "top_logprobs": [], **entry} for entry in line.logprobs]
            choice["logprobs"] = {"content": content, "refusal": None}
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
        """The body of the reply. Raises ``UpstreamGarbage``."""
        read = _read(answer, _EmbeddingReply)
        data = [
            {"object": "embedding", "index": index, "embedding": self._shaped(vector)}
            for index, vector in enumerate(read.embeddings)
        ]
        usage = {"prompt_tokens": read.prompt_eval_count, "total_tokens": read.prompt_eval_count}
        return _encode({"object": "list", "data": data, "model": self._model, "usage": usage})

    def _shaped(self, vector: list[float]) -> list[float] | str:
        """The vector in the length and encoding that were asked for. An old Ollama does not shorten it itself."""
        length = self._asked.dimensions
        if length is not None and length < len(vector):
            vector = vector[:length]
            norm = math.hypot(*vector) or 1.0
            vector = [value / norm for value in vector]
        return _packed(vector) if self._asked.base64 else vector


def refusal(error: Any, status: int) -> bytes:
    """Ollama's error in OpenAI's shape. ``error`` is a text, or whatever a proxy in between put there."""
    if not isinstance(error, str):
        return _encode({"error": error})
    if status == 404:
        return error_body(error, "invalid_request_error", "model", "model_not_found")
    return error_body(error, UpstreamError.type if status >= 500 else "invalid_request_error")


def _choice(key: str, said: Any, reason: str | None) -> dict[str, Any]:
    return {"index": 0, key: said, "logprobs": None, "finish_reason": reason}


def _packed(vector: Sequence[float]) -> str:
    """Numbers as base64 of little-endian 32-bit floats."""
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
