"""What ``learning`` learns from: tasks with graded exchanges in a store, and the models that a cycle asks.

The models run as a process of their own: ``python -m tests.bench.gateway.learning_data PORT``. The pupil is right on
half of what it is asked, and on little more with rules: cycles find mistakes, candidates that help or seem to, and most
of them come to their test. The teacher writes three rules. A path of its own tells how often both were asked.
"""

import asyncio
import json
import sys
import time
import urllib.request
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

import uvloop

from gateway.domain import Exchange, Feedback, Usage
from gateway.store.sql import SqlStore
from tests.bench.gateway import mock
from tests.bench.gateway.preceptor import RULES
from tests.bench.gateway.upstreams import COMPLETION, FIXED, MODELS, request_body

PUPILS: Final = (FIXED, "after-50")
"""How the pupils behave, by which they are called: they answer at once, and after 50 ms."""
TEACHER: Final = "teacher"
ASKED: Final = "asked"
RIGHT, WRONG = "88", "87"
RIGHT_OF_16, WITH_RULES = 8, 9
"""Of so many in sixteen a pupil is right, chosen by what it is asked."""
EXCHANGES: Final = 600
"""Of a task: as many as a cycle looks at by default."""
PROMPT_BYTES: Final = 500


def reply(text: str) -> bytes:
    """A whole response in which a model says this."""
    completion = json.loads(COMPLETION)
    completion["choices"][0]["message"]["content"] = text
    body = json.dumps(completion).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


ANSWERS: Final = (reply(WRONG), reply(RIGHT))
TAUGHT: Final = [rule.encode() for rule in RULES]
LESSON: Final = reply(json.dumps([{"rule": rule, "reason": "It got the sum wrong."} for rule in RULES]))


class Models(mock.Connection):
    """A connection to pupils and teacher; the first segment of the path says whom."""

    asked: ClassVar[int] = 0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        whom = self._path.decode().split("/")[1]
        if whom not in (*PUPILS, TEACHER):
            self._transport.write(reply(str(Models.asked)))
            return
        Models.asked += 1
        if whom == TEACHER:
            self._transport.write(LESSON)
            return
        right = WITH_RULES if any(rule in self._body for rule in TAUGHT) else RIGHT_OF_16
        answer = ANSWERS[zlib.crc32(self._body) % 16 < right]
        after_ms = MODELS[whom].after_ms
        self._timer = self._loop.call_later(after_ms / 1000, self._transport.write, answer)


def asked(port: int) -> int:
    """How often the models were asked since they were started."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{ASKED}/", timeout=10) as told:  # on loopback
        return int(json.load(told)["choices"][0]["message"]["content"])


def models(port: int) -> str:
    """The TOML of pupils and teacher."""
    lines = []
    for name in (*PUPILS, TEACHER):
        served = name if name == TEACHER else f"pupil-{name}"
        lines += [f"[upstreams.{served}]", 'kind = "openai"', f'base_url = "http://127.0.0.1:{port}/{name}/v1"']
        lines += [f"[models.{served}]", f'upstream = "{served}"', f'model = "{name}"']
    return "\n".join(lines)


def tasks(names: Sequence[str], pupil: str, at: datetime) -> str:
    """The TOML of tasks whose cycles begin at a moment, one after the other."""
    lines = []
    for name in names:
        lines += [f"[tasks.{name}]", f'weak = "pupil-{pupil}"', f'strong = "{TEACHER}"']
        lines += [f'schedule = "{at.second} {at.minute} {at.hour} {at.day} {at.month} *"']
    return "\n".join(lines)


def fill(store: SqlStore, names: Sequence[str], pupil: str) -> None:
    """Exchanges of a pupil in tasks, all labelled in the queue, half of them wrong; no question stands there twice."""
    asked_before = request_body("any", stream=False, prompt_bytes=PROMPT_BYTES)
    for name in names:
        now = time.time()
        exchanges = [
            Exchange(
                id=f"chatcmpl-{name}-{number}", created=now - EXCHANGES + number, task=name,
                client_model="any", model=f"pupil-{pupil}", arm="weak", rules=None, stream=False,
                status="ok", http_status=200, reply=WRONG if number % 2 else RIGHT, finish_reason="stop",
                request=asked_before.replace(b"How many", f"That was order {name}-{number}. How many".encode()),
                usage=Usage(prompt_tokens=60, output_tokens=2), latency_ms=50.0, first_byte_ms=50.0, audit_rate=1.0,
            )
            for number in range(EXCHANGES)
        ]  # fmt: skip
        store.record(exchanges)
        for one in exchanges:
            store.add_feedback(
                Feedback(exchange_id=one.id, created=now, correct=one.reply == RIGHT, expected=RIGHT, source="label")
            )  # fmt: skip


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Models, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
