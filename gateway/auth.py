"""Who asks: the keys that clients show, and what each may use. Decides; answering is ``api.gate``'s.

A key's whole SHA-256 is looked up and then compared in constant time. The look-up itself tells nothing worth knowing:
Python's dict goes by a keyed hash with a key of its own in every process, and what it holds are digests, which nobody
can approach byte by byte.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from gateway.domain import Value
from gateway.errors import Forbidden, Unauthorized
from gateway.settings import Key

_AUTHORIZATION = b"authorization"
_PLAIN = (b"x-api-key", b"api-key")
"""Where Anthropic's and Azure's clients show their key."""
_HEADERS = frozenset({_AUTHORIZATION, *_PLAIN})
_CHALLENGE = {"www-authenticate": "Bearer"}
_NO_DIGEST = bytes(32)


class Holder(Value, frozen=True):
    """Somebody who showed a key."""

    name: str
    digest: bytes
    tasks: frozenset[str] | None = None
    models: frozenset[str] | None = None

    @property
    def limited(self) -> bool:
        """Whether the key is for some tasks or models only."""
        return self.tasks is not None or self.models is not None

    def may_use(self, task: str | None, model: str) -> bool:
        """Whether a request may pass that belongs to ``task``, or to none and names ``model``.

        Of a limited key's two lists the one that is missing allows nothing.
        """
        if not self.limited:
            return True
        return model in (self.models or ()) if task is None else task in (self.tasks or ())

    def check(self, task: str | None, model: str) -> None:
        """The same. Raises ``Forbidden``."""
        if not self.may_use(task, model):
            what = "model" if task is None else "task"
            raise Forbidden(
                f"This key may not use the {what} of the request.", param="model", code=f"{what}_not_allowed"
            )

    def __repr__(self) -> str:
        return f"Holder(name={self.name!r})"


class Keyring:
    """The keys of one configuration. False where there is none: then nobody is asked for one."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._holders = {
            key.sha256: Holder(
                name=name,
                digest=key.sha256,
                tasks=None if key.tasks is None else frozenset(key.tasks),
                models=None if key.models is None else frozenset(key.models),
            )
            for name, key in keys.items()
        }

    def __bool__(self) -> bool:
        return bool(self._holders)

    def holder(self, headers: Iterable[tuple[bytes, bytes]]) -> Holder:
        """Whose key a request shows. Raises ``Unauthorized`` for none and for a wrong one."""
        key = key_in(headers)
        if not key:
            raise Unauthorized(
                "You didn't provide an API key: send it as 'Authorization: Bearer KEY'.", headers=_CHALLENGE
            )
        digest = hashlib.sha256(key).digest()
        found = self._holders.get(digest)
        right = hmac.compare_digest(_NO_DIGEST if found is None else found.digest, digest)
        if found is None or not right:
            raise Unauthorized("Incorrect API key provided.", headers=_CHALLENGE)
        return found


def bearer(authorization: bytes) -> bytes | None:
    """The token of an ``authorization`` header; ``None`` for one of another scheme."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def key_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The key that a request shows: a bearer token, else ``x-api-key``, else ``api-key``; of each the first."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _HEADERS:
            found.setdefault(name, value)
    token = bearer(found.get(_AUTHORIZATION, b""))
    return token if token is not None else next((found[name].strip() for name in _PLAIN if name in found), None)


def new_key(random: bytes) -> str:
    """A key made of random bytes, 32 of them or more; its beginning lets scanners for secrets find it."""
    return f"prec-{random.hex()}"
