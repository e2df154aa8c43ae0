"""A streamed chat completion as Ollama streams a reply: a JSON object a line, the last with counts and times.

Tool calls come whole, as Ollama sends them: their pieces are held until the reply ends.
"""

import msgspec

from gateway.domain import NO_USAGE
from gateway.formats import sse
from gateway.formats.ollama_reply import Moment, NativeCompletion, content, ending, line
from gateway.formats.ollama_request import NativeShape
from gateway.formats.reply import decoded, from_upstream
from gateway.formats.tool_calls import CallPieces
from gateway.formats.usage import counted

_chunk = msgspec.json.Decoder(NativeCompletion)


class NativeStream:
    """Translates the events of one stream, in order. ``feed`` it every event, ``[DONE]`` too."""

    def __init__(self, shape: NativeShape) -> None:
        self._shape = shape
        self._calls = CallPieces()
        self._usage = NO_USAGE
        self._reason: str | None = None
        self._first_s: float | None = None

    def feed(self, event: bytes, now: Moment) -> bytes:
        """Translate a chat event into lines; empty if the caller gets none.

        Raises ``UpstreamGarbage`` if it is no chunk of a chat completion.
        """
        data = sse.data_of(event)
        if data is None:
            return b""
        if data == sse.DONE_DATA:
            return self._end(now)
        with from_upstream("a chunk of a chat completion"):
            chunk = decoded(_chunk, data)
        if chunk.usage is not None:
            self._usage = counted(chunk.usage)
        choice = chunk.first()
        if choice is None:
            return b""
        self._reason = choice.finish_reason or self._reason
        if choice.spoken.tool_calls:
            self._calls.add(choice.spoken.tool_calls)
        text, thinking = choice.words(), choice.thinking() if self._shape.thinking else ""
        if not (text or thinking):
            return b""
        if self._first_s is None:
            self._first_s = now.elapsed_s
        return self._line({**content(self._shape, text, thinking, (), choice.chances()), "done": False}, now)

    def _end(self, now: Moment) -> bytes:
        calls = self._calls.identified()
        asked = self._line({**content(self._shape, "", "", calls), "done": False}, now) if calls else b""
        first_s = self._first_s if self._first_s is not None else now.elapsed_s
        return asked + self._line(
            {**content(self._shape, ""), **ending(self._reason, self._usage, now, first_s=first_s)}, now
        )

    def _line(self, fields: dict[str, object], now: Moment) -> bytes:
        return line(self._shape, now, fields) + b"\n"


def silent_line(shape: NativeShape, now: Moment) -> bytes:
    """Return a line that says nothing, as a sign of life."""
    return line(shape, now, {**content(shape, ""), "done": False}) + b"\n"
