"""The tokens to reserve for a request before its call: quick, and rather too many than too few.

The upstream's own count takes their place when the reply has ended.
"""

from typing import Final

from gateway.errors import BadRequest
from gateway.formats.chat import ChatRequest
from gateway.formats.envelope import Envelope
from gateway.formats.token_estimate import estimated_tokens

UNSTATED: Final = 500
"""Output tokens of a request that states no most."""
_BYTES_PER_TOKEN = 4
_LONG = 32_768
"""Bytes from which a chat is looked into: it may hold images."""
_MOST = 10_000_000
_STATED = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def expected_tokens(envelope: Envelope) -> tuple[int, int]:
    """Return the likely tokens of the prompt, and the most that the reply may have."""
    size = len(envelope.body)
    if size > _LONG and isinstance(envelope, ChatRequest):
        prompt = estimated_tokens(envelope)
    else:
        prompt = size // _BYTES_PER_TOKEN + 1
    return prompt, 0 if envelope.path == "/embeddings" else _stated(envelope)


def _stated(envelope: Envelope) -> int:
    for name in _STATED:
        if name in envelope.fields:
            try:
                value = envelope.value(name)
            except BadRequest:
                return UNSTATED
            if type(value) is int and 0 < value <= _MOST:
                return value
    return UNSTATED
