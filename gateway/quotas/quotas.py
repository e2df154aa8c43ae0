"""All limits and budgets of a gateway: a request claims its place here, and settles when it ends."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.quotas.cells import Cells
from gateway.quotas.meter import NANO, Kind, Meter, Need
from gateway.quotas.periods import end_of_period, period_at
from gateway.quotas.refusals import Headers, about, overdraft, refusal
from gateway.quotas.replicas import Counted, ReplicaCounts
from gateway.quotas.window import bucket_at
from gateway.settings import Settings
from gateway.settings.quotas import NO_LIMITS, Budget, Limits

log = logging.getLogger(__name__)

Subject = tuple[Kind, str]


class Claim:
    """A request's place under its limits, until it settles."""

    __slots__ = ("_ask", "_clock", "_counted", "_meters", "_replicas")

    def __init__(self, meters: Sequence[Meter], ask: Need, clock: Callable[[], float]) -> None:
        self._meters, self._ask, self._clock = meters, ask, clock
        self._replicas: ReplicaCounts | None = None
        self._counted: Counted | None = None

    async def confirm(self, replicas: ReplicaCounts) -> None:
        """Count the request over all replicas, too. Raises ``RateLimited`` or ``Overloaded``; then nothing is held.

        Of a claim made without ``refuse_money``: the budgets are looked at here, without the counters by this process.
        """
        self._replicas = replicas
        try:
            self._counted = await replicas.take(self._meters, self._ask)
            if self._counted is None:
                self._check_money(replicas.now())
                self._counted = replicas.hold(self._meters, self._ask)
        except BaseException:
            held, self._meters = self._meters, ()
            for meter in held:
                meter.give_back(self._ask)
            raise

    def _check_money(self, wall: float) -> None:
        for meter in self._meters:
            if meter.overdrawn:
                meter.note_refused("budget")
                raise overdraft(meter, meter.money_left() + self._ask.cost / NANO, self._ask, wall)

    def settle(self, tokens: int, cost_usd: float | None, at: float = 0.0) -> None:
        """Put the true use in the place of the reservation; a second call changes nothing.

        ``at`` is the time of a payment, in seconds since the epoch.
        """
        meters, self._meters = self._meters, ()
        cost = round((cost_usd or 0.0) * NANO)
        for meter in meters:
            meter.settle(self._ask, tokens, cost)
        if self._replicas is not None and self._counted is not None and meters:
            self._replicas.settle(self._counted, tokens, cost_usd or 0.0, at)

    def headers(self) -> Headers:
        """Return the headers about the first limit on requests or tokens: the key's, else the task's."""
        for meter in self._meters:
            if meter.limits is not NO_LIMITS:
                now = self._clock()
                return about(meter, bucket_at(now), now)
        return ()


class Quotas(Collector):
    """The meters of every limited subject. False without any. For a single event loop; no method waits.

    ``clock`` is monotonic, the same for all workers; ``wall_clock`` since the epoch; both in seconds.
    """

    def __init__(self, clock: Callable[[], float], wall_clock: Callable[[], float], cells: Cells | None = None) -> None:
        self._clock, self._wall_clock, self._cells = clock, wall_clock, cells
        self._meters: dict[Subject, Meter] = {}
        self._kept: dict[Subject, Meter] = {}
        self._period_ends = 0.0

    def __bool__(self) -> bool:
        return bool(self._meters)

    @property
    def reports_money(self) -> bool:
        """This process reports the money of all workers."""
        return self._cells is None or self._cells.first

    @property
    def meters(self) -> Iterable[Meter]:
        """Every meter in effect."""
        return self._meters.values()

    def configure(self, subjects: Mapping[Subject, tuple[Limits, Budget | None]]) -> None:
        """Put limits and budgets into effect; the counts of a subject outlive a change of its limits."""
        self._meters = {}
        for subject, (limits, budget) in subjects.items():
            meter = self._kept.get(subject)
            if meter is None:
                meter = self._kept[subject] = self._made(*subject)
            meter.limits, meter.budget = limits, budget
            self._meters[subject] = meter
        self._period_ends = 0.0

    def _made(self, kind: Kind, name: str) -> Meter:
        if self._cells is None:
            return Meter(kind, name)
        own = self._cells.own(f"{kind} {name}")
        if own is None:
            log.warning("too many limits: those of %s %r hold per worker", kind, name, extra={"action": "quotas.full"})
        return Meter(kind, name, own, self._cells.peers(f"{kind} {name}"))

    def of(self, key: str | None, task: str | None) -> Sequence[Meter]:
        """Return the meters of a request."""
        meters = self._meters
        mine = meters.get(("key", key)) if key is not None else None
        its = meters.get(("task", task)) if task is not None else None
        if mine is None:
            return () if its is None else (its,)
        return (mine,) if its is None else (mine, its)

    def upstream(self, name: str) -> Sequence[Meter]:
        """Return the meter of an upstream, if it is limited."""
        meter = self._meters.get(("upstream", name))
        return () if meter is None else (meter,)

    def claim(
        self, meters: Sequence[Meter], tokens: int = 0, cost_usd: float | None = None, *, refuse_money: bool = True
    ) -> Claim:
        """Reserve tokens and money. Raises ``RateLimited``; then nothing is reserved.

        Without ``refuse_money``, ``Claim.confirm`` decides about the budgets.
        """
        now, wall = self._clock(), self._wall_clock()
        if wall >= self._period_ends:
            self.begin_periods(wall)
        ask = Need(bucket=bucket_at(now), tokens=tokens, cost=round((cost_usd or 0.0) * NANO))
        for place, meter in enumerate(meters):
            reason = meter.take(ask, refuse_money=refuse_money)
            if reason is not None:
                for taken in meters[:place]:
                    taken.give_back(ask)
                raise refusal(meter, reason, ask, now, wall)
        return Claim(meters, ask, self._clock)

    def begin_periods(self, wall: float) -> None:
        """Let new days and months begin with nothing spent."""
        for meter in self._meters.values():
            if meter.budget is not None:
                meter.begin_period(period_at(wall, meter.budget.per))
        self._period_ends = end_of_period(wall, "day")

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all limits."""
        refused = CounterMetricFamily(
            "preceptor_quota_refused", "Requests refused by a limit or a budget.", labels=["kind", "name", "reason"]
        )
        in_flight = GaugeMetricFamily(
            "preceptor_quota_in_flight", "Requests under way of what is limited.", labels=["kind", "name"]
        )
        spent = GaugeMetricFamily(
            "preceptor_budget_spent_usd",
            "US dollars spent or reserved in the budget's period.",
            labels=["kind", "name"],
        )
        reserved = GaugeMetricFamily(
            "preceptor_budget_reserved_usd", "US dollars reserved by requests under way.", labels=["kind", "name"]
        )
        for (kind, name), meter in self._meters.items():
            in_flight.add_metric((kind, name), meter.in_flight)
            for reason, count in meter.refused.items():
                refused.add_metric((kind, name, reason), count)
            if meter.budget is not None:
                spent.add_metric((kind, name), meter.money_used() / NANO if self.reports_money else 0.0)
                reserved.add_metric((kind, name), meter.reserved / NANO)
        yield from (refused, in_flight, spent, reserved)


def limited_subjects(
    settings: Settings, keys: Mapping[str, tuple[Limits, Budget | None]]
) -> dict[Subject, tuple[Limits, Budget | None]]:
    """Return every subject with a limit or a budget: of keys, of the tasks and the upstreams of a configuration."""
    subjects: dict[Subject, tuple[Limits, Budget | None]] = {("key", name): given for name, given in keys.items()}
    for name, task in settings.tasks.items():
        subjects["task", name] = task.limits, task.budget
    for name, upstream in settings.upstreams.items():
        subjects["upstream", name] = upstream.limits, None
    return {subject: given for subject, given in subjects.items() if given[0].any or given[1] is not None}
