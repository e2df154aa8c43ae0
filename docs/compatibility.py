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

from gateway.formats import messages, ollama_request
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Conversation, Envelope, raw
from gateway.formats.plain import open_embeddings, open_text
from gateway.formats.responses import open_responses
from gateway.upstream import anthropic_requests, ollama_requests, response_requests

TARGET = Path(__file__).parent / "compatibility.md"

HEAD = """\
# What is passed, translated and refused

Generated from the code by `make docs`; do not edit.

A request reaches its upstream with every field as it was sent, byte for byte, except where this page says otherwise;
fields that do not exist yet pass too. Replies come back as the upstream sent them, under the exchange's id.

- **passed**: as it was sent. **changed**: see the notes. **translated**: it reaches the upstream, or shapes the reply,
  in another place or form. **refused**: a 400 says so. **ignored**: it is not sent on, and the reply is right without
  it.
- A query (`?beta=true`) reaches an upstream that is asked by the client's own path; not from a key with limits. Azure's
  `api-version` ends here.
- A form (sound, images) may name a configured model or a task as JSON may; its other bytes stay. A form of more than 1
  MiB below `/v1/audio/` and `/v1/images/` is held until its `model` has come, at most `max_body_mb`; beyond that, and
  on other paths, it goes to `server.default_upstream` as it came.
- Kinds `openai` and `llamacpp` are spoken to in OpenAI's own words; kinds `anthropic` and `ollama` in theirs, as
  far as they have them.
"""

_HERE = "answered here"
_ESTIMATED = "answered here: an estimate"
_SAME = "as the same path below /v1"
_CHAT = "tasks, rules, scratchpad"
_TO_CHAT = "to a chat; with `raw` or `suffix` to a completion"
_TO_VECTORS = "translated to `/v1/embeddings`"
ENDPOINTS: Sequence[tuple[str, str, str, str, str]] = (
    # method and path, openai and llamacpp, anthropic, ollama, rules
    ("POST /v1/chat/completions", "passed", "translated: `/v1/messages`", "translated: `/api/chat`", _CHAT),
    ("POST /v1/responses", "passed; a chat where it has none", "a chat", "passed; a chat where it has none",
     "tasks, rules, two passes"),
    ("POST /v1/messages (Anthropic)", "translated to a chat", "passed", "translated to a chat", _CHAT),
    ("POST /v1/messages/count_tokens", _ESTIMATED, "passed", _ESTIMATED, ""),
    ("POST /v1/completions", "passed", "404", "translated: `/api/generate`", "none"),
    ("POST /v1/embeddings", "passed", "404", "translated: `/api/embed`", "none"),
    ("POST /api/chat (Ollama)", "translated to a chat", "translated twice", "translated to a chat", _CHAT),
    ("POST /api/generate (Ollama)", _TO_CHAT, "to a chat, translated twice", _TO_CHAT, "as a chat, or none"),
    ("POST /api/embed, /api/embeddings (Ollama)", _TO_VECTORS, "404", _TO_VECTORS, "none"),
    ("GET /api/tags, /api/ps, /api/version, POST /api/show", _HERE, _HERE, _HERE, ""),
    ("GET /v1/models, /v1/models/NAME", _HERE, _HERE, _HERE, ""),
    ("POST /v1/feedback", _HERE, _HERE, _HERE, ""),
    ("/openai/deployments/NAME/... (Azure)", _SAME, _SAME, _SAME, "as there"),
    (
        "any other below /v1", "passed to `server.default_upstream`, else 404",
        "the same",
        "the same, to its own `/v1`",
        "none",
    ),
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

_KINDS = ("endpoint", "`openai`, `llamacpp`", "`anthropic`", "`ollama`")
ANTHROPIC: Mapping[str, Mapping[str, str]] = {"/chat/completions": anthropic_requests.FIELDS}
_AS_CHATS = """\
## Fields of `/v1/responses` where the upstream knows chats only

`upstreams.NAME.responses` decides; by default a server without the endpoint is found out by its 404. Any other field
passes into the chat as it came. Nothing is stored: a request that goes on from a stored response is refused.
"""
_OWN_TOOLS = """\
Any other field passes into the chat as it came. In `messages`, calls and results of Anthropic's own tools
(`server_tool_use`, `web_search_tool_result`, `code_execution_tool_result`, `mcp_tool_use` and the like) are left out,
as a chat has no place for them; the model's text beside them stays. Such a tool among `tools` is refused.
"""
SDK_TESTS = (
    # area, tests, passed directly, passed through the gateway
    ("chat", 145, 145, 145),
    ("completions", 40, 40, 40),
    ("embeddings", 20, 20, 20),
    ("models", 55, 55, 55),
    ("responses", 195, 120, 120),
    ("moderations", 20, 20, 20),
    ("files", 117, 117, 117),
    ("audio", 231, 166, 166),
)
_SDK = """\
## OpenAI's own tests of its Python client

The tests of `openai` 3.51.0 for these resources, run by `make conformance` against a mock that follows OpenAI's
description of its API (of 2026-05-31): directly, and through a gateway with that mock as `server.default_upstream`.
Each test ends in the same way in both. Those that fail, fail in both: the description is older than the client and
lacks what the client asks for (`cache_write_tokens` and new items of responses, `/audio/voices`, new fields of
transcriptions). Chats pass as a task with a rule, too.
"""
NOTES = {
    "model": "the upstream's own name of the configured model",
    "messages": "an active rule set is appended to the leading system or developer message, or put before them all",
    "instructions": "an active rule set is appended",
    "stream_options": "usage is asked for in streams, and taken out again if the client did not ask",
}


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD, "## Endpoints\n", _table([*_KINDS, "rules"], ENDPOINTS)]
    for path in SAMPLES:
        ollama, anthropic = ollama_requests.FIELDS.get(path), ANTHROPIC.get(path)
        rows: list[Sequence[str]] = [
            (
                f"`{field}`",
                fate,
                anthropic.get(field, "ignored") if anthropic is not None else "404",
                ollama.get(field, "ignored") if ollama else "passed",
                NOTES[field] if fate == "changed" else "",
            )
            for field, fate in _fates(path).items()
        ]
        parts += [f"## Fields of `/v1{path}`\n", _table(["field", *_KINDS[1:], "note"], rows)]
    fates = [(f"`{field}`", fate) for field, fate in sorted(response_requests.FIELDS.items())]
    parts += [_AS_CHATS, _table(["field", "what becomes of it"], fates)]
    fates = [(f"`{field}`", fate) for field, fate in sorted(messages.FIELDS.items())]
    parts += ["## Fields of `/v1/messages` on their way to a chat\n", _table(["field", "what becomes of it"], fates)]
    parts += [_OWN_TOOLS]
    for path, handling in ollama_request.FIELDS.items():
        rows = [(f"`{field}`", fate) for field, fate in sorted(handling.items())]
        parts += [f"## Fields of `{path}` (Ollama)\n", _table(["field", "what becomes of it"], rows)]
    parts += ["Any other field is ignored, as Ollama does.\n"]
    parts += [_SDK, _table(["tests", "run", "passed directly", "passed through the gateway"], _sdk_rows())]
    return "\n".join(parts)


def _sdk_rows() -> Sequence[Sequence[str]]:
    total = ("all", *(sum(numbers) for numbers in zip(*(row[1:] for row in SDK_TESTS), strict=True)))
    return [[str(cell) for cell in row] for row in (*SDK_TESTS, total)]


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
