"""The sample of graded exchanges for a cycle: caps per conversation, key and tenant, then a spread over time.

Without caps, a single client with many requests and much feedback would write the sample alone. The caps hold before
the split, for induction, selection and confirmation alike. The sample ignores the outcome of a reply: a choice by
outcome would falsify every measurement on the items.
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
"""Graded exchanges to read for each exchange of a cycle, so that there is a choice."""
PER_CONVERSATION = 5
"""Exchanges of a conversation, its newest: turns are variations of one case."""
_ROUNDING = 1e-9

Thing = TypeVar("Thing")


class SampledExchanges(Value, frozen=True):
    """The sample of a cycle, newest first."""

    graded: tuple[Graded, ...]
    left_out: int
    """Exchanges above a cap, or above the size of the sample."""


def merged(first: Sequence[Graded], second: Sequence[Graded]) -> list[Graded]:
    """Return graded exchanges, newest first; an exchange in both has the judgement of ``first``."""
    by_id = {entry.exchange.id: entry for entry in (*second, *first)}
    return sorted(by_id.values(), key=lambda entry: -entry.exchange.created)


def sample_exchanges(graded: Sequence[Graded], *, most: int, tenant_share: float) -> SampledExchanges:
    """Return at most ``most`` of the exchanges (newest first): the newest half, and a spread over the time before.

    A conversation brings at most ``PER_CONVERSATION``; a client's key, and then a tenant, at most ``tenant_share``
    (0..1) of the sample, or as much as its peers (``_bound``), or an equal share where keys or tenants are too few.
    Keys come first: they are checked, and a tenant is any name in the request. Exchanges without a key or tenant are a
    crowd without a cap. Equal exchanges always give an equal sample.
    """
    usable = [pair for pair in graded if pair.exchange.reply is not None]
    requests = [read_request(pair.exchange.request) for pair in usable]
    sources = cap_per_key(list(zip(usable, requests, strict=True)), conversation_names(requests), PER_CONVERSATION)
    sources = _within_share(sources, [pair.exchange.key for pair, _ in sources], most, tenant_share)
    sources = _within_share(sources, [request.tenant for _, request in sources], most, tenant_share)
    chosen = spread_over_time([pair for pair, _ in sources], most)
    return SampledExchanges(graded=tuple(chosen), left_out=len(usable) - len(chosen))


def _within_share(things: Sequence[Thing], voices: Sequence[str | None], most: int, share: float) -> list[Thing]:
    """Return the things in their order, those of each voice spread over time and bounded by its share."""
    sizes = Counter(voices)
    crowd = sizes.pop(None, 0)
    bound = _bound(list(sizes.values()), crowd, most, share)
    groups: dict[str | None, list[int]] = defaultdict(list)
    for place, voice in enumerate(voices):
        groups[voice].append(place)
    kept = [members if voice is None else spread_over_time(members, bound) for voice, members in groups.items()]
    return [things[place] for place in sorted(place for members in kept for place in members)]


def spread_over_time(newest_first: Sequence[Thing], most: int) -> list[Thing]:
    """Return at most ``most`` in their order: the newest half, and the rest evenly from the older ones."""
    if len(newest_first) <= most:
        return list(newest_first)
    recent = (most + 1) // 2
    older, wanted = newest_first[recent:], most - recent
    return [*newest_first[:recent], *(older[place * len(older) // wanted] for place in range(wanted))]


def cap_per_key(things: Sequence[Thing], keys: Sequence[Hashable], most: int) -> list[Thing]:
    """Return the first ``most`` of each key, in their order."""
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
    """Return the largest number for a voice within its share of the sample, but no less than its peers bring.

    At a quarter each, three voices may have three quarters: so what the third largest brings is never too much. Without
    that, a fourth voice with a single exchange would cut the others down to one, and nobody could learn any more.
    """
    if not sizes:
        return 0
    share = max(share, 1 / (len(sizes) + bool(crowd)))
    peers = max(2, int(1 / share + _ROUNDING) - 1)
    least = sorted(sizes, reverse=True)[peers - 1] if len(sizes) >= peers else 0
    share += _ROUNDING

    def excess(bound: int) -> float:
        return bound - share * min(most, crowd + sum(min(size, bound) for size in sizes))

    # Convex and not above 0 at 0: from where it is above 0 on, it stays there.
    return max(least, bisect_right(range(1, max(sizes) + 1), 0.0, key=excess))
