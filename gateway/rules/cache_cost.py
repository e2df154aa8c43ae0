"""The cost of a hot swap in the upstream's prompt cache, estimated from the records. Pure.

Rules stand in front of a conversation's turns. With another version the next request of each conversation under way is
read anew behind the instructions: at most the whole prompt of its last request.
"""

from collections.abc import Sequence

from gateway.domain import Value
from gateway.settings.models import Price
from gateway.store.base import Observed, Store

LIFE_S = 300.0
"""Seconds that providers keep an unused prompt at least."""
_NEWEST = 10_000
"""Records that are looked at."""
_RULED = ("weak", "canary")


class CacheCost(Value, frozen=True):
    """At most what a swap costs, once."""

    conversations: int = 0
    """Conversations under way: with two requests or more, the last within ``LIFE_S``."""
    tokens: int = 0
    """Prompt tokens of their last requests."""
    usd: float | None = None
    """The difference between reading them anew and reading them from the cache; ``None`` without such prices."""

    def sentence(self) -> str:
        """Return the cost in a sentence."""
        if not self.conversations:
            return "no conversation under way loses its prompt cache"
        some = "a conversation" if self.conversations == 1 else f"{self.conversations} conversations"
        money = "" if self.usd is None else f", {self.usd:.2f} USD"
        return f"the next request of {some} under way is read anew: at most {self.tokens:,} cached prompt tokens{money}"


def swap_cost(observed: Sequence[Observed], price: Price) -> CacheCost:
    """Estimate the cost of other rules for these exchanges of a task, oldest first, at their model's price."""
    last: dict[str, Observed] = {}
    again: set[str] = set()
    for exchange in observed:
        if exchange.arm not in _RULED or exchange.cluster is None:
            continue
        if exchange.cluster in last:
            again.add(exchange.cluster)
        last[exchange.cluster] = exchange
    tokens = sum(last[cluster].usage.prompt_tokens for cluster in again)
    return CacheCost(conversations=len(again), tokens=tokens, usd=_usd(price, tokens) if again else None)


def _usd(price: Price, tokens: int) -> float | None:
    if price.cache_read is None:
        return None
    anew = price.input if price.cache_write is None else price.cache_write
    return tokens * (anew - price.cache_read) / 1e6


def cost_of_swap(store: Store, task: str, price: Price, *, now: float) -> CacheCost:
    """Read the newest records of a task and estimate. Blocks; raises ``StoreError``."""
    return swap_cost(store.observed(task, since=now - LIFE_S, limit=_NEWEST), price)
