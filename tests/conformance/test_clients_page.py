"""The programs of ``docs/clients.md`` run as they stand, against a gateway before an upstream that knows chats only."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.conformance import replies
from tests.conformance.conftest import node
from tests.conformance.stage import ROOT, Running
from tests.conformance.upstream import Answer, Asked, ScriptedUpstream, stream, whole

PAGE = ROOT / "docs" / "clients.md"
OWN_PYTHON = Path(__file__).parent / "python" / ".venv" / "bin" / "python"
MODULES = Path(__file__).parent / "node"
ADDRESS = "http://127.0.0.1:8100"

Where = Literal["here", "clients", "node"]
"""Whose packages a program needs: the project's own, those of ``python/requirements.in``, or Node's."""

CLIENTS: dict[str, Where] = {
    "OpenAI for Python": "here",
    "OpenAI for Node": "node",
    "Azure OpenAI": "here",
    "Anthropic": "here",
    "Ollama": "here",
    "LangChain": "clients",
    "LlamaIndex": "clients",
    "pydantic-ai": "clients",
    "instructor": "clients",
    "OpenAI Agents": "clients",
    "Vercel AI SDK": "node",
    "LiteLLM": "clients",
    "DSPy": "clients",
}
_SECTION = re.compile(r"^## ([^\n]+)\n[^#]*?```(?:python|js)\n(.*?)```", re.MULTILINE | re.DOTALL)
PROGRAMS = dict(_SECTION.findall(PAGE.read_text(encoding="utf-8")))


def answered(asked: Asked) -> Answer:
    """A server that answers chats with 42, in whatever shape the request wants, and has no other path."""
    if asked.line != "POST /v1/chat/completions":
        return whole({"detail": "Not Found"}, 404)
    body: Any = asked.json
    if body.get("tools"):
        call = replies.call(0, body["tools"][0]["function"]["name"], '{"value":42}')
        return whole(replies.chat(replies.choice(None, finish="tool_calls", tool_calls=[call])))
    text = "[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]" if "[[ ## answer ## ]]" in str(body) else "42"
    if body.get("stream"):
        return stream(replies.chunks(replies.delta(text)))
    return whole(replies.chat(replies.choice(text)))


def run(where: Where, program: str, folder: Path) -> str:
    """Run a program and return what it prints."""
    if where == "node":
        file, command = MODULES / f"page_{os.getpid()}.mjs", node()
    else:
        file, command = folder / "program.py", sys.executable if where == "here" else str(OWN_PYTHON)
    file.write_text(program, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))}
    environment = {**kept, "DSPY_CACHEDIR": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": str(folder)}
    try:
        done = subprocess.run([command, str(file)], cwd=file.parent, env=environment, capture_output=True, text=True)  # noqa: PLW1510, S603
    finally:
        file.unlink()
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_program_of_the_page_is_run() -> None:
    """A new section needs its place in the table."""
    assert PROGRAMS.keys() == CLIENTS.keys()
    assert all(ADDRESS in program for program in PROGRAMS.values())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if where == "here" else [getattr(pytest.mark, where)])
        for name, where in CLIENTS.items()
    ],
)
def test_a_program_of_the_page_works(
    name: str, gateway: Callable[..., Running], upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """It prints the answer, and its request was served by the weak model of the task."""
    through = gateway(upstream='responses = "auto"')  # its own: a gateway remembers that an upstream has chats only
    upstream.play([answered])
    program = PROGRAMS[name].replace(ADDRESS, through.url.removesuffix("/v1"))
    answered_before = len(through.services.store.answered("arithmetic", arm="weak", limit=1000))
    assert "42" in run(CLIENTS[name], program, tmp_path)
    assert {asked.json["model"] for asked in upstream.asked} == {"tiny-1b"}
    assert through.services.writer.flush(5)
    assert len(through.services.store.answered("arithmetic", arm="weak", limit=1000)) > answered_before
