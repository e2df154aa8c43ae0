"""One log line per request: numbers and names, no text of a user. The request path only notes them.

A loop takes the notes several times a second, and a thread makes lines of them and writes: neither a slow disk nor a
full pipe holds up a request. Notes beyond the bound are dropped and counted.
"""

import asyncio
import datetime as dt
import functools
from collections import deque
from collections.abc import Callable

import msgspec

from gateway import logs
from gateway.domain import Exchange

INTERVAL_S = 0.2
"""Seconds between two looks for notes."""
MOST_NOTES = 10_000
"""Requests that wait for their line."""
_encode = msgspec.json.Encoder().encode
_LONGEST = 200
"""Characters of a name that a client chose."""


class RequestNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The facts about a request at its end. Times in milliseconds; ``at`` in seconds since the epoch.

    ``noted`` and ``noted_refusal`` round and cut them: a line is the note's own JSON.
    """

    at: float
    """Comes first: a line leaves it out."""
    id: str
    http_status: int
    status: str
    ref: str | None = None
    """The client's own name of the request (``x-client-request-id``)."""
    key: str | None = None
    task: str | None = None
    model: str | None = None
    arm: str | None = None
    rules: int | None = None
    stream: bool = False
    error: str | None = None
    latency_ms: float = 0.0
    first_byte_ms: float | None = None
    overhead_ms: float = 0.0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    cache: str | None = None
    """``hit`` or ``miss``, where the request was looked up among the kept replies."""


def noted(exchange: Exchange, overhead_ms: float) -> RequestNote:
    """Return the facts of an exchange."""
    usage, cost, first_byte_ms = exchange.usage, exchange.cost_usd, exchange.first_byte_ms
    return RequestNote(
        at=exchange.created,
        id=exchange.id[:_LONGEST],
        http_status=exchange.http_status,
        status=exchange.status,
        ref=exchange.ref and exchange.ref[:_LONGEST],
        key=exchange.key and exchange.key[:_LONGEST],
        task=exchange.task and exchange.task[:_LONGEST],
        model=exchange.model[:_LONGEST],
        arm=exchange.arm,
        rules=exchange.rules,
        stream=exchange.stream,
        error=exchange.error and exchange.error[:_LONGEST],
        latency_ms=shortened(exchange.latency_ms),
        first_byte_ms=None if first_byte_ms is None else shortened(first_byte_ms),
        overhead_ms=shortened(overhead_ms),
        prompt_tokens=usage.prompt_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=None if cost is None else shortened(cost, 10**6),
    )


def shortened(number: float, parts: int = 1000) -> float:
    """Return a positive number in whole parts of one, thousandths by default; in a tenth of the time of ``round``."""
    return int(number * parts + 0.5) / parts


def noted_refusal(
    *, at: float, id_: str, status: str, http_status: int, error: str | None, ref: str | None, key: str | None,
    latency_ms: float,
) -> RequestNote:  # fmt: skip
    """Return the facts of a request that got no plan, and is no exchange."""
    return RequestNote(
        at=at,
        id=id_[:_LONGEST],
        status=status,
        http_status=http_status,
        error=error and error[:_LONGEST],
        ref=ref and ref[:_LONGEST],
        key=key and key[:_LONGEST],
        latency_ms=shortened(latency_ms),
    )


class RequestLog:
    """Notes requests, and writes a line for each. ``as_text``: for people, instead of JSON."""

    def __init__(self, write: Callable[[str], None] = logs.write, *, as_text: bool = False) -> None:
        self._write = write
        self.as_text = as_text
        self._notes: deque[RequestNote] = deque()
        self.dropped = 0
        """Requests without a line."""

    def note(self, note: RequestNote) -> None:
        """Take a request's facts; never waits."""
        if len(self._notes) >= MOST_NOTES:
            self.dropped += 1
            return
        self._notes.append(note)

    async def run(self) -> None:
        """Write what was noted until cancelled, and the rest then."""
        try:
            while True:
                await asyncio.sleep(INTERVAL_S)
                if self._notes:
                    await asyncio.to_thread(self.flush)
        finally:
            self.flush()

    def flush(self) -> None:
        """Write a line for every note. Blocks."""
        notes = [self._notes.popleft() for _ in range(len(self._notes))]
        if notes:
            self._write("".join(map(_text if self.as_text else _json, notes)))


def _facts(note: RequestNote) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(note)
    del facts["at"]
    return facts


def _time(note: RequestNote) -> str:
    milliseconds = int(note.at * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@functools.lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().removesuffix("+00:00")


def _json(note: RequestNote) -> str:
    """Return the note's JSON between what every line begins and ends with: a tenth of the time of a dict."""
    facts = _encode(note).partition(b",")[2][:-1].decode()
    return f'{{"event":"request","level":"info","action":"request",{facts},"timestamp":"{_time(note)}"}}\n'


def _text(note: RequestNote) -> str:
    words = (f"{name}={_quoted(value)}" for name, value in _facts(note).items())
    return f"{_time(note)} [info     ] request {' '.join(words)}\n"


def _quoted(value: object) -> str:
    """Quote a value with anything but plain letters: no client's name can begin another line or word."""
    text = str(value)
    plain = text.isascii() and text.replace("-", "").replace("_", "").replace(".", "").isalnum()
    return text if plain else msgspec.json.encode(text).decode()
