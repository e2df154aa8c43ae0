"""Waiting for a provider that asks for a pause: background calls wait for ``Retry-After`` within a bound.

Callers of the gateway get a long ``Retry-After`` handed on at once; nobody waits for the learner, so it can. A pause
holds for all calls to the model, because the others would only be refused, too.
"""

import asyncio
from collections.abc import Callable

from gateway.errors import Overloaded, PreceptorError, UpstreamRefused
from gateway.upstream.retry import asked_s

TRIES = 2
"""Calls per answer before the upstream counts as failing."""
PATIENT_TRIES = 6
"""Calls per answer while the provider asks for pauses."""
_BUSY = frozenset({408, 409, 429})


class Patience:
    """Pauses by model. For a single event loop; ``wall_clock`` is in seconds since the epoch."""

    def __init__(self, *, pause_s: float, cap_s: float, wall_clock: Callable[[], float]) -> None:
        self._pause_s = pause_s
        self._cap_s = cap_s
        self._wall_clock = wall_clock
        self._until: dict[str, float] = {}
        """The end of the pause of each model, on the loop's clock."""

    async def wait(self, model: str) -> None:
        """Return when the pause of a model is over."""
        left = self._until.get(model, 0.0) - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    def pause(self, model: str, error: PreceptorError, failures: int) -> None:
        """Begin a pause after a failed call. Raises ``error`` if another try is pointless or would begin too late."""
        asked = asked_s(error.headers, self._wall_clock())
        final = isinstance(error, UpstreamRefused) and error.status < 500 and error.status not in _BUSY
        patient = asked > 0 or isinstance(error, Overloaded)
        if final or asked > self._cap_s or failures >= (PATIENT_TRIES if patient else TRIES):
            raise error
        until = asyncio.get_running_loop().time() + max(self._pause_s, asked)
        self._until[model] = max(until, self._until.get(model, 0.0))
