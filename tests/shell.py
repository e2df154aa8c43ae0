"""The command line against a scripted upstream on a real socket: a weak model that forgets to double, a strong one."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import run
from gateway.domain import Exchange, Usage
from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from tests.fakes import Answer
from tests.learning import EXTRA, STRONG, answer_over_http, sums, weak_reply
from tests.scripted import BASE_PROMPT, FOUND

DAY = 86400.0


def teacher(body: dict[str, Any]) -> Answer:
    """Both models: the strong one answers sums, now and then wrongly, and writes rules where it is shown mistakes."""
    if body["model"] != STRONG:
        return weak_reply(body)
    asked = str(body["messages"][-1]["content"])
    if not asked.startswith("What is"):
        return FOUND
    words = asked.split("?")[0].split()
    right = int(words[2]) + 2 * int(words[-1])
    return str(right + (right % 17 == 0))


@dataclass
class Shell:
    """Runs commands on a configuration in ``folder``. ``asked`` holds every body that reached the upstream."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, name: str, *rest: str) -> tuple[int, str, str]:
        """The command's exit code, its output and its errors."""
        arguments = [*name.split(), "-c", str(self.config), *rest]
        code = await asyncio.to_thread(run, arguments)
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    async def json(self, name: str, *rest: str) -> Any:
        """The object that a command ends with."""
        code, out, err = await self(name, *rest, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    @property
    def config(self) -> Path:
        return self.folder / "preceptor.toml"

    def store(self) -> SqlStore:
        return SqlStore.open(self.folder)


@contextlib.asynccontextmanager
async def open_shell(
    folder: Path, capsys: pytest.CaptureFixture[str], script: Callable[[dict[str, Any]], Answer] = teacher
) -> AsyncIterator[Shell]:
    """A shell and its upstream, whose models have prices."""
    shell = Shell(folder, capsys)

    def answered(body: dict[str, Any]) -> Answer:
        shell.asked.append(body)
        return script(body)

    async with loopback_server(functools.partial(answer_over_http, script=answered)) as address:
        configure(shell.config, address)
        yield shell


def configure(config: Path, address: str, optimizer: str = EXTRA) -> None:
    """Write a configuration with one task, ``arithmetic``."""
    config.write_text(
        f'[server]\ndata_dir = "{config.parent}"\n[upstreams.u]\nkind = "openai"\nbase_url = "{address}"\n'
        '[models.small]\nupstream = "u"\nmodel = "tiny-1b"\nprice = { input = 0.1, output = 0.4 }\n'
        f'[models.large]\nupstream = "u"\nmodel = "{STRONG}"\nprice = {{ input = 2.5, output = 10 }}\n'
        '[tasks.arithmetic]\nweak = "small"\nstrong = "large"\ngrader = { kind = "numeric" }\n'
        'rollout = { policy = "at_once", holdback = 0 }\n[optimizer]' + optimizer
    )


def examples(folder: Path, count: int, *, labelled: bool = True) -> str:
    """A data file of so many sums."""
    file = folder / "examples.jsonl"
    with file.open("w") as out:
        for number in range(count):
            text, expected = sums(number)
            line: dict[str, Any] = {"messages": _messages(text), "note": "kept"}
            out.write(json.dumps(line | ({"expected": expected} if labelled else {})) + "\n")
    return str(file)


def rules_file(folder: Path, text: str) -> str:
    """A file with one rule."""
    file = folder / "rules.json"
    file.write_text(json.dumps({"task": "arithmetic", "rules": [{"text": text, "reason": "test"}]}))
    return str(file)


def log_of_strong(count: int, *, days: float = 3.0) -> Sequence[Exchange]:
    """What the strong model has answered to clients, over so many days."""
    return [
        Exchange(
            id=f"s{number}", created=DAY * (1 + days * number / (count - 1)), task="arithmetic",
            client_model="gpt-4o", model="large", arm="strong", rules=None, stream=False, status="ok", http_status=200,
            audit_rate=1.0,
            request=json.dumps({"model": "gpt-4o", "messages": _messages(sums(number)[0])}).encode(),
            reply=str(sums(number)[1]), usage=Usage(prompt_tokens=30, output_tokens=5), latency_ms=800.0,
            finish_reason="stop",
        )
        for number in range(count)
    ]  # fmt: skip


def _messages(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]
