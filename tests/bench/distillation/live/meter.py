"""A server between every row and the model: counts what each row asks for, and remembers every answer.

Rows are told apart by the address that they are given, ``/ROW/STAGE/v1``. A remembered answer counts in full, so a run
that was killed and begun again comes to the same numbers; the n-th time that a row asks the same is told apart from the
first. It also grades, so that everybody searches by the same lines. Knows nothing of prompts.
"""

import contextlib
import hashlib
import json
import queue
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.bench.distillation.live.data import right

TIMEOUT_S: Final = 1800.0


class Used(msgspec.Struct):
    """What a stage of a row asked for. ``seconds`` is how long its calls took, one after the other."""

    calls: int = 0
    prompt: int = 0
    output: int = 0
    cut: int = 0
    """Answers that ended at the limit of output tokens."""
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt + self.output


class Meter:
    """Counts and remembers, and asks each of the models one thing at a time.

    ``most_output`` caps the output tokens of every answer; ``seed`` is the first sample's.
    """

    def __init__(self, upstream: str, models: Sequence[str], file: Path, *, most_output: int, seed: int) -> None:
        self.used: defaultdict[tuple[str, str], Used] = defaultdict(Used)
        self._upstream = upstream
        self._file = file
        self._most_output = most_output
        self._seed = seed
        self._asked: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for model in models:
            self._free.put(model)
        self._answers: dict[str, dict[str, Any]] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                kept = json.loads(line)
                self._answers[kept["key"]] = kept

    def answer(self, row: str, stage: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body of the model's answer."""
        asked = int(body.pop("max_completion_tokens", None) or body.get("max_tokens") or self._most_output)
        body |= {"model": "model", "max_tokens": min(asked, self._most_output)}
        body.pop("seed", None)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            time_asked = self._asked[row, stage, digest]
            self._asked[row, stage, digest] += 1
        key = f"{digest} {time_asked}"
        kept = self._answers.get(key)
        if kept is None:
            model = self._free.get()
            began = time.monotonic()
            try:
                status, reply = self._ask(body | {"model": model, "seed": self._seed + time_asked})
            finally:
                self._free.put(model)
            if status != 200:
                return status, json.dumps(reply).encode()
            kept = {"key": key, "seconds": time.monotonic() - began, "reply": reply}
            with self._lock, self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept) + "\n")
                self._answers[key] = kept
        self._count(self.used[row, stage], kept)
        return 200, json.dumps(kept["reply"]).encode()

    def _count(self, used: Used, kept: dict[str, Any]) -> None:
        reply = kept["reply"]
        with self._lock:
            used.calls += 1
            used.prompt += reply["usage"]["prompt_tokens"]
            used.output += reply["usage"]["completion_tokens"]
            used.cut += reply["choices"][0]["finish_reason"] == "length"
            used.seconds += kept["seconds"]

    def _ask(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(  # noqa: S310  # an address on loopback
            f"{self._upstream}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
                return 200, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@contextlib.contextmanager
def serving(meter: Meter) -> Iterator[str]:
    """The meter on a free port of the loopback address; yields ``http://127.0.0.1:PORT``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Door", (_Door,), {"meter": meter}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Door(BaseHTTPRequestHandler):
    """``POST /ROW/STAGE/v1/chat/completions``, ``POST /grade`` and ``GET /ROW/STAGE/used``."""

    meter: Meter
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        parts = self.path.strip("/").split("/")
        if parts == ["grade"]:
            self._reply(200, json.dumps({"right": right(body["reply"], body["expected"])}).encode())
        elif parts[2:] == ["v1", "chat", "completions"]:
            self._reply(*self.meter.answer(parts[0], parts[1], body))
        else:
            self._reply(404, b"{}")

    def do_GET(self) -> None:
        row, stage, *_ = [*self.path.strip("/").split("/"), "", ""]
        used = self.meter.used[row, stage]
        self._reply(200, json.dumps({"calls": used.calls, "tokens": used.tokens}).encode())

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Quiet: the meter counts, and that is enough."""
