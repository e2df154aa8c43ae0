"""A scripted OpenAI server on a real socket: answers what a scenario tells it to and remembers what it was asked."""

import asyncio
import dataclasses
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.fakes import read_request

JSON = {"content-type": "application/json", "x-request-id": "req_upstream"}
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_upstream"}
PAUSE_S = 0.001
"""Between two pieces, so that they travel alone."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """A response: ``pieces`` are written one by one, chunked if ``length`` is unknown; then comes ``end``."""

    pieces: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=lambda: JSON)
    chunked: bool = False
    end: str = "complete"
    """``complete``; ``cut``: the connection is dropped; ``hold``: nothing more comes until the client goes."""
    silent: bool = False
    """Not even a status line."""

    def head(self) -> bytes:
        size = sum(map(len, self.pieces))
        length = {"transfer-encoding": "chunked"} if self.chunked else {"content-length": str(size)}
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{k}: {v}" for k, v in {**self.headers, **length}.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def whole(value: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON reply. Underscores in the names of headers are hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer([json.dumps(value).encode()], status, {**JSON, **named})


def refused(status: int, *, code: str | None = "because", param: str | None = None, **headers: str) -> Answer:
    """An error in OpenAI's shape."""
    error = {"message": f"refused with {status}", "type": "some_error", "param": param, "code": code}
    return whole({"error": error}, status, **headers)


def binary(content: bytes, kind: str) -> Answer:
    """A reply that is not text."""
    return Answer([content], headers={**JSON, "content-type": kind})


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event, with the name that ``/v1/responses`` gives each."""
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ((f"event: {name}\n" if name else "") + f"data: {data}\n\n").encode()


def stream(events: Sequence[bytes], end: str = "complete") -> Answer:
    """A stream of server-sent events, one piece each."""
    return Answer(events, headers=EVENTS, chunked=True, end=end)


def silence() -> Answer:
    """No answer at all, until the client goes."""
    return Answer([], end="hold", silent=True)


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    line: str
    """Method and target."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answers = Sequence[Answer | Callable[[Asked], Answer]]
"""One for each request in turn; a function makes it of the request."""


class ScriptedUpstream:
    """Answers its requests in the order of ``play``'s answers; the last one is for all that follow.

    It lives in a loop of its own thread; ``play``, ``asked`` and ``gone`` may be used from another one.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.gone = threading.Event()
        """Set when a client closes its connection while its answer is held."""
        self._answers: Answers = ()

    def play(self, answers: Answers) -> None:
        self._answers = answers
        self.asked = []
        self.gone = threading.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line, headers, body = await read_request(reader)
            gone = self.gone
            made = self._answers[min(len(self.asked), len(self._answers) - 1)]
            self.asked.append(asked := Asked(line.rpartition(" ")[0], headers, body))
            answer = made if isinstance(made, Answer) else made(asked)
            try:
                await _write(writer, answer)
                if answer.end == "hold":
                    await reader.read()
            finally:
                if answer.end == "hold":
                    gone.set()
            if answer.end != "complete":
                return


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    if answer.silent:
        return
    writer.write(answer.head())
    for piece in answer.pieces:
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
        await writer.drain()
        if len(answer.pieces) > 1:
            await asyncio.sleep(PAUSE_S)
    if answer.chunked and answer.end == "complete":
        writer.write(b"0\r\n\r\n")
    await writer.drain()
