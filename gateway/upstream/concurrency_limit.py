"""A limit on calls under way: at most so many at once, and a queue in order of arrival.

Not a semaphore of asyncio: acquiring below the limit is a single comparison, the number in use can be read, and a
caller can wait until the last call has ended. A released place goes to the caller that waits longest, never to a later
one.
"""

import asyncio
from collections import OrderedDict


class ConcurrencyLimit:
    """At most ``count`` calls at once. For a single event loop; no method blocks or locks."""

    def __init__(self, count: int) -> None:
        self._count = count
        # Ordered, because callers leave from anywhere in the queue as often as from its front.
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._idle = asyncio.Event()
        self.in_use = 0
        """Calls under way."""

    @property
    def waiting(self) -> int:
        """Callers in the queue."""
        return len(self._queue)

    def try_acquire(self) -> bool:
        """Begin a call if the limit allows it now."""
        if self.in_use < self._count:  # with a queue, the limit is always reached
            self.in_use += 1
            return True
        return False

    async def acquire(self, seconds: float) -> None:
        """Wait in the queue for a released place. Raises ``TimeoutError``."""
        turn = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            self._queue.pop(turn, None)
            if turn.done() and not turn.cancelled():
                self.release()  # the place was handed over in the moment of giving up
            raise

    def release(self) -> None:
        """End a call: hand its place to the first in the queue, or free it."""
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self.in_use -= 1
        if not self.in_use:
            self._idle.set()

    async def wait_until_idle(self) -> None:
        """Return when no call is under way."""
        while self.in_use:
            self._idle.clear()
            await self._idle.wait()
