"""Writes docs/compatibility.md: what becomes of every endpoint and field, asked of the code that decides it.

The fields are those that OpenAI's own Python client knows. Run by ``make docs``; ``tests/test_house_rules.py``
fails while page and code differ.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params

from gateway.formats import messages
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Conversation, Envelope, raw
from gateway.formats.plain import open_embeddings, open_text
from gateway.formats.responses import open_responses
from gateway.upstream import ollama_requests

TARGET = Path(__file__).parent / "compatibility.md"

HEAD = """\
# What is passed, translated and refused

Generated from the code by `make docs`; do not edit.

A request reaches its upstream with every field as it was sent, byte for byte, except where this page says otherwise;
fields that do not exist yet pass too. Replies come back as the upstream sent them, under the exchange's id.

- **passed**: as it was sent. **changed**: see the notes. **translated**: it reaches the upstream, or shapes the reply,
  in another place or form. **refused**: a 400 says so. **ignored**: it is not sent on, and the reply is right without
  it.
- Kinds `openai` and `llamacpp` are spoken to in OpenAI's own words; kind `ollama` in Ollama's, as far as it has them.
"""

ENDPOINTS: Sequence[tuple[str, str, str, str]] = (
    # method and path, openai and llamacpp, ollama, rules
    ("POST /v1/chat/completions", "passed", "translated: `/api/chat`", "tasks, rules, scratchpad"),
    ("POST /v1/responses", "passed", "its own `/v1/responses`, where it has one", "tasks, rules, two passes"),
    ("POST /v1/messages (Anthropic)", "translated to a chat", "translated to a chat", "tasks, rules, scratchpad"),
    ("POST /v1/completions", "passed", "translated: `/api/generate`", "none"),
    ("POST /v1/embeddings", "passed", "translated: `/api/embed`", "none"),
    ("GET /v1/models, /v1/models/NAME", "answered here", "answered here", ""),
    ("POST /v1/feedback", "answered here", "answered here", ""),
    ("any other below /v1", "passed to `server.default_upstream`, else 404", "the same, to its own `/v1`", "none"),
)  # fmt: skip

SAMPLES: Mapping[str, tuple[Callable[[bytes], Envelope], dict[str, Any], Any]] = {
    "/chat/completions": (
        open_chat,
        {"messages": [{"role": "user", "content": "hi"}], "stream": True},
        chat_create_params.CompletionCreateParamsBase,
    ),
    "/responses": (open_responses, {"input": "hi", "stream": True}, response_create_params.ResponseCreateParamsBase),
    "/completions": (
        open_text,
        {"prompt": "hi", "stream": True},
        completion_create_params.CompletionCreateParamsBase,
    ),
    "/embeddings": (open_embeddings, {"input": "hi"}, embedding_create_params.EmbeddingCreateParams),
}

NOTES = {
    "model": "the upstream's own name of the configured model",
    "messages": "an active rule set is appended to the leading system or developer message, or put before them all",
    "instructions": "an active rule set is appended",
    "stream_options": "usage is asked for in streams, and taken out again if the client did not ask",
}


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD, "## Endpoints\n", _table(["endpoint", "`openai`, `llamacpp`", "`ollama`", "rules"], ENDPOINTS)]
    for path in SAMPLES:
        native = ollama_requests.FIELDS.get(path)
        rows: list[Sequence[str]] = [
            (
                f"`{field}`",
                fate,
                native.get(field, "ignored") if native else "passed",
                NOTES[field] if fate == "changed" else "",
            )
            for field, fate in _fates(path).items()
        ]
        parts += [f"## Fields of `/v1{path}`\n", _table(["field", "`openai`, `llamacpp`", "`ollama`", "note"], rows)]
    fates = [(f"`{field}`", fate) for field, fate in sorted(messages.FIELDS.items())]
    parts += ["## Fields of `/v1/messages` on their way to a chat\n", _table(["field", "what becomes of it"], fates)]
    parts += ["Any other field passes into the chat as it came.\n"]
    return "\n".join(parts)


def _fates(path: str) -> dict[str, str]:
    """Each field that OpenAI's client knows, and whether an upstream receives the bytes that were sent."""
    opener, sample, params = SAMPLES[path]
    found = {}
    for field in sorted({*params.__annotations__, *sample}):
        given = {"model": "m", **sample}
        given.setdefault(field, {"x": [1.0]} if field in ("metadata", "stream_options") else "x")
        if field in ("instructions", "user"):
            given[field] = "x"
        envelope = opener(json.dumps(given).encode())
        changes = {"model": raw("n"), **envelope.usage_changes()}
        if isinstance(envelope, Conversation):
            changes.update(envelope.with_system("rules"))
        sent = opener(envelope.sealed(changes)).fields
        found[field] = "passed" if bytes(sent[field]) == bytes(envelope.fields[field]) else "changed"
    return found


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
