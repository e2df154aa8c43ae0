"""A number of places that calls take, wait for in order, and give back: the limit on calls under way.

Not a semaphore of asyncio: taking a free place is one comparison, the number of places taken can be read, and somebody
can wait until all are free. A place that is given back goes to the one who waits longest and to nobody who comes later.
"""

import asyncio
from collections import OrderedDict


class Places:
    """``count`` places. For one event loop; nothing here blocks or locks."""

    def __init__(self, count: int) -> None:
        self._count = count
        # Ordered, because a place is left from anywhere in the queue as often as from its front.
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._emptied = asyncio.Event()
        self.taken = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def take(self) -> bool:
        """Take a place if one is free now."""
        if self.taken < self._count:  # while anybody waits, none is
            self.taken += 1
            return True
        return False

    async def wait(self, seconds: float) -> None:
        """Wait for a place to be handed on. Raises ``TimeoutError``."""
        turn = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            self._queue.pop(turn, None)
            if turn.done() and not turn.cancelled():
                self.give_back()  # it came in the moment in which it was given up
            raise

    def give_back(self) -> None:
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1
        if not self.taken:
            self._emptied.set()

    async def empty(self) -> None:
        """Return when no place is taken."""
        while self.taken:
            self._emptied.clear()
            await self._emptied.wait()
