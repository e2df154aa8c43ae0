"""Claude Code and Codex as programs, and a tap that hears what passes between them and a server."""

import asyncio
import contextlib
import dataclasses
import json
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from optimizer.demo.loopback import loopback_server
from tests.conformance.upstream import Asked
from tests.fakes import read_request

PACKAGES = Path(__file__).parent / "agents" / "node_modules"
MODEL = "gpt-4o-mini"
SECONDS = 280
"""Longest session, on a busy machine; pytest ends a test after 300."""


@dataclasses.dataclass
class Tap:
    """The requests of a client with the bodies that answered them, in order."""

    heard: list[tuple[Asked, bytes]] = dataclasses.field(default_factory=list)

    def to(self, path: str) -> list[tuple[Asked, bytes]]:
        """Return the requests to a path that were answered well."""
        return [(asked, body) for asked, body in self.heard if asked.line.partition("?")[0] == path and body]


@contextlib.asynccontextmanager
async def tapped(url: str) -> AsyncIterator[tuple[str, Tap]]:
    """A tap in front of a server with this base URL; yields its own base URL, with ``/v1``."""
    port = int(url.split(":")[2].partition("/")[0])
    tap = Tap()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, headers, body = await read_request(reader)
        sent = {**headers, "connection": "close", "content-length": str(len(body))}
        sent.pop("transfer-encoding", None)
        onward, back = await asyncio.open_connection("127.0.0.1", port)
        back.write("\r\n".join([line, *(f"{k}: {v}" for k, v in sent.items()), "", ""]).encode("latin-1") + body)
        await back.drain()
        head = await onward.readuntil(b"\r\n\r\n")
        writer.write(head)
        pieces = []
        while piece := await onward.read(65536):
            pieces.append(piece)
            writer.write(piece)
            await writer.drain()
        back.close()
        well = head.split(b" ", 2)[1].startswith(b"2")
        whole = _unchunked(b"".join(pieces)) if b"chunked" in head.lower() else b"".join(pieces)
        tap.heard.append((Asked(line.rpartition(" ")[0], headers, body), whole if well else b""))

    async with loopback_server(connected) as own:
        yield own, tap


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return whole


def _program(pattern: str) -> str:
    found = next(iter(sorted(PACKAGES.glob(pattern))), None)
    if found is None:
        pytest.skip("the agents' packages are not here: run 'npm ci' in tests/conformance/agents")
    return str(found)


def _ran(command: Sequence[str], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The JSON lines that a program writes; it has a home of its own and nobody to ask."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "work").mkdir()
        done = subprocess.run(  # noqa: S603
            command,
            env={"PATH": os.environ["PATH"], "HOME": home, "CODEX_HOME": home, **environment},
            cwd=f"{home}/work", stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


def claude_code(url: str) -> str:
    """Ask Claude Code; return its last words."""
    command = [_program("@anthropic-ai/claude-code-*/claude"), "-p", "Do the steps.", "--output-format", "json"]
    environment = {
        "ANTHROPIC_BASE_URL": url.removesuffix("/v1"), "ANTHROPIC_API_KEY": "sk-client",
        "ANTHROPIC_MODEL": MODEL, "ANTHROPIC_SMALL_FAST_MODEL": MODEL,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1",
    }  # fmt: skip
    told = _ran([*command, "--allowedTools", "Bash"], environment)
    return str(told[-1]["result"]) if told else ""


def codex(url: str) -> str:
    """Ask Codex; return its last words, or the error that ended its turn.

    It compacts its history from 100,000 tokens on.
    """
    provider = f'{{name="gateway",base_url="{url}",env_key="GATEWAY_KEY",wire_api="responses"}}'
    lines = (
        "model_provider=gateway", f"model_providers.gateway={provider}", "model_auto_compact_token_limit=100000",
    )  # fmt: skip
    options = [part for line in lines for part in ("-c", line)]
    command = [_program("@openai/codex-*/vendor/*/bin/codex"), "exec", "--skip-git-repo-check", "--json", "-m", MODEL]
    told = _ran([*command, "-s", "workspace-write", *options, "Do the steps."], {"GATEWAY_KEY": "sk-client"})
    failed = [line["error"]["message"] for line in told if line["type"] == "turn.failed"]
    words = failed or [line["item"]["text"] for line in told if line.get("item", {}).get("type") == "agent_message"]
    return str(words[-1]) if words else ""
