"""A server between every row and the model: counts what each row asks for, and remembers every answer.

Rows are told apart by the address that they are given, ``/ROW/STAGE/v1``. A remembered answer counts in full, so a run
that was killed and begun again comes to the same numbers; the n-th time that a row asks the same is told apart from the
first. It also grades, so that everybody searches by the same lines. Knows nothing of prompts.
"""

import contextlib
import hashlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.bench.distillation.live.data import GraderKind, right
from tests.bench.distillation.live.desk import Desk, on_loopback

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
    """Counts and remembers, and asks each copy of a model one thing at a time.

    ``models`` names the copies of each model; ``most_output`` caps the output tokens of every answer; ``seed`` is the
    first sample's.
    """

    def __init__(
        self, upstream: str, models: Mapping[str, Sequence[str]], file: Path, *,
        most_output: int, seed: int, grader: GraderKind = "numeric",
    ) -> None:  # fmt: skip
        self.used: defaultdict[tuple[str, str], Used] = defaultdict(Used)
        self._upstream = upstream
        self._file = file
        self._most_output = most_output
        self._seed = seed
        self._asked: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self.grader: GraderKind = grader
        self._free = {model: list(copies) for model, copies in models.items()}
        self._back = threading.Condition()
        self._last: dict[tuple[str, str], str] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                kept = json.loads(line)
                self._answers[kept["key"]] = kept

    def answer(self, row: str, stage: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body of the model's answer."""
        asked = int(body.pop("max_completion_tokens", None) or body.get("max_tokens") or self._most_output)
        name = str(body.get("model"))
        name = name if name in self._free else "model"
        body |= {"model": name, "max_tokens": min(asked, self._most_output)}
        body.pop("seed", None)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            time_asked = self._asked[row, stage, digest]
            self._asked[row, stage, digest] += 1
        key = f"{digest} {time_asked}"
        kept = self._answers.get(key)
        if kept is None:
            model = self._take(name, row)
            began = time.monotonic()
            try:
                status, reply = self._ask(body | {"model": model, "seed": self._seed + time_asked})
            finally:
                self._give_back(name, model)
            if status != 200:
                return status, json.dumps(reply).encode()
            kept = {"key": key, "seconds": time.monotonic() - began, "reply": reply}
            with self._lock, self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept) + "\n")
                self._answers[key] = kept
        self._count(self.used[row, stage], kept)
        return 200, json.dumps(kept["reply"]).encode()

    def _take(self, model: str, row: str) -> str:
        """A free copy: the row's last, whose prompt cache knows its prompts, if it can be had."""
        with self._back:
            self._back.wait_for(lambda: self._free[model])
            free, last = self._free[model], self._last.get((model, row))
            copy = last if last in free else free[0]
            free.remove(copy)
            self._last[model, row] = copy
            return copy

    def _give_back(self, model: str, copy: str) -> None:
        with self._back:
            self._free[model].append(copy)
            self._back.notify()

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


def serving(meter: Meter) -> contextlib.AbstractContextManager[str]:
    """The meter on a free port of the loopback address; yields ``http://127.0.0.1:PORT``."""
    return on_loopback(type("Door", (_Door,), {"meter": meter}))


class _Door(Desk):
    """``POST /ROW/STAGE/v1/chat/completions``, ``POST /grade`` and ``GET /ROW/STAGE/used``."""

    meter: Meter

    def do_POST(self) -> None:  # noqa: N802 - the name is the base class's
        body = self.body()
        parts = self.path.strip("/").split("/")
        if parts == ["grade"]:
            self.reply(
                200, json.dumps({"right": right(body["reply"], body["expected"], grader=self.meter.grader)}).encode()
            )
        elif parts[2:] == ["v1", "chat", "completions"]:
            self.reply(*self.meter.answer(parts[0], parts[1], body))
        else:
            self.reply(404, b"{}")

    def do_GET(self) -> None:  # noqa: N802 - the name is the base class's
        row, stage, *_ = [*self.path.strip("/").split("/"), "", ""]
        used = self.meter.used[row, stage]
        self.reply(200, json.dumps({"calls": used.calls, "tokens": used.tokens}).encode())
