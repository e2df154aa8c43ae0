"""The guard around an upstream: a limit on calls under way, retries and a circuit breaker.

For a streamed call ``send`` returns with the first piece of the body: a failure before the first byte is repeated and
bounded in time like a call without a status. ``upstream.retry`` decides which failures to repeat, ``upstream.breaker``
when an upstream rests. The choice of another upstream is the caller's.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Literal

from gateway.errors import Overloaded, UpstreamBroken, UpstreamError, UpstreamResting, UpstreamTimeout
from gateway.settings import UpstreamLimits
from gateway.upstream import retry
from gateway.upstream.base import Call, Upstream, UpstreamReply
from gateway.upstream.breaker import Breaker, Change
from gateway.upstream.concurrency_limit import ConcurrencyLimit
from gateway.upstream.failure_log import FailureLog

log = logging.getLogger(__name__)

Event = Change | Literal["retry"]
"""An event for the observer: the breaker opened (``resting``) or closed (``recovered``), or a call is repeated."""

_BUSY_S = 1
"""``Retry-After``, in seconds, of a call that waited too long for its turn."""


class Guarded:
    """An upstream with its guard. Implements ``upstream.base.Upstream``.

    ``clock`` is monotonic, ``wall_clock`` since the epoch, both in seconds; ``random`` draws from 0..1.
    """

    def __init__(
        self,
        upstream: Upstream,
        name: str,
        settings: UpstreamLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
        observe: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._upstream = upstream
        self._name = name
        self._settings = settings
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._random = random
        self._observe = observe
        self._failures = FailureLog(name, clock)
        self._limit = ConcurrencyLimit(settings.max_connections)
        self._breaker = Breaker(
            failures=settings.breaker_failures, rest_s=settings.breaker_rest_s, clock=clock, changed=self._changed
        )

    @property
    def in_flight(self) -> int:
        """Calls under way: from their turn until their reply is closed or read to its end."""
        return self._limit.in_use

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return self._limit.waiting

    @property
    def failures(self) -> int:
        """Failed calls in a row."""
        return self._breaker.failures

    async def idle(self) -> None:
        """Return when no call is under way."""
        await self._limit.wait_until_idle()

    async def open(self) -> None:
        await self._upstream.open()

    def ready(self) -> str | None:
        return self._upstream.ready() or (self._rests() if self._breaker.rest_left_s else None)

    async def aclose(self) -> None:
        await self._upstream.aclose()

    async def send(self, call: Call) -> UpstreamReply:
        """Send, with retries, and wait for the status; for a stream also for the first piece.

        Raises the upstream's errors, ``Overloaded`` after too long a wait for a turn, and ``UpstreamResting``.
        """
        if not self._limit.try_acquire():
            await self._turn()
        try:
            began = self._clock()
            retries = 0
            while True:
                reply = None
                try:
                    reply = await self._attempt(call)
                    if reply.status < 400:
                        return reply
                    pause = self._pause(call, reply, began, retries)
                    if pause is None:
                        if reply.status >= 500:
                            self._failures.note(f"it answered with status {reply.status}", retries + 1)
                        return reply
                except UpstreamError as error:
                    pause = self._pause(call, error, began, retries)
                    if pause is None:
                        if not isinstance(error, UpstreamResting):  # a line of its own tells that
                            self._failures.note(type(error).__name__, retries + 1)
                        raise
                if reply is not None:
                    await reply.cut()
                await self._sleep(pause)
                retries += 1
                self._observe("retry")
        except BaseException:
            self._limit.release()
            raise

    async def _turn(self) -> None:
        if self._breaker.rest_left_s:
            raise self._resting()
        try:
            await self._limit.acquire(self._settings.queue_timeout_s)
        except TimeoutError as error:
            raise Overloaded(
                f"Upstream {self._name!r} is busy: the request did not get its turn within"
                f" {self._settings.queue_timeout_s:g} s. Send it again later.",
                code="upstream_busy",
                headers={"retry-after": str(_BUSY_S)},
            ) from error

    def _pause(self, call: Call, failure: "_GuardedReply | UpstreamError", began: float, retries: int) -> float | None:
        """Return the seconds until the next attempt, or ``None`` for no further attempt.

        Once all retries are used up, the failure tells the client's SDK not to multiply them.
        """
        settings = self._settings
        repeatable = not call.once
        if isinstance(failure, UpstreamError):
            worth = retry.after_error(failure, repeatable=repeatable)
        else:
            worth = retry.after_status(failure.status, failure.headers, repeatable=repeatable)
        if not worth:
            return None
        if retries == settings.retries:
            if retries:
                failure.headers = {**failure.headers, retry.SHOULD_RETRY: "false"}
            return None
        asked = retry.asked_s(failure.headers, self._wall_clock())
        pause = asked + retry.backoff_s(retries, self._random())
        late = self._clock() - began + pause > settings.first_byte_timeout_s
        return None if asked > settings.retry_after_cap_s or late or not self._breaker.closed else pause

    async def _attempt(self, call: Call) -> "_GuardedReply":
        """Make a call and report its result to the breaker."""
        ticket = self._breaker.admit()
        if ticket is None:
            raise self._resting()
        began = self._clock()
        try:
            reply = _GuardedReply(await self._upstream.send(call), self._limit, self._breaker, ticket)
            if call.stream and reply.status < 300:
                await self._peek(reply, self._settings.first_byte_timeout_s - (self._clock() - began))
        except UpstreamError:
            self._breaker.failed(ticket)
            raise
        except BaseException:
            self._breaker.abandoned(ticket)
            raise
        if reply.status >= 400:
            reply.settle(succeeded=reply.status < 500 or reply.status == 501)
        elif call.stream and not self._breaker.closed:
            self._breaker.succeeded(ticket)  # it may stream for minutes, but as a probe it has shown enough
        return reply

    async def _peek(self, reply: "_GuardedReply", left_s: float) -> None:
        """Wait for the first piece. Closes the upstream's reply if none comes."""
        limit_s = self._settings.first_byte_timeout_s
        try:
            async with asyncio.timeout(left_s):
                await reply.peek()
            if not reply.begun and reply.is_event_stream:
                raise UpstreamBroken(f"upstream {self._name!r} ended its stream before the first byte")
        except TimeoutError as error:
            await reply.cut()
            raise UpstreamTimeout(f"upstream {self._name!r} sent no first byte within {limit_s:g} s") from error
        except BaseException:
            await reply.cut()
            raise

    def _changed(self, change: Change) -> None:
        message = self._rests() if change == "resting" else f"upstream {self._name!r} works again"
        log.warning("%s", message, extra={"action": f"upstream.{change}", "upstream": self._name})
        self._observe(change)

    def _rests(self) -> str:
        return (
            f"upstream {self._name!r} failed {self._breaker.failures} times in a row and is left alone for"
            f" {math.ceil(self._breaker.rest_left_s)} s"
        )

    def _resting(self) -> UpstreamResting:
        wait = max(1, math.ceil(self._breaker.rest_left_s))
        return UpstreamResting(self._rests(), sent=False, headers={"retry-after": str(wait)})


class _GuardedReply:
    """A reply that counts as under way until it is closed or read to its end. Implements ``base.UpstreamReply``.

    It is its own iterator: unlike a generator, an iterator abandoned in the middle needs no clean-up.
    """

    __slots__ = (
        "_breaker", "_first", "_headers", "_left", "_limit", "_pieces", "_reply", "_ticket", "begun", "status",
    )  # fmt: skip

    def __init__(self, reply: UpstreamReply, limit: ConcurrencyLimit, breaker: Breaker, ticket: int) -> None:
        self._reply = reply
        self._limit = limit
        self._breaker = breaker
        self._ticket: int | None = ticket
        self._left = False
        self._pieces: AsyncIterator[bytes] | None = None
        self._first: bytes | None = None
        self._headers: Mapping[str, str] | None = None
        self.begun = False
        """A piece of the body has arrived."""
        self.status = reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._reply.headers if self._headers is None else self._headers

    @headers.setter
    def headers(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    @property
    def is_event_stream(self) -> bool:
        """Tell a stream from other replies: those (a deleted file, a 204) may have an empty body."""
        return "text/event-stream" in self.headers.get("content-type", "")

    async def peek(self) -> None:
        """Wait for the first piece and keep it for the reader."""
        self._pieces = self._reply.chunks()
        async for piece in self._pieces:
            if piece:
                self._first = piece
                self.begun = True
                return

    async def read(self) -> bytes:
        if self._pieces is not None:
            return b"".join([piece async for piece in self])
        try:
            body = await self._reply.read()
        except UpstreamError:
            self.settle(succeeded=False)
            raise
        self._end()
        return body

    def chunks(self) -> AsyncIterator[bytes]:
        if self._pieces is None:
            self._pieces = self._reply.chunks()
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        assert self._pieces is not None, "chunks() hands the iterator out"
        first = self._first
        if first is not None:
            self._first = None
            return first
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._end()
            raise
        except UpstreamError:
            self.settle(succeeded=False)
            raise
        self.begun = True
        return piece

    def settle(self, *, succeeded: bool | None) -> None:
        """Report the result to the breaker, once; ``None``: the reply shows nothing about the upstream."""
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return
        if succeeded is None:
            self._breaker.abandoned(ticket)
        elif succeeded:
            self._breaker.succeeded(ticket)
        else:
            self._breaker.failed(ticket)

    def _end(self) -> None:
        self.settle(succeeded=True)
        self._leave()

    def _leave(self) -> None:
        if not self._left:
            self._left = True
            self._limit.release()

    async def cut(self) -> None:
        """Close the upstream's reply and stay under way: the call goes on."""
        await self._reply.aclose()

    async def aclose(self) -> None:
        try:
            await self._reply.aclose()
        finally:
            if not self._left:
                self.settle(succeeded=True if self.begun else None)
                self._leave()
