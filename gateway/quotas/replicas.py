"""Limits and budgets over the replicas of a gateway, counted in Valkey, by its clock.

A request is counted there in one script, under all of its limits and budgets or none: so replicas together never
exceed any. Without an answer in time, ``server.counters_fail`` decides, and Valkey is left alone for a second. Requests
under way of a lost replica count for five seconds; its reserved money counts as spent from then on. ``scripts`` says
how money is held there, and ``payments`` why nothing of it is forgotten or counted twice.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, cast

from gateway.background import Background
from gateway.errors import NO_HEADERS, Overloaded, RateLimited
from gateway.quotas.counters_link import CountersLink, Words
from gateway.quotas.meter import NANO, Meter, Need, Reason
from gateway.quotas.payments import Payments
from gateway.quotas.periods import period_at
from gateway.quotas.refusals import overdraft
from gateway.quotas.resp import CountersAway
from gateway.quotas.scripts import BUDGET, CONCURRENT, REQUESTS, TOKENS, UNKNOWN, YOUNG, Scripts, scripts

log = logging.getLogger(__name__)

Fail = Literal["open", "closed"]

ANSWER_S: Final = 0.25
_REASONS: Final[dict[int, Reason]] = {REQUESTS: "requests", TOKENS: "tokens", CONCURRENT: "concurrent"}


class Counted(NamedTuple):
    """A request whose reservation the counters know, until it settles."""

    meters: Sequence[Meter]
    need: Need
    bucket: int = 0
    requests: int = 0
    """1 if it is counted under the limits, too."""


class ReplicaCounts:
    """The counts of all replicas; ``replica`` is the name of this process, ``fail`` the policy without an answer.

    ``wall_clock`` is in seconds since the epoch. For a single event loop.
    """

    def __init__(
        self,
        url: str,
        replica: str,
        fail: Fail,
        *,
        answer_s: float = ANSWER_S,
        wall_clock: Callable[[], float] = time.time,
        texts: Scripts | None = None,
    ) -> None:
        self._fail, self._answer_s = fail, answer_s
        self._texts = texts or scripts()
        self._link = CountersLink(
            url, replica, answer_s=answer_s, wall_clock=wall_clock, texts=self._texts, refused=fail == "closed"
        )
        self.failures = 0
        """Requests decided without the counters."""

    @property
    def away(self) -> bool:
        """The counters do not answer now."""
        return not self._link.open

    @property
    def payments(self) -> Payments:
        """All that this process has paid under budgets."""
        return self._link.payments

    def now(self) -> float:
        """Return the counters' time, in seconds since the epoch; this host's own until they have answered."""
        return self._link.now()

    def know(self, meter: Meter, period: int, writers: Mapping[str, int]) -> None:
        """Take what the store's book says about the present period of a budget: nano dollars by writer."""
        self._link.know(meter, period, writers)

    @contextlib.asynccontextmanager
    async def running(self, background: Background, meters: Callable[[], Iterable[Meter]]) -> AsyncIterator[None]:
        """Keep the connection, and this replica alive, while the context is open."""
        self._link.meters = meters
        await self._link.beat()
        async with background.running("quotas.replicas", self._link.keep):
            try:
                yield
            finally:
                await self._link.aclose()

    async def take(self, meters: Sequence[Meter], need: Need) -> Counted | None:
        """Count a request; ``None`` without the counters, if requests go on then.

        Raises ``RateLimited``, or ``Overloaded`` without the counters.
        """
        try:
            async with asyncio.timeout(self._answer_s):
                answer = await self._asked(meters, need)
                for _ in meters:
                    if answer[0] > 0 and answer[1] == UNKNOWN and self._link.seed(meters[answer[0] - 1], answer[2]):
                        answer = await self._asked(meters, need)
            place, reason, number = map(int, answer[:3])
            if place < 0:
                raise CountersAway("they have taken this process for lost")
        except (CountersAway, TimeoutError, TypeError, ValueError, LookupError) as error:
            # Until the next beat: a slow one must not slow every request, and one that refuses is begun with anew.
            await self._link.leave()
            self._without(error)
            return None
        if place == 0:
            return Counted(meters, need, reason, 1)
        meter = meters[place - 1]
        if reason in (UNKNOWN, YOUNG):
            self._without(None)
            return None
        if reason == BUDGET and meter.budget is not None:
            meter.note_refused("budget")
            raise overdraft(meter, meter.budget.usd - int(answer[3]) / NANO, need, self.now())
        meter.note_refused(_REASONS[reason])
        raise RateLimited(
            f"Rate limit reached for {meter.kind} {meter.name!r} over all replicas ({_REASONS[reason]})."
            f" Send it again in {number} s.",
            headers={"retry-after": str(number)},
        )

    async def _asked(self, meters: Sequence[Meter], need: Need) -> list[int]:
        words: list[str | int] = []
        for meter in meters:
            limits, budget = meter.limits, meter.budget
            most = (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrent)
            words += [-1 if limit is None else limit for limit in most]
            words.append(_tokens(meter, need.tokens))
            if budget is None:
                words += ["", -1, need.cost]
            else:
                words += [budget.per, round(budget.usd * NANO) if budget.then == "refuse" else -1, need.cost]
        asked = self._link.count(self._texts.take, meters, words)
        self._link.asking += 1
        try:
            return cast("list[int]", await asyncio.shield(asked))
        except asyncio.CancelledError:
            self._link.asking += 1  # until the answer, which nobody waits for any more
            asked.add_done_callback(functools.partial(self._undo, meters, need))
            raise
        finally:
            self._link.asking -= 1

    def _undo(self, meters: Sequence[Meter], need: Need, asked: "asyncio.Future[list[int]]") -> None:
        """Give back a request that nobody waits for any more."""
        self._link.asking -= 1
        if not asked.cancelled() and asked.exception() is None and asked.result()[0] == 0:
            self.settle(Counted(meters, need, asked.result()[1], 1), 0, 0.0, 0.0)

    def _without(self, error: Exception | None) -> None:
        """Let a request go on, or refuse it: the counters are away, or know too little of the money."""
        self.failures += 1
        if error is not None:
            self._link.note(error)
        if self._fail == "closed":
            raise Overloaded(
                "The counters of limits do not answer: send the request again later.",
                code="counters_unavailable",
                headers={**NO_HEADERS, "retry-after": "1"},
            ) from error

    def hold(self, meters: Sequence[Meter], need: Need) -> Counted:
        """Reserve the money of a request that goes on without the counters' word."""
        counted = Counted(meters, need)
        self._send_settle(counted, [(0, need.cost, "", 0) for _ in meters])
        return counted

    def settle(self, counted: Counted, tokens: int, usd: float, at: float) -> None:
        """Send the true tokens and money of a request; nobody waits for the answer.

        ``at`` is the time of the payment, in seconds since the epoch.
        """
        changes: list[Words] = []
        for meter in counted.meters:
            reserved = 0 if meter.limits.tokens_per_minute is None else _tokens(meter, counted.need.tokens)
            change = 0 if meter.limits.tokens_per_minute is None else tokens - reserved
            if meter.budget is None or not usd:
                changes.append((change, -counted.need.cost, "", 0))
            else:
                self.payments.add(meter.subject, at, usd)
                period = period_at(at, meter.budget.per)
                changes.append((change, -counted.need.cost, period, self.payments.nano(meter.subject, period)))
        self._send_settle(counted, changes)

    def _send_settle(self, counted: Counted, changes: Iterable[Words]) -> None:
        words: list[str | int] = [counted.bucket, counted.requests]
        for change in changes:
            words += change
        with contextlib.suppress(CountersAway):
            self._link.count(self._texts.settle, counted.meters, words)


def replicas_of(url: str | None, fail: Fail, replica: str) -> ReplicaCounts | None:
    """Return the counts over all replicas; ``None`` without an address."""
    return None if url is None else ReplicaCounts(url, replica, fail)


def _tokens(meter: Meter, tokens: int) -> int:
    """Return the tokens to reserve: an estimate beyond the whole limit waits for an empty window."""
    most = meter.limits.tokens_per_minute
    return 0 if most is None else min(tokens, most)
