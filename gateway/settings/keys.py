"""The section ``[keys.NAME]``: a key that a client shows. Holds the digest of a key, never the key itself."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta
from msgspec.structs import force_setattr

from gateway.settings.base import RecordMode, Section, doc
from gateway.settings.document import Mistakes
from gateway.settings.quotas import NO_LIMITS, Budget, Limits

_SCHEME = "sha256:"
_DAY_S = 86_400.0

Role = Literal["use", "read", "approve", "admin"]
Hash = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]


def digest(key: str) -> str:
    """Return the stored form of a key: ``sha256:`` and 64 hex digits.

    No salt: a salt helps against tables of likely words, and no table holds a key of 256 random bits, as made by
    ``preceptor keys new``.
    """
    return _SCHEME + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Key(Section, frozen=True):
    """A key for clients; its name is recorded with every exchange. With at least one such section, every path but
    `/livez` and `/readyz` wants a key. A key with `tasks` or `models` may use these and nothing else."""

    hash: Annotated[
        Hash | None,
        doc("SHA-256 of the key; `preceptor keys new NAME` makes a key and prints it with this line."),
    ] = None
    key: Annotated[
        str | None,
        doc("Or the key itself, at least 16 characters; better `${VAR}` or `file:PATH`. Only its hash is kept."),
    ] = None
    old_hash: Annotated[
        Hash | None, doc("The hash before, during a rotation: until `old_until` both secrets are right.")
    ] = None
    old_until: Annotated[
        dt.date | None,
        doc("Last day of the old secret, in UTC, such as `2027-01-31`; none: until you remove it."),
    ] = None
    owner: Annotated[str, doc("The team or person behind the key, for reports.")] = ""
    role: Annotated[
        Role,
        doc(
            "`use`: asks models. `read`: may also read the admin API (`/admin`). `approve`: may also decide there about"
            " rules. `admin`: may also make and revoke keys there."
        ),
    ] = "use"
    expires: Annotated[dt.date | None, doc("Last day of the key, in UTC, such as `2027-01-31`.")] = None
    tasks: Annotated[tuple[str, ...] | None, doc("Tasks open to the key.")] = None
    models: Annotated[
        tuple[str, ...] | None, doc("Names open to the key as `model`, in requests that belong to no task.")
    ] = None
    fields: Annotated[
        tuple[str, ...],
        doc(
            "More request fields for a key with `tasks` or `models`, such as an upstream's own parameters. Standard"
            " parameters are always allowed; others are refused, because they may choose another model (`models`,"
            " `fallbacks`)."
        ),
    ] = ()

    record: Annotated[
        RecordMode, doc("Most that is recorded of the key's exchanges, whatever `server` and `tasks` say.")
    ] = "all"
    limits: Annotated[Limits, doc("What the key may ask for.")] = NO_LIMITS
    budget: Annotated[Budget | None, doc("What the key may spend.")] = None
    feedback: Annotated[
        Literal["own", "any"],
        doc("Replies that the key may judge (`POST /v1/feedback`): its `own`, or `any`, for people who label."),
    ] = "own"

    def __post_init__(self) -> None:
        if self.key is not None:
            force_setattr(self, "hash", digest(self.key))
            force_setattr(self, "key", None)

    @property
    def sha256(self) -> bytes:
        """The digest, 32 bytes."""
        assert self.hash is not None, "checked by settings"
        return bytes.fromhex(self.hash.removeprefix(_SCHEME))

    def digests(self) -> Iterator[tuple[bytes, float]]:
        """Yield the digest of each secret with its end, in seconds since the epoch."""
        ends = end_of(self.expires)
        yield self.sha256, ends
        if self.old_hash is not None:
            yield bytes.fromhex(self.old_hash.removeprefix(_SCHEME)), min(ends, end_of(self.old_until))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(tasks={self.tasks!r}, models={self.models!r})"


def end_of(day: dt.date | None) -> float:
    """Return the end of a day in UTC, in seconds since the epoch; infinity for none."""
    if day is None:
        return float("inf")
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp() + _DAY_S


def note_mistakes(keys: Any, mistakes: Mistakes) -> None:
    """Note sections without a key or with two, and two sections with the same key. Types are checked elsewhere."""
    names: dict[str, str] = {}
    for name, section in keys.items() if isinstance(keys, Mapping) else ():
        if not isinstance(section, Mapping):
            continue
        given = [section[field] for field in ("hash", "key") if field in section]
        if len(given) != 1:
            mistakes.note(f"keys.{name}", "needs either hash or key: 'preceptor keys new NAME' makes one")
        elif isinstance(given[0], str):
            known = given[0] if "hash" in section else digest(given[0])
            for secret in (known, section.get("old_hash")):
                other = names.setdefault(secret, name) if isinstance(secret, str) else name
                if other != name:
                    mistakes.note(f"keys.{name}", f"is the same key as keys.{other}: requests could not be told apart")
        if "old_until" in section and "old_hash" not in section:
            mistakes.note(f"keys.{name}.old_until", "is the end of old_hash: give both")
