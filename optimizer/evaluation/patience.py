"""Waiting for a provider that asks for a pause: background calls wait for ``Retry-After`` within a bound.

Callers of the gateway get a long ``Retry-After`` handed on at once; nobody waits for the learner, so it can. A pause
holds for all calls to the model, because the others would only be refused, too.

A model that never answered earns no patience beyond a second try: its server is down, or its address is wrong, and the
rest of our own breaker is no word of a provider. It counts as absent for the run, and calls that wait fail with it.
"""

import asyncio
from collections.abc import Callable

from gateway.errors import Overloaded, PreceptorError, UpstreamRefused, UpstreamResting, UpstreamUnreachable
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
        self._alive: set[str] = set()
        """Models that answered, a refusal included."""
        self._absent: dict[str, PreceptorError] = {}
        """Models that never answered, each with the error of its last try."""

    async def wait(self, model: str) -> None:
        """Return when the pause of a model is over. Raises its last error for a model that counts as absent."""
        left = self._until.get(model, 0.0) - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
        if model in self._absent:
            raise self._absent[model]

    def answered(self, model: str) -> None:
        """Note an answer of a model."""
        self._alive.add(model)
        self._absent.pop(model, None)

    def pause(self, model: str, error: PreceptorError, failures: int) -> float:
        """Begin a pause after a failed call, and return the seconds that the provider asked for, 0 if it did not.

        Raises ``error`` if another try is pointless or would begin too late.
        """
        if isinstance(error, UpstreamRefused):
            self.answered(model)
        asked = asked_s(error.headers, self._wall_clock())
        final = isinstance(error, UpstreamRefused) and error.status < 500 and error.status not in _BUSY
        nobody = model not in self._alive and isinstance(error, UpstreamUnreachable | UpstreamResting)
        patient = not nobody and (asked > 0 or isinstance(error, Overloaded))
        resting = nobody and isinstance(error, UpstreamResting)
        if final or resting or asked > self._cap_s or failures >= (PATIENT_TRIES if patient else TRIES):
            if nobody:
                self._absent[model] = error
            raise error
        until = asyncio.get_running_loop().time() + max(self._pause_s, asked)
        self._until[model] = max(until, self._until.get(model, 0.0))
        return asked
