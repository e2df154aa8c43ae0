"""The conversation of a request, and its bucket: a number between 0 and 1 that decides about shares.

A conversation keeps its bucket from turn to turn and from process to process. So it stays with its arm while a share
grows, and upstreams' prompt caches keep hitting. Nothing is stored: the bucket is a hash.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from gateway.errors import BadRequest
from gateway.formats.envelope import Conversation, Envelope, decode_object

_KEYS = ("prompt_cache_key", "conversation", "previous_response_id")
"""Fields by which a client itself says what belongs together; the last one at least keeps two turns together."""
_KEY_NAMES = frozenset(_KEYS)
_USERS = ("safety_identifier", "user")
"""Fields with the client's name for its end user; ``metadata.user_id`` is the third."""
_NAMING = frozenset({*_USERS, "metadata"})
_HALF = 512
"""Bytes at each end of a first message that are looked at: instructions that many requests share, and then a text of
each, or the other way round."""


T = TypeVar("T")


class _Metadata(msgspec.Struct):
    user_id: Any = None


_text = msgspec.json.Decoder(str)
_metadata = msgspec.json.Decoder(_Metadata)


def conversation_key(envelope: Conversation) -> bytes:
    """Return the same bytes for every turn: the client's own key, or else both ends of its first message."""
    if not _KEY_NAMES.isdisjoint(envelope.fields):
        for name in _KEYS:
            given = envelope.fields.get(name)
            if given is not None and bytes(given) not in (b"null", b'""'):
                return bytes(given)
    first = envelope.opening()
    if len(first) <= 2 * _HALF:
        return bytes(first)
    opening = memoryview(first)
    return b"".join((opening[:_HALF], b" %d " % len(opening), opening[-_HALF:]))


def cluster_of(key: bytes) -> str:
    """Return a conversation's key as 16 hex digits, which say nothing of its text."""
    return hashlib.blake2b(key, digest_size=8).hexdigest()


def tenant_of(envelope: Envelope) -> str | None:
    """Return 16 hex digits for the end user behind a request; ``None`` if the client names nobody.

    Read from ``safety_identifier``, ``user`` or ``metadata.user_id``, in this order.
    """
    return _tenant(envelope.naming())


def tenant_in(request: bytes) -> str | None:
    """Return the tenant of a recorded request; ``None`` for an unreadable one."""
    try:
        return _tenant(decode_object(request))
    except BadRequest:
        return None


def tenant_digest(names: Sequence[Any]) -> str | None:
    """Return the digest of the first name that is a text; ``None`` without any."""
    first = next((name for name in names if isinstance(name, str) and name), None)
    if first is None:
        return None
    return hashlib.sha256(b"tenant\n" + first.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _tenant(fields: Mapping[str, Raw]) -> str | None:
    if _NAMING.isdisjoint(fields):
        return None
    named = [_decoded(_text, fields[name]) for name in _USERS if name in fields]
    if "metadata" in fields:
        metadata = _decoded(_metadata, fields["metadata"])
        named.append(metadata.user_id if metadata is not None else None)
    return tenant_digest(named)


def _decoded(decoder: msgspec.json.Decoder[T], given: Raw) -> T | None:
    try:
        return decoder.decode(given)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def bucket(key: bytes, salt: str) -> float:
    """Return a number in [0, 1), evenly spread over conversations; other salts give independent numbers."""
    digest = hashlib.blake2b(key, digest_size=8, salt=_salted(salt)).digest()
    return int.from_bytes(digest, "big") / 2**64


@functools.lru_cache(4096)
def _salted(salt: str) -> bytes:
    return hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=16).digest()
