"""An estimate of a request's tokens, for clients that must know before the upstream counts.

English text has about four letters a token, other scripts one to two; an image about 1,100 tokens, whatever its bytes.
"""

from typing import Any

from gateway.errors import BadRequest
from gateway.formats.chat import ChatRequest
from gateway.formats.envelope import decoded

_ASCII_PER_TOKEN = 4.0
_OTHERS_PER_TOKEN = 1.5
_PER_FILE = 1100
"""Tokens of an image or another file."""
_PER_MESSAGE = 4
"""Tokens around a message: its role and its borders."""
_FILES = frozenset({"image_url", "input_audio", "file"})


def estimated_tokens(request: ChatRequest, rules: str = "") -> int:
    """Return the likely number of a request's input tokens, its tools and the rules for it included; at least 1."""
    tokens = _of(rules)
    for message in request.messages:
        try:
            tokens += _PER_MESSAGE + _of(decoded(message))
        except BadRequest:
            tokens += len(message) / _ASCII_PER_TOKEN
    tools = request.fields.get("tools")
    return max(1, round(tokens + (len(tools) / _ASCII_PER_TOKEN if tools is not None else 0)))


def _of(value: Any) -> float:
    if isinstance(value, str):
        ascii_letters = len(value.encode("ascii", "ignore"))
        return ascii_letters / _ASCII_PER_TOKEN + (len(value) - ascii_letters) / _OTHERS_PER_TOKEN
    if isinstance(value, list):
        return sum(map(_of, value))
    if isinstance(value, dict):
        return _PER_FILE if value.get("type") in _FILES else sum(map(_of, value.values()))
    return 0.0
