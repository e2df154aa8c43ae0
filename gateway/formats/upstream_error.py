"""The words of an upstream's error, whatever shape its body has. Pure.

Servers disagree about errors: OpenAI's object, vLLM's bare object, FastAPI's ``detail``, Google's list, plain text.
Users need the words ("maximum context length is ..."), and so does the adaptation to a model's quirks.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.domain import Value

_LONGEST = 2000
"""Characters of a message to keep."""


class ErrorWords(Value, frozen=True):
    """An error as the upstream worded it."""

    message: str
    type: str | None = None
    params: tuple[str, ...] = ()
    """The blamed fields of the request, such as ``stream_options.include_usage``."""
    code: str | int | None = None

    @property
    def param(self) -> str | None:
        """The first blamed field."""
        return self.params[0] if self.params else None


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


def _words(content: Any, depth: int = 3) -> ErrorWords | None:
    """Find the error in JSON: in the object itself, or inside a known wrapper."""
    if isinstance(content, str) and content.strip():
        return ErrorWords(message=content.strip()[:_LONGEST])
    if isinstance(content, list):
        return _validation_words(content) or (_words(content[0], depth - 1) if content and depth else None)
    if not isinstance(content, dict):
        return None
    for wrapper in ("error", "errors", "detail", "details"):
        inner = _words(content[wrapper], depth - 1) if content.get(wrapper) and depth else None
        if inner is not None:
            return inner
    message = next((text for name in ("message", "msg", "reason") if isinstance(text := content.get(name), str)), "")
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
