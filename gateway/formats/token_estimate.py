"""An estimate of a request's tokens, for clients that must know before the upstream counts.

Each kind of letter has its share of a token, fitted to OpenAI's ``o200k_base`` on prose, code and data in 25 languages
and formats: 0.77 to 1.12 times its count. ``cl100k_base`` makes up to three times as many tokens of Arabic,
Indic scripts, Greek or Thai. An image counts about 1,100 tokens, whatever its bytes.
"""

from typing import Any

from gateway.errors import BadRequest
from gateway.formats.chat import ChatRequest
from gateway.formats.envelope import decoded

_SMALL = bytes(range(ord("a"), ord("z") + 1))
_CAPITAL = _SMALL.upper()
_DIGIT = b"0123456789"
_SPACE = b" \t\n\r"
_SIGN = bytes(set(range(0x21, 0x7F)) - set(_SMALL + _CAPITAL + _DIGIT))
_PER_TOKEN = (
    (_SMALL, 3.9),
    (_CAPITAL, 1.8),
    (_DIGIT, 1.4),
    (_SIGN, 2.5),
    (_SPACE, 10.0),
    (bytes(range(0xC2, 0xE0)), 2.6),  # first bytes in UTF-8: accents, Cyrillic, Greek, Hebrew, Arabic
    (bytes(range(0xE0, 0xE3)), 2.2),  # Indic scripts, Thai, signs of print
    (bytes(range(0xE3, 0xF5)), 1.2),  # Chinese, Japanese, Korean, emoji
)
"""Letters of each kind that make a token."""
_JSON_PER_TOKEN = 3.0
"""Bytes of a tool's description that make a token."""
_LONGEST = 16_384
"""Letters of a text that are all looked at; of a longer text a sample is."""
_SLICE = 1024
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
            tokens += len(message) / _JSON_PER_TOKEN
    tools = request.fields.get("tools")
    return max(1, round(tokens + (len(tools) / _JSON_PER_TOKEN if tools is not None else 0)))


def _of(value: Any) -> float:
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, list):
        return sum(map(_of, value))
    if isinstance(value, dict):
        return _PER_FILE if value.get("type") in _FILES else sum(map(_of, value.values()))
    return 0.0


def _of_text(text: str) -> float:
    if len(text) > _LONGEST:
        step = len(text) // 8
        sample = "".join(text[start : start + _SLICE] for start in range(0, 8 * step, step))
        return _of_text(sample) * len(text) / len(sample)
    letters = text.encode("utf-8", "surrogatepass")
    return sum((len(letters) - len(letters.translate(None, kind))) / per_token for kind, per_token in _PER_TOKEN)
