"""Shares with their intervals, as pages show them. Pure."""

import math

from gateway.domain import Value


class Share(Value, frozen=True):
    """A share (0..1) of ``n`` with its 95% interval."""

    share: float
    low: float
    high: float
    n: int


def share_of(right: int, n: int) -> Share | None:
    """Return Wilson's interval for ``right`` of ``n``; ``None`` of nothing."""
    if n <= 0:
        return None
    z, share = 1.96, right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Share(share=share, low=max(0.0, middle - spread), high=min(1.0, middle + spread), n=n)
