"""Read the features of a recorded request that tell its kind: instructions, first question, tools, wanted form.

Reads the bodies of chats, of responses and of Anthropic's messages; an odd body is no error. Does not compare requests.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.domain import Exchange, Value
from gateway.formats.chat import text_of

_TEXT = ("text", "input_text", "output_text")
_SYSTEM = ("system", "developer")


class RequestFeatures(Value, frozen=True):
    """The features of one request."""

    system: str
    """The text of its instructions; empty if it has none."""
    question: str
    """The user's first message."""
    tools: tuple[str, ...]
    """Names of the offered tools, sorted."""
    json: bool
    """True if the request asks for JSON."""


def features_of(exchange: Exchange) -> RequestFeatures | None:
    """Return the features of a recorded conversation; ``None`` for any other request (embeddings) or none at all."""
    try:
        body = msgspec.json.decode(exchange.request, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    turns = body.get("messages", body.get("input"))
    if isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    messages = [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    if not messages or ("messages" not in body and not exchange.usage.output_tokens):
        return None
    apart = [text for name in ("instructions", "system") if (text := _text(body.get(name)))]
    if not apart and messages[0].get("role") in _SYSTEM:
        apart = [_text(messages[0].get("content"))]
    asked = (_text(turn.get("content")) for turn in messages if turn.get("role") == "user")
    return RequestFeatures(
        system="\n".join(apart), question=next(asked, ""), tools=_tools(body), json=_wants_json(body)
    )


def _text(content: Any) -> str:
    return text_of(content, _TEXT) or ""


def _tools(body: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({name for kind in ("tools", "functions") for name in _names(body.get(kind))}))


def _names(tools: Any) -> Iterable[str]:
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict):
            inner = tool.get("function")
            name = (inner if isinstance(inner, dict) else tool).get("name", tool.get("type"))
            if isinstance(name, str):
                yield name


def _wants_json(body: dict[str, Any]) -> bool:
    text = body.get("text")
    wanted = body.get("response_format", text.get("format") if isinstance(text, dict) else None)
    return isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema")
