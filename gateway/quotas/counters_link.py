"""The link of a process to the counters in Valkey: its connection, its signs of life, and what it tells of money.

Reservations are told whole on a new connection only, before any request is counted there: later the scripts change
them, one request at a time. Payments and the store's book are told again whenever they have grown.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.quotas.meter import Meter
from gateway.quotas.payments import SILENT, KnownBook, Payments
from gateway.quotas.periods import period_at
from gateway.quotas.resp import CountersAway, ValkeyConnection
from gateway.quotas.scripts import Scripts, digest_of

log = logging.getLogger(__name__)

BEAT_S: Final = 1.0
_BURST: Final = 100
"""Subjects told of at once: the requests of others get their turn in between."""

Words = Sequence[str | int]


class CountersLink:
    """The link of process ``replica``. ``wall_clock`` is in seconds since the epoch. For a single event loop.

    ``refused`` says in the log what becomes of requests without the counters.
    """

    def __init__(
        self, url: str, replica: str, *, answer_s: float, wall_clock: Callable[[], float], texts: Scripts, refused: bool
    ) -> None:
        self._url, self._replica, self._answer_s, self._refused = url, replica, answer_s, refused
        self._wall_clock, self._texts = wall_clock, texts
        self._connection = ValkeyConnection(url)
        self._generation = 0
        self.meters: Callable[[], Iterable[Meter]] = tuple
        """The meters in effect."""
        self._down = False
        self._ahead_s, self._born = 0.0, 0
        self._recent: set[Meter] = set()
        """Meters with requests since the last sign of life: others may have given up what they had reserved."""
        self._unsent: set[Meter] = set()
        self._unchecked: set[Meter] = set()
        """Meters with requests since their reservations were last told whole."""
        self.asking = 0
        """Requests whose answer is awaited."""
        self._whole: dict[str, int] = {}
        """Periods by subject whose book was told."""
        self._book = KnownBook()
        self.payments = Payments(replica)
        """All that this process has paid under budgets."""

    @property
    def open(self) -> bool:
        """Requests can be counted."""
        return self._connection.open

    def now(self) -> float:
        """Return the counters' time, in seconds since the epoch; this host's own until they have answered."""
        return self._wall_clock() + self._ahead_s

    def count(self, text: str, meters: Sequence[Meter], words: Words) -> asyncio.Future[Any]:
        """Send a script about requests of meters. Raises ``CountersAway`` without a connection."""
        self._recent.update(meters)
        self._unchecked.update(meters)
        names = [_name(meter) for meter in meters]
        try:
            return self._eval(self._connection, self._generation, text, names, words)
        except CountersAway:
            self._unsent.update(meters)
            raise

    def _eval(
        self, connection: ValkeyConnection, generation: int, text: str, names: Words, words: Words
    ) -> asyncio.Future[Any]:
        return connection.send("EVALSHA", digest_of(text), len(names), *names, self._replica, generation, *words)

    async def leave(self) -> None:
        """End the connection until the next beat."""
        await self._connection.aclose()

    async def aclose(self) -> None:
        """Tell the last changes, and leave."""
        if self._connection.open:
            with contextlib.suppress(CountersAway, TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._tell_changes()
        await self._connection.aclose()

    async def keep(self) -> None:
        """Beat every second, until cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            await self.beat()

    async def beat(self) -> None:
        """Give a sign of life and tell what has changed; connect again where it must be."""
        recent, self._recent = self._recent, set()
        holds = False
        try:
            async with asyncio.timeout(max(BEAT_S, self._answer_s)):
                try:
                    holds = self._connection.open and await self._look(self._connection, self._generation)
                finally:
                    if not holds:
                        self._recent |= recent
                if holds:
                    await self._tell_changes()
                else:
                    await self._begin()
            if self._down:
                log.info("the counters are back", extra={"action": "counters.back"})
            self._down = False
        except (CountersAway, TimeoutError, TypeError, ValueError) as error:
            await self._connection.aclose()
            self.note(error)

    async def _look(self, connection: ValkeyConnection, generation: int) -> bool:
        """Give a sign of life; ``False`` if others have taken this process for lost.

        Takes over the counters' time, and notices that they have begun anew.
        """
        before = self._wall_clock()
        answer = await self._eval(connection, generation, self._texts.beat, (), ())
        born, milliseconds, alive = map(int, answer)
        self._ahead_s = milliseconds / 1000 - (before + self._wall_clock()) / 2
        if born != self._born:
            self._born, self._whole = born, {}
        return bool(alive)

    async def _begin(self) -> None:
        """Connect, and tell all that is under way before any request counts there.

        Only now reservations are told whole: no answer is awaited that might change them.
        """
        await self._connection.aclose()
        self._generation += 1
        connection, generation = ValkeyConnection(self._url), self._generation
        try:
            await connection.connect()
            for text in self._texts.all:
                connection.send("SCRIPT", "LOAD", text)
            await self._look(connection, generation)
            touched = self._recent | self._unsent
            self._recent, self._unsent, self._whole = set(), set(), {}
            try:
                await self._tell(connection, generation, touched, reserved=True)
            except BaseException:
                self._unsent |= touched
                raise
        except BaseException:
            await connection.aclose()
            raise
        self._connection = connection
        # Those that came meanwhile; nothing waits between this and the first request.
        again, self._unsent = self._recent | self._unsent, set()
        self._send_state(connection, generation, again, again, reserved=True)

    async def _tell_changes(self) -> None:
        """Tell payments that were not sent, and the book where it has news.

        Reservations are checked where no answer is awaited that might change them: an error must not last.
        """
        if not self.asking:
            checked, self._unchecked = self._unchecked, set()
            self._send_state(self._connection, self._generation, checked, checked, reserved=True)
        unsent, self._unsent = self._unsent, set()
        try:
            await self._tell(self._connection, self._generation, unsent, reserved=False)
        except BaseException:
            self._unsent |= unsent
            raise

    async def _tell(
        self, connection: ValkeyConnection, generation: int, touched: Container[Meter], *, reserved: bool
    ) -> None:
        meters = [*self.meters()]
        for at in range(0, len(meters), _BURST):
            answer = self._send_state(connection, generation, meters[at : at + _BURST], touched, reserved=reserved)
            if answer is not None:
                await answer

    def _send_state(
        self,
        connection: ValkeyConnection,
        generation: int,
        meters: Iterable[Meter],
        touched: Container[Meter],
        *,
        reserved: bool,
    ) -> "asyncio.Future[object] | None":
        """Send the state of meters: of those touched, and the whole book where the counters lack it.

        The number under way is set to its true one: a lost answer must not count for ever. Reservations are, too, where
        ``reserved`` says that no answer is awaited.
        """
        answer: asyncio.Future[object] | None = None
        for meter in meters:
            if meter.limits.concurrent is not None:
                answer = connection.send("HSET", f"{_name(meter)}:now", self._replica, meter.in_flight)
            period = 0 if meter.budget is None else period_at(self.now(), meter.budget.per)
            whole = period > 0 and self._has_news(meter, period)
            if whole or meter in touched or (reserved and meter.reserved):
                held = meter.reserved if reserved else ""
                words = self._state(meter, period, whole=whole)
                answer = self._eval(connection, generation, self._texts.tell, [_name(meter)], [held, *words])
        return answer

    def _has_news(self, meter: Meter, period: int) -> bool:
        """Decide whether the counters must be told of the whole book: they have not been, and there is something."""
        if self._whole.get(meter.subject) == period:
            return False
        known = self._book.of(meter.subject, period)
        return known is not None and (bool(known) or self.payments.nano(meter.subject, period) > 0)

    def _state(self, meter: Meter, period: int, *, whole: bool) -> Words:
        """Return the period, 1 for the whole book, and writers with amounts."""
        known = self._book.of(meter.subject, period)
        if whole and known is not None:
            self._whole[meter.subject] = period
        paid = {} if known is None else {name: nano for name, nano in known.items() if whole or name in SILENT}
        paid[self._replica] = max(paid.get(self._replica, 0), self.payments.nano(meter.subject, period))
        words: list[str | int] = [period, int(whole and known is not None)]
        for writer, nano in paid.items():
            words += [writer, nano]
        return words

    def note(self, error: Exception) -> None:
        """Say once that the counters are away."""
        if not self._down:
            log.warning(
                "the counters are away, requests are %s: %s",
                "refused" if self._refused else "counted here alone", str(error) or "no answer in time",
                extra={"action": "counters.away"},
            )  # fmt: skip
        self._down = True

    def know(self, meter: Meter, period: int, writers: Mapping[str, int]) -> None:
        """Take what the store's book says about the present period of a budget: nano dollars by writer."""
        before = self._book.of(meter.subject, period) or {}
        self._book.take(meter.subject, period, writers)
        if any(writers.get(writer, 0) > before.get(writer, 0) for writer in SILENT):
            self._unsent.add(meter)

    def seed(self, meter: Meter, period: int) -> bool:
        """Tell the counters of the whole book; ``False`` while it is not known here."""
        if self._book.of(meter.subject, period) is None:
            return False
        words = self._state(meter, period, whole=True)
        self._eval(self._connection, self._generation, self._texts.tell, [_name(meter)], ["", *words])
        return True


def _name(meter: Meter) -> str:
    return f"preceptor:{meter.kind}:{meter.name}"
