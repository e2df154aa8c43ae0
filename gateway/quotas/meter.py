"""The counts of a subject, a key, a task or an upstream, against its limits and its budget.

Adds first and looks afterwards: of two workers with a request at once, neither overlooks the other, and all workers
together never exceed a limit. Both may be refused for the last place. For a single event loop; nothing waits.
"""

from typing import Literal

from gateway.domain import Value
from gateway.quotas import cells
from gateway.quotas.cells import Cell, Peers
from gateway.quotas.window import BUCKET_S, BUCKETS, Window, bucket_at, sum_at, wait_s
from gateway.settings.quotas import NO_LIMITS, Budget

Kind = Literal["key", "task", "upstream"]
Reason = Literal["requests", "tokens", "concurrent", "budget"]

NANO = 10**9
"""Nano dollars in a dollar; money is counted in whole ones."""


class Need(Value, frozen=True):
    """The needs of a request, as reserved."""

    bucket: int
    """Number of the bucket of the window in which it began."""
    tokens: int = 0
    cost: int = 0
    """Nano dollars."""


class Meter:
    """The counts of a subject. ``own`` and ``peers`` are memory shared with other workers.

    ``period`` is the number of the day or month of the money. ``stored`` is the money that the store knows of, from
    every process; ``spent`` is this one's since then.
    """

    __slots__ = (
        "_own", "_peers", "_window", "budget", "in_flight", "kind", "limits", "name", "period",
        "refused", "reserved", "spent", "stored", "warned",
    )  # fmt: skip

    def __init__(self, kind: Kind, name: str, own: Cell | None = None, peers: Peers | None = None) -> None:
        self.kind, self.name = kind, name
        self.limits = NO_LIMITS
        self.budget: Budget | None = None
        self.in_flight = 0
        self.period = 0
        self.spent = 0
        self.stored = 0
        self.reserved = 0
        self.refused: dict[Reason, int] = {}
        self.warned = 0
        """The period in which an empty budget was warned of."""
        self._window = Window()
        self._own, self._peers = own, peers
        if own is not None:
            self._take_over(own)

    @property
    def subject(self) -> str:
        """The kind and the name, such as ``key team``."""
        return f"{self.kind} {self.name}"

    @property
    def weighs(self) -> bool:
        """The tokens or the money of a request matter."""
        return self.limits.tokens_per_minute is not None or self.budget is not None

    def take(self, ask: Need, *, refuse_money: bool = True) -> Reason | None:
        """Count a request, or return the reason for refusing it; then nothing is counted.

        Without ``refuse_money``, somebody else decides about the budget.
        """
        limits, bucket, window = self.limits, ask.bucket, self._window
        if bucket > window.newest:
            window.advance(bucket)
        self.in_flight += 1
        most = limits.tokens_per_minute
        # An estimate beyond the whole limit waits for an empty window; it is no reason to refuse for ever.
        window.add(bucket, 1, 0 if most is None else min(ask.tokens, most))
        self.reserved += ask.cost
        if self._own is not None:
            self._publish(self._own, bucket)
        others = _NOBODY if self._peers is None else self._others(bucket)
        reason: Reason | None = None
        if limits.concurrent is not None and self.in_flight + others[2] > limits.concurrent:
            reason = "concurrent"
        elif limits.requests_per_minute is not None and window.requests + others[0] > limits.requests_per_minute:
            reason = "requests"
        elif most is not None and window.tokens + others[1] > most:
            reason = "tokens"
        elif refuse_money and self._overdrawn(others):
            reason = "budget"
        if reason is not None:
            self.give_back(ask)
            self.note_refused(reason)
        return reason

    def note_refused(self, reason: Reason) -> None:
        """Count a refused request."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def give_back(self, ask: Need) -> None:
        """Undo ``take``, as if the request had never come."""
        self._window.add(ask.bucket, -1, 0)
        self.settle(ask, 0, 0)

    def settle(self, ask: Need, tokens: int, cost: int) -> None:
        """Put the true tokens and cost of a request in the place of its reservation."""
        most = self.limits.tokens_per_minute
        if most is not None:
            self._window.add(ask.bucket, 0, tokens - min(ask.tokens, most))
        self.in_flight -= 1
        self.reserved -= ask.cost
        self.spent += cost
        if self._own is not None:
            self._publish(self._own, ask.bucket)

    def take_stored(self, stored: int, of_mine: int) -> None:
        """Take the store's total, in which ``of_mine`` of what was spent here is included by now."""
        self.stored = max(self.stored, stored)
        if self._own is not None:
            self._own[cells.STORED] = self.stored  # first: a moment of counting twice is better than one of forgetting
        self.spent = max(0, self.spent - of_mine)
        if self._own is not None:
            self._own[cells.SPENT] = self.spent

    def begin_period(self, period: int) -> bool:
        """Begin a day or a month with nothing spent; ``False`` if it has begun already."""
        if period == self.period:
            return False
        self.period, self.spent, self.stored = period, 0, 0
        if self._own is not None:
            self._own[cells.SPENT] = self._own[cells.STORED] = 0
            self._own[cells.PERIOD] = period
        return True

    def remaining(self, bucket: int) -> tuple[int | None, int | None]:
        """Return the rest of the limits on requests and on tokens; ``None`` without a limit."""
        others = _NOBODY if self._peers is None else self._others(bucket)
        requests, tokens = self.limits.requests_per_minute, self.limits.tokens_per_minute
        return (
            None if requests is None else max(0, requests - self._window.requests - others[0]),
            None if tokens is None else max(0, tokens - self._window.tokens - others[1]),
        )

    def money_left(self) -> float:
        """Return the dollars left of the budget, those reserved left out."""
        assert self.budget is not None, "asked of a subject with a budget"
        return self.budget.usd - self.money_used() / NANO

    def money_used(self) -> int:
        """Return the money spent and reserved by all."""
        return self._used(_NOBODY if self._peers is None else self._others(self._window.newest))

    @property
    def overdrawn(self) -> bool:
        """More money is spent and reserved than the budget allows."""
        return self._overdrawn(_NOBODY if self._peers is None else self._others(self._window.newest))

    def _overdrawn(self, others: "_Others") -> bool:
        budget = self.budget
        return budget is not None and budget.then == "refuse" and self._used(others) > budget.usd * NANO

    def _used(self, others: "_Others") -> int:
        return self.spent + self.reserved + others[3] + max(self.stored, others[4])

    def wait_s(self, reason: Reason, ask: Need, now: float) -> float:
        """Return the seconds until a request refused for its rate may be sent again."""
        limit = self.limits.requests_per_minute if reason == "requests" else self.limits.tokens_per_minute
        assert limit is not None, "no request is refused without a limit"
        window = self._window
        mine = window.request_buckets if reason == "requests" else window.token_buckets
        at = cells.REQUESTS_AT if reason == "requests" else cells.TOKENS_AT
        others = self._peers.look() if self._peers is not None else ()
        windows = [
            (mine, window.newest),
            *((cell[at : at + BUCKETS].tolist(), cell[cells.NEWEST]) for cell in others),
        ]
        need = 1 if reason == "requests" else min(ask.tokens, limit)
        held = sum(sum_at(buckets, newest, bucket_at(now)) for buckets, newest in windows)
        return wait_s(windows, held + need - limit, now)

    def _take_over(self, own: Cell) -> None:
        """Go on from the counts of an earlier process."""
        self.period, self.spent, self.stored = own[cells.PERIOD], own[cells.SPENT], own[cells.STORED]
        window = self._window
        window.newest = own[cells.NEWEST]
        window.request_buckets = own[cells.REQUESTS_AT : cells.REQUESTS_AT + BUCKETS].tolist()
        window.token_buckets = own[cells.TOKENS_AT : cells.TOKENS_AT + BUCKETS].tolist()
        window.requests, window.tokens = sum(window.request_buckets), sum(window.token_buckets)

    def _publish(self, own: Cell, bucket: int) -> None:
        """Show the counts to the other workers: the buckets before the number of the newest."""
        window, place = self._window, bucket % BUCKETS
        if own[cells.NEWEST] != window.newest:
            for number in range(BUCKETS):
                own[cells.REQUESTS_AT + number] = window.request_buckets[number]
                own[cells.TOKENS_AT + number] = window.token_buckets[number]
            own[cells.NEWEST] = window.newest
        own[cells.REQUESTS_AT + place] = window.request_buckets[place]
        own[cells.TOKENS_AT + place] = window.token_buckets[place]
        own[cells.REQUESTS] = window.requests
        own[cells.TOKENS] = window.tokens
        own[cells.IN_FLIGHT] = self.in_flight
        own[cells.SPENT] = self.spent
        own[cells.RESERVED] = self.reserved

    def _others(self, bucket: int) -> "_Others":
        """Return requests, tokens, requests under way, money and stored money of the other workers."""
        assert self._peers is not None, "asked only where there are workers"
        requests = tokens = in_flight = money = stored = 0
        for cell in self._peers.look():
            if cell[cells.NEWEST] >= bucket:
                requests += cell[cells.REQUESTS]
                tokens += cell[cells.TOKENS]
            else:
                newest = cell[cells.NEWEST]
                requests += sum_at(cell[cells.REQUESTS_AT : cells.REQUESTS_AT + BUCKETS].tolist(), newest, bucket)
                tokens += sum_at(cell[cells.TOKENS_AT : cells.TOKENS_AT + BUCKETS].tolist(), newest, bucket)
            in_flight += cell[cells.IN_FLIGHT]
            money += cell[cells.RESERVED]
            if cell[cells.PERIOD] == self.period:
                # In this order: between the two, the other worker may count money as stored.
                money += cell[cells.SPENT]
                stored = max(stored, cell[cells.STORED])
        return requests, tokens, in_flight, money, stored


_Others = tuple[int, int, int, int, int]
_NOBODY: _Others = (0, 0, 0, 0, 0)


def resets_s(now: float) -> float:
    """Return the seconds until a window with a count of now is empty again."""
    return (bucket_at(now) + BUCKETS) * BUCKET_S - now
