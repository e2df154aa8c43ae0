"""The key of a kept reply: the asking key and end user, and every influence on the reply. Pure.

Equal keys mean equal bytes for the upstream. Nothing is interpreted: a space more between two values makes another
request. Programs repeat their bytes. A reading of our own might take two requests for one.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

import msgspec
from msgspec import Raw

from gateway.formats.envelope import Changes
from gateway.routing.inject import Injection
from gateway.routing.route import CompiledSplit, RoutePlan, RuleSnapshot

_ALIKE: Final = frozenset({"temperature", "n", "stream"})
"""Fields left out: a kept reply's temperature is 0, its ``n`` 1, however written; ``stream`` counts as read."""
_TRACES: Final = frozenset({b"traceparent", b"tracestate"})
_NO_SPLIT: Final = CompiledSplit()


def reply_key(
    plan: RoutePlan,
    changes: Changes,
    snapshot: RuleSnapshot,
    *,
    key: str | None,
    tenant: str | None,
    query: str = "",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """Return 32 bytes for a request of a key's end user. ``changes`` are those of its first call.

    ``headers`` are for the upstream. The state of the task's versions is a part. After any decision about them every
    arm begins without kept replies: all arms are compared on the same choice of questions.
    """
    envelope, split = plan.envelope, snapshot.splits.get(plan.task or "", _NO_SPLIT)
    about = [
        key, tenant, type(envelope).__name__, envelope.path, query, envelope.stream,
        plan.task, plan.arm, plan.model, plan.upstream, plan.upstream_model, plan.rules_version, plan.form.name,
        snapshot.injecting, _version(split.live), _version(split.canary), split.canary_share, split.weak_share,
        split.holdback,
    ]  # fmt: skip
    kept = sorted(header for header in headers if header[0] not in _TRACES)
    digest = hashlib.blake2b(digest_size=32)
    for part in chain(
        (msgspec.json.encode(about), b"%d" % len(kept)),
        chain.from_iterable(kept),
        _listed(envelope.fields, without=_ALIKE),
        _listed(changes),
    ):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def _listed(fields: Mapping[str, Raw | None], without: frozenset[str] = frozenset()) -> Iterable[bytes]:
    """Yield the number of fields, then names and values, sorted by name."""
    names = sorted(name for name in fields if name not in without)
    yield b"%d" % len(names)
    for name in names:
        value = fields[name]
        yield name.encode("utf-8", "surrogatepass")
        yield b"" if value is None else bytes(value)  # no JSON is empty


def _version(injection: Injection | None) -> int | None:
    return None if injection is None else injection.rule_set.version
