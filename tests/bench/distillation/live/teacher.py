"""A server that replays a strong model's recorded answers, and records those that it had to ask for.

``POST /ROW/v1/chat/completions`` and ``GET /ROW/used``. An answer is kept in a file of the benchmark by the digest of
its request, with the name of who answered and the day. Replayed, a request that was never made gets the next answer to
the same kind of question that nobody has had yet, and is counted as such: weak models answer a little differently on
other machines, so the mistakes that a strong model is shown differ too. Without either it is refused.
"""

import contextlib
import hashlib
import json
import re
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.distillation.live.desk import Desk, on_loopback

TIMEOUT_S = 3600.0
_STEP = re.compile(r"^Step \d+:.*$", re.MULTILINE)


class Recorded(msgspec.Struct):
    """One answer of a strong model."""

    key: str
    kind: str
    """Which question: the digest of its steps; where it has none, of its system message or its first line."""
    text: str
    prompt: int
    """Characters of the request."""
    by: str
    day: str


class Taught(msgspec.Struct):
    """What a row asked of the strong model."""

    calls: int = 0
    characters: int = 0
    """Of requests and answers."""
    inexact: int = 0
    """Answers to another request of the same kind."""


class Recorder:
    """Answers from the recordings; asks ``upstream`` for the rest, if there is one."""

    def __init__(self, file: Path, upstream: str | None, *, by: str, day: str) -> None:
        self.used: defaultdict[str, Taught] = defaultdict(Taught)
        self._file = file
        self._upstream = upstream
        self._by, self._day = by, day
        self._lock = threading.Lock()
        self._had: defaultdict[str, set[str]] = defaultdict(set)
        self.recorded: dict[str, Recorded] = {}
        if file.exists():
            for line in file.read_bytes().splitlines():
                one = msgspec.json.decode(line, type=Recorded)
                self.recorded[one.key] = one

    def answer(self, row: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body."""
        asked = [body.get("messages"), body.get("response_format")]
        key = hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        with self._lock:
            kept, exact = self.recorded.get(key), True
            if kept is None and self._upstream is None:
                kept, exact = self._next(row, _kind(body)), False
            if kept is not None:
                self._had[row].add(kept.key)
        if kept is None:
            if self._upstream is None:
                return 404, _error(f"no answer is recorded for this request ({key[:12]})")
            try:
                text = self._ask(body)
            except urllib.error.HTTPError as error:
                return error.code, error.read()
            size = sum(len(str(one.get("content"))) for one in body["messages"])
            kept = Recorded(key=key, kind=_kind(body), text=text, prompt=size, by=self._by, day=self._day)
            with self._lock, self._file.open("ab") as file:
                self.recorded[key] = kept
                file.write(msgspec.json.encode(kept) + b"\n")
        used = self.used[row]
        used.calls += 1
        used.characters += kept.prompt + len(kept.text)
        used.inexact += not exact
        return 200, _completion(kept)

    def _next(self, row: str, kind: str) -> Recorded | None:
        same = (one for one in self.recorded.values() if one.kind == kind and one.key not in self._had[row])
        return next(same, None)

    def _ask(self, body: dict[str, Any]) -> str:
        request = urllib.request.Request(  # noqa: S310  # the address that was given
            f"{self._upstream}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
            return str(json.load(reply)["choices"][0]["message"]["content"])


def _kind(body: dict[str, Any]) -> str:
    text = "\n".join(str(one.get("content")) for one in body["messages"])
    system = [str(one.get("content")) for one in body["messages"] if one["role"] == "system"]
    told = _STEP.findall(text) or system or text.splitlines()[:1]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def _completion(kept: Recorded) -> bytes:
    prompt, output = kept.prompt // 4, len(kept.text) // 4
    usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    choice = {"index": 0, "message": {"role": "assistant", "content": kept.text}, "finish_reason": "stop"}
    answer = {"id": f"chatcmpl-{kept.key[:24]}", "object": "chat.completion", "created": 0, "model": "teacher"}
    return json.dumps({**answer, "choices": [choice], "usage": usage}).encode()


def _error(message: str) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return json.dumps({"error": error}).encode()


def teaching(recorder: Recorder) -> contextlib.AbstractContextManager[str]:
    """The recorder on a free port of the loopback address; yields ``http://127.0.0.1:PORT``."""
    return on_loopback(type("TeacherDesk", (_TeacherDesk,), {"recorder": recorder}))


class _TeacherDesk(Desk):
    recorder: Recorder

    def do_POST(self) -> None:  # noqa: N802 - the name is the base class's
        self.reply(*self.recorder.answer(self._row(), self.body()))

    def do_GET(self) -> None:  # noqa: N802 - the name is the base class's
        self.reply(200, json.dumps({"characters": self.recorder.used[self._row()].characters}).encode())

    def _row(self) -> str:
        return self.path.strip("/").split("/")[0]
