"""Which graded exchanges a cycle may see, so that no one voice fills it: caps first, then a spread over time.

Whoever can make requests and say that the replies were wrong could otherwise write the sample by themselves. The caps
hold before anything is split, so that induction, selection and confirmation all profit. Does not ask whether a reply
was right: a choice by outcome would make what is measured on the items untrue.
"""

import hashlib
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import TypeVar

from gateway.domain import Value
from gateway.store.base import Graded
from optimizer.dataset.recorded_request import OWN_ROLES, RecordedRequest, digest, folded, read_request

READ_FACTOR = 4
"""How many times more graded exchanges are read than a cycle takes, so that there is a choice."""
PER_CONVERSATION = 5
"""Exchanges that one conversation may bring, its newest: its turns are variations of one case."""
_ROUNDING = 1e-9

Thing = TypeVar("Thing")


class SampledExchanges(Value, frozen=True):
    """What a cycle may see, newest first."""

    graded: tuple[Graded, ...]
    left_out: int
    """Of what was read: more of one conversation or tenant than is allowed, or more than a cycle takes."""


def sample_exchanges(graded: Sequence[Graded], *, most: int, tenant_share: float) -> SampledExchanges:
    """At most ``most`` of the exchanges, which come newest first: the newest half, and a spread over the time before.

    One conversation brings at most ``PER_CONVERSATION``, one tenant at most ``tenant_share`` (0..1) of what comes in.
    Where there are too few tenants for that, each may bring an equal share. Exchanges for which no tenant is named are
    a crowd without a cap: nobody can tell who they are. The same exchanges always give the same choice.
    """
    usable = [one for one in graded if one.exchange.reply is not None]
    requests = [read_request(one.exchange.request) for one in usable]
    pairs = cap_per_key(list(zip(usable, requests, strict=True)), conversation_names(requests), PER_CONVERSATION)
    kept, tenants = [one for one, _ in pairs], [request.tenant for _, request in pairs]
    sizes = Counter(tenants)
    crowd = sizes.pop(None, 0)
    bound = _bound(list(sizes.values()), crowd, most, tenant_share)
    groups: dict[str | None, list[int]] = defaultdict(list)
    for place, tenant in enumerate(tenants):
        groups[tenant].append(place)
    places = sorted(
        place
        for tenant, members in groups.items()
        for place in (members if tenant is None else spread_over_time(members, bound))
    )
    chosen = spread_over_time([kept[place] for place in places], most)
    return SampledExchanges(graded=tuple(chosen), left_out=len(usable) - len(chosen))


def spread_over_time(newest_first: Sequence[Thing], most: int) -> list[Thing]:
    """At most so many in their order: the newest half of them, and every so-many-th of what is older."""
    if len(newest_first) <= most:
        return list(newest_first)
    recent = (most + 1) // 2
    older, wanted = newest_first[recent:], most - recent
    return [*newest_first[:recent], *(older[place * len(older) // wanted] for place in range(wanted))]


def cap_per_key(things: Sequence[Thing], keys: Sequence[Hashable], most: int) -> list[Thing]:
    """The first so many of each key, in their order."""
    seen: Counter[Hashable] = Counter()
    kept = []
    for thing, key in zip(things, keys, strict=True):
        seen[key] += 1
        if seen[key] <= most:
            kept.append(thing)
    return kept


def conversation_names(requests: Sequence[RecordedRequest]) -> list[str]:
    """Return a name for each request's conversation, equal for all its turns among these requests.

    The client's own ``conversation_id`` counts first. Otherwise a request continues another request if it begins with
    all turns of the other, and a reply. Unlike the key by which arms are pinned, this separates strangers with the same
    beginning: a long template, examples given as turns, a ``prompt_cache_key``.
    """
    histories = [_history(request) for request in requests]
    ends = {history[-1] for history in histories}
    return [
        digest("id", request.conversation_id)
        if request.conversation_id
        else next(state for state in history if state in ends)
        for request, history in zip(requests, histories, strict=True)
    ]


def _history(request: RecordedRequest) -> list[str]:
    """Return a digest of the turns before each of the model's replies, and of all turns."""
    running, states = hashlib.sha256(), []
    for turn in request.turns:
        if turn.role in OWN_ROLES:
            states.append(running.hexdigest())
        text = folded(turn.content).encode("utf-8", "surrogatepass")
        running.update(f"{turn.role} {len(text)}\n".encode() + text)
    return [*states, running.hexdigest()]


def _bound(sizes: Sequence[int], crowd: int, most: int, share: float) -> int:
    """The largest number that a tenant may bring without being more than its share of all that is taken."""
    if not sizes:
        return 0
    share = max(share, 1 / (len(sizes) + bool(crowd))) + _ROUNDING

    def excess(bound: int) -> float:
        return bound - share * min(most, crowd + sum(min(size, bound) for size in sizes))

    # Convex and not above 0 at 0: from where it is above 0 on, it stays there.
    return bisect_right(range(1, max(sizes) + 1), 0.0, key=excess)
