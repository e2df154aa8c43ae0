"""Which conversation a request belongs to, and the place between 0 and 1 at which that conversation lies for a choice.

A conversation keeps its place from turn to turn and from process to process, so that it stays with one arm while a
share grows, and upstreams' prompt caches keep hitting. Nothing is remembered: the place is a hash.
"""

import functools
import hashlib

from gateway.formats.envelope import Conversation

_KEYS = ("prompt_cache_key", "conversation", "previous_response_id")
"""Fields by which a client itself says what belongs together; the last one at least keeps two turns together."""
_MOST = 1024
"""Bytes of a first message that are looked at."""


def key_of(envelope: Conversation) -> bytes:
    """What is the same in every turn: the client's own key, or else how its first message begins."""
    for name in _KEYS:
        given = envelope.fields.get(name)
        if given is not None and bytes(given) not in (b"null", b'""'):
            return bytes(given)
    return envelope.opening()[:_MOST]


def place(key: bytes, salt: str) -> float:
    """A number in [0, 1), evenly spread over conversations; other salts give independent numbers."""
    digest = hashlib.blake2b(key, digest_size=8, salt=_salted(salt)).digest()
    return int.from_bytes(digest, "big") / 2**64


@functools.lru_cache(4096)
def _salted(salt: str) -> bytes:
    return hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=16).digest()
