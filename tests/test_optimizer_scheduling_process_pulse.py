"""The pulse of the learning process."""

import asyncio

from optimizer.scheduling.process.pulse import LOOKS, Pulse


class Looks:
    """A sleep that ends when a test says so."""

    def __init__(self) -> None:
        self.lengths = list[float]()
        self._turn = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self.lengths.append(seconds)
        await self._turn.acquire()

    async def pass_by(self, count: int) -> None:
        for _ in range(count):
            self._turn.release()
            for _ in range(3):
                await asyncio.sleep(0)


async def test_silence_for_the_whole_time_is_a_hang() -> None:
    """Not a look sooner, and every sign of life begins the count again."""
    looks = Looks()
    pulse = Pulse(20.0, looks.sleep)
    stopped = asyncio.create_task(pulse.stopped())
    pulse.beat()
    await looks.pass_by(LOOKS - 1)
    pulse.beat()
    await looks.pass_by(LOOKS - 1)
    assert not stopped.done()
    await looks.pass_by(1)
    assert stopped.done()
    assert set(looks.lengths) == {20.0 / LOOKS}


async def test_a_start_may_take_longer() -> None:
    """An interpreter on a busy machine is no hang; one that never begins is."""
    looks = Looks()
    stopped = asyncio.create_task(Pulse(20.0, looks.sleep).stopped())
    await looks.pass_by(11 * LOOKS)
    assert not stopped.done()
    await looks.pass_by(LOOKS)
    assert stopped.done()
