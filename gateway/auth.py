"""Client keys, and the tasks and models allowed to each. Decides; ``api.gate`` answers.

The whole SHA-256 of a key is looked up and then compared in constant time. The look-up leaks nothing of use: Python's
dict hashes with a secret of the process, and the stored values are digests, so no key can be guessed byte by byte.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from gateway.domain import Value
from gateway.errors import Forbidden, Unauthorized
from gateway.settings import Key

_AUTHORIZATION = b"authorization"
_PLAIN = (b"x-api-key", b"api-key")
"""Headers with the key of Anthropic's and Azure's clients."""
_HEADERS = frozenset({_AUTHORIZATION, *_PLAIN})
_CHALLENGE = {"www-authenticate": "Bearer"}
_NO_DIGEST = bytes(32)


class Holder(Value, frozen=True):
    """The owner of a valid key."""

    name: str
    digest: bytes
    tasks: frozenset[str] | None = None
    models: frozenset[str] | None = None
    fields: frozenset[str] = frozenset()
    """Request fields allowed besides the standard ones, for a key with limits."""
    any_feedback: bool = False
    """Allowed to judge the replies to every key."""

    @property
    def limited(self) -> bool:
        """True for a key with a list of tasks or models."""
        return self.tasks is not None or self.models is not None

    def may_use(self, task: str | None, model: str) -> bool:
        """Decide whether the key allows a request of ``task`` or, without a task, for ``model``.

        If a key has only one of the two lists, the missing list allows nothing.
        """
        if not self.limited:
            return True
        return model in (self.models or ()) if task is None else task in (self.tasks or ())

    def check(self, task: str | None, model: str) -> None:
        """Raise ``Forbidden`` unless ``may_use`` allows the request."""
        if not self.may_use(task, model):
            what = "model" if task is None else "task"
            raise Forbidden(
                f"This key may not use the {what} of the request.", param="model", code=f"{what}_not_allowed"
            )

    def __repr__(self) -> str:
        return f"Holder(name={self.name!r})"


class Keyring:
    """The keys of a configuration. False without any: then no request needs a key."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._holders = {
            key.sha256: Holder(
                name=name,
                digest=key.sha256,
                tasks=None if key.tasks is None else frozenset(key.tasks),
                models=None if key.models is None else frozenset(key.models),
                fields=frozenset(key.fields),
                any_feedback=key.feedback == "any",
            )
            for name, key in keys.items()
        }

    def __bool__(self) -> bool:
        return bool(self._holders)

    @property
    def holders(self) -> Iterable[Holder]:
        """The owners of all keys."""
        return self._holders.values()

    def holder(self, headers: Iterable[tuple[bytes, bytes]]) -> Holder:
        """Return the owner of a request's key. Raises ``Unauthorized`` for a missing or wrong key."""
        key = key_in(headers)
        if not key:
            raise Unauthorized(
                "You didn't provide an API key: send it as 'Authorization: Bearer KEY'.", headers=_CHALLENGE
            )
        digest = hashlib.sha256(key).digest()
        holder = self._holders.get(digest)
        right = hmac.compare_digest(_NO_DIGEST if holder is None else holder.digest, digest)
        if holder is None or not right:
            raise Unauthorized("Incorrect API key provided.", headers=_CHALLENGE)
        return holder


def bearer(authorization: bytes) -> bytes | None:
    """Return the token of an ``authorization`` header; ``None`` for another scheme."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def key_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return a request's key: a bearer token, else ``x-api-key``, else ``api-key``; the first header of each name."""
    given: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _HEADERS:
            given.setdefault(name, value)
    token = bearer(given.get(_AUTHORIZATION, b""))
    return token if token is not None else next((given[name].strip() for name in _PLAIN if name in given), None)


def new_key(random: bytes) -> str:
    """Return a key made of 32 or more random bytes. The prefix helps scanners for secrets."""
    return f"prec-{random.hex()}"
