"""Client keys, and the tasks and models allowed to each. Decides; ``api.gate`` answers.

The whole SHA-256 of a key is looked up and then compared in constant time. The look-up leaks nothing of use: Python's
dict hashes with a secret of the process, and the stored values are digests, so no key can be guessed byte by byte.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from gateway.domain import Value
from gateway.errors import Forbidden, Unauthorized
from gateway.settings import Key
from gateway.settings.base import RecordMode
from gateway.settings.keys import Role

_AUTHORIZATION = b"authorization"
_PLAIN = (b"x-api-key", b"api-key")
"""Headers with the key of Anthropic's and Azure's clients."""
_CHALLENGE = {"www-authenticate": "Bearer"}
_NO_DIGEST = bytes(32)
_NEVER = float("inf")
_RANKS: Mapping[Role, int] = {"use": 0, "read": 1, "approve": 2, "admin": 3}


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
    owner: str = ""
    role: Role = "use"
    ends: float = _NEVER
    """The end of the secret, in seconds since the epoch."""
    record: RecordMode = "all"
    """Most that is recorded of its exchanges."""

    def is_at_least(self, role: Role) -> bool:
        """Decide whether the role of the key holds another."""
        return _RANKS[self.role] >= _RANKS[role]

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
    """The keys of a gateway. False without any: then no request needs a key.

    ``revoked`` are digests of keys that are right no more; a ring with nothing else is still closed. ``clock`` returns
    seconds since the epoch.
    """

    def __init__(
        self, keys: Mapping[str, Key], revoked: Collection[bytes] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        self._closed = bool(keys or revoked)
        self._clock = clock
        self._holders = {
            digest: _holder(name, key, digest, ends)
            for name, key in keys.items()
            for digest, ends in key.digests()
            if digest not in revoked
        }

    def __bool__(self) -> bool:
        return self._closed

    @property
    def holders(self) -> Iterable[Holder]:
        """The owners of all keys."""
        return self._holders.values()

    def holder(self, headers: Mapping[bytes, bytes]) -> Holder:
        """Return the owner of the key in a request's headers.

        Raises ``Unauthorized`` for a missing, wrong or old key.
        """
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
        if holder.ends != _NEVER and self._clock() >= holder.ends:
            raise Unauthorized("This API key has expired: ask for another.", code="expired_api_key", headers=_CHALLENGE)
        return holder


def _holder(name: str, key: Key, digest: bytes, ends: float) -> Holder:
    return Holder(
        name=name,
        digest=digest,
        tasks=None if key.tasks is None else frozenset(key.tasks),
        models=None if key.models is None else frozenset(key.models),
        fields=frozenset(key.fields),
        any_feedback=key.feedback == "any",
        record=key.record,
        owner=key.owner,
        role=key.role,
        ends=ends,
    )


def bearer(authorization: bytes) -> bytes | None:
    """Return the token of an ``authorization`` header; ``None`` for another scheme."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def key_in(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return a request's key: a bearer token, else ``x-api-key``, else ``api-key``."""
    token = bearer(headers.get(_AUTHORIZATION, b""))
    return token if token is not None else next((headers[name].strip() for name in _PLAIN if name in headers), None)


def new_key(random: bytes) -> str:
    """Return a key made of 32 or more random bytes. The prefix helps scanners for secrets."""
    return f"prec-{random.hex()}"
