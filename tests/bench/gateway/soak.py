"""Load for minutes on end, and what becomes of memory meanwhile. Short runs never show a leak."""

import statistics
import time
from collections.abc import Callable, Sequence

from tests.bench.gateway.load import Values
from tests.bench.gateway.process import rss_mb
from tests.bench.gateway.results import Slice
from tests.bench.gateway.targets import Target

SLICE_S = 15.0
WARM = 1 / 3
"""Share of the time that counts as warming up."""


def soak(target: Target, minutes: float, measure: Callable[[float], Values]) -> list[Slice]:
    """Slices of load, memory after each. ``measure`` loads the target for so many seconds."""
    began, found = time.monotonic(), list[Slice]()
    while (elapsed := time.monotonic() - began) < minutes * 60:
        values = measure(min(SLICE_S, max(1.0, minutes * 60 - elapsed)))
        found.append(Slice(minutes=(time.monotonic() - began) / 60, rps=values["rps"], rss_mb=rss_mb(target.pid)))
    return found


def slope(slices: Sequence[Slice]) -> float | None:
    """Growth in MB a minute after warming up, by least squares; ``None`` where there is too little to tell."""
    warm = [piece for piece in slices if piece.minutes >= slices[-1].minutes * WARM]
    if len(warm) < 3:
        return None
    return statistics.linear_regression([piece.minutes for piece in warm], [piece.rss_mb for piece in warm]).slope
