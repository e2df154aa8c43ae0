"""The words of an upstream's error, whatever shape its body has. Pure.

Servers disagree about errors: OpenAI's object, vLLM's bare object, FastAPI's ``detail``, Google's list, plain text.
Users need the words ("maximum context length is ..."), and so does the adaptation to a model's quirks.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.domain import Value
from gateway.errors import UpstreamError, error_body

OWN_KEY_REFUSED = frozenset({401, 403})
"""Statuses of a refusal of the gateway's own key."""
_LONGEST = 2000
"""Characters of a message to keep."""


_WRAPPERS = ("error", "errors", "detail", "details", "fault")
_MESSAGES = ("message", "msg", "reason", "Message", "error_description", "faultstring", "title")
"""Names of the words by how often they are used; ``title`` is that of RFC 9457, which prefers ``detail``."""
CONTEXT_EXCEEDED = "context_length_exceeded"
"""OpenAI's code for a prompt beyond the context: its clients compact their history on it."""
_OVERFLOW = re.compile(
    r"context (?:length|size|window)|too many (?:input )?tokens|(?:prompt|input|request) is too long"
    r"|maximum (?:prompt|input|sequence) length|maximum number of (?:input )?tokens|reduce the length of the",
    re.IGNORECASE,
)
"""The words of OpenAI, Anthropic, Google, xAI, vLLM, llama.cpp and others for a prompt beyond the context."""


class ErrorWords(Value, frozen=True):
    """An error as the upstream worded it."""

    message: str
    type: str | None = None
    params: tuple[str, ...] = ()
    """The blamed fields of the request, such as ``stream_options.include_usage``."""
    code: str | int | None = None

    @property
    def overflows(self) -> bool:
        """The prompt is longer than the model's context."""
        return overflows(self.message, self.code)

    @property
    def param(self) -> str | None:
        """The first blamed field."""
        return self.params[0] if self.params else None


def overflows(message: str, code: str | int | None) -> bool:
    """Decide whether an error is about a prompt beyond the context."""
    return code == CONTEXT_EXCEEDED or _OVERFLOW.search(message[:_LONGEST]) is not None


def error_words(payload: bytes) -> ErrorWords | None:
    """Read the body of an error; ``None`` if it holds no words for a person (empty, HTML, binary)."""
    try:
        content = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _plain_words(payload)
    return _words(content)


def openai_error(payload: bytes) -> dict[str, Any]:
    """Return OpenAI's error object with all its fields, if the body is one; else nothing."""
    try:
        content = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = content.get("error") if isinstance(content, dict) else None
    return error if isinstance(error, dict) and isinstance(error.get("message"), str) and error["message"] else {}


def error_status(payload: bytes) -> int | None:
    """Return the status of an error that was sent under a good status; ``None`` if the body is no error.

    Its own ``code`` or ``status`` counts; without one it is 502.
    """
    try:
        content = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    error = content.get("error") if isinstance(content, dict) else None
    bare = isinstance(content, dict) and content.get("object") == "error"
    if not error and not bare:
        return None
    inner = error if isinstance(error, dict) else content
    codes = (inner.get("code"), inner.get("status"))
    return next((code for code in codes if type(code) is int and 400 <= code < 600), 502)


def refusal_body(payload: bytes, status: int, upstream: str) -> bytes:
    """Return an upstream's error in OpenAI's shape with all four keys.

    A refusal of the gateway's own key is told without the upstream's words: they may quote the key.
    """
    if status in OWN_KEY_REFUSED:
        return error_body(
            f"upstream {upstream!r} refused the gateway's key (status {status}): check upstreams.{upstream}.api_key",
            "upstream_error", None, "upstream_key_refused",
        )  # fmt: skip
    kind = UpstreamError.type if status >= 500 else "invalid_request_error"
    words = error_words(payload)
    if words is None:
        return error_body(f"upstream {upstream!r} answered with status {status}", kind)
    shape = {"message": words.message, "type": words.type or kind, "param": words.param, "code": words.code}
    return msgspec.json.encode({"error": {**shape, **openai_error(payload)}})


def _words(content: Any, depth: int = 3) -> ErrorWords | None:
    """Find the error in JSON: in the object itself, or inside a known wrapper."""
    if isinstance(content, str) and content.strip():
        return ErrorWords(message=content.strip()[:_LONGEST])
    if isinstance(content, list):
        return _validation_words(content) or (_words(content[0], depth - 1) if content and depth else None)
    if not isinstance(content, dict):
        return None
    for wrapper in _WRAPPERS:
        inner = _words(content[wrapper], depth - 1) if content.get(wrapper) and depth else None
        if inner is not None:
            return inner
    message = next((text for name in _MESSAGES if isinstance(text := content.get(name), str)), "")
    if not message.strip():
        return None
    param, code, kind = content.get("param"), content.get("code"), content.get("type")
    return ErrorWords(
        message=message.strip()[:_LONGEST],
        type=kind if isinstance(kind, str) else None,
        params=(param,) if isinstance(param, str) and param else (),
        code=code if isinstance(code, str | int) and not isinstance(code, bool) else None,
    )


def _validation_words(items: list[Any]) -> ErrorWords | None:
    """Read FastAPI's list of mistakes: ``[{"loc": ["body", "stream_options"], "msg": ..., "type": ...}]``."""
    mistakes = [item for item in items if isinstance(item, dict) and isinstance(item.get("msg"), str)]
    if not mistakes:
        return None
    params = [".".join(_location(mistake)) for mistake in mistakes]
    lines = [": ".join(filter(None, (param, mistake["msg"]))) for param, mistake in zip(params, mistakes, strict=True)]
    kind = mistakes[0].get("type")
    return ErrorWords(
        message="; ".join(lines)[:_LONGEST],
        params=tuple(filter(None, params)),
        code=kind if isinstance(kind, str) else None,
    )


def _location(mistake: Mapping[str, Any]) -> Iterator[str]:
    location = mistake.get("loc")
    for step in location if isinstance(location, list) else ():
        if step != "body" and isinstance(step, str | int):
            yield str(step)


def _plain_words(payload: bytes) -> ErrorWords | None:
    """Take plain text as it is; HTML and binary hold nothing for a person."""
    try:
        text = payload[: 4 * _LONGEST].decode("utf-8", "ignore").strip()
    except UnicodeDecodeError:
        return None
    if not text or text.startswith("<") or not all(letter.isprintable() or letter in "\r\n\t" for letter in text):
        return None
    return ErrorWords(message=" ".join(text.split())[:_LONGEST])
