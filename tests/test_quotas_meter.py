"""The counts of a subject: exact, also over workers, and even at the end."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.quotas import cells
from gateway.quotas.cells import Cells
from gateway.quotas.meter import NANO, Meter, Need, Reason, resets_s
from gateway.settings.quotas import Budget, Limits

ONE = Need(bucket=100)


def meter(limits: Limits | None = None, budget: Budget | None = None) -> Meter:
    made = Meter("key", "team")
    made.limits, made.budget = limits or Limits(), budget
    return made


def outcomes(made: Meter, asks: Sequence[Need]) -> list[Reason | None]:
    return [made.take(ask) for ask in asks]


def test_requests_are_counted_when_they_begin() -> None:
    """The end of one frees nothing."""
    made = meter(Limits(requests_per_minute=2))
    assert outcomes(made, [ONE, ONE, ONE]) == [None, None, "requests"]
    made.settle(ONE, 5, 0)
    assert made.take(ONE) == "requests"
    assert made.take(Need(bucket=113)) is None, "a minute later there is room"
    assert made.refused == {"requests": 2}


def test_a_place_among_those_under_way_is_free_again() -> None:
    """Once one has settled."""
    made = meter(Limits(concurrent=1))
    assert outcomes(made, [ONE, ONE]) == [None, "concurrent"]
    made.settle(ONE, 0, 0)
    assert made.take(ONE) is None


def test_tokens_are_reserved_and_then_counted() -> None:
    """What was reserved too much is free; what was too little is owed."""
    made = meter(Limits(tokens_per_minute=100))
    asked = Need(bucket=100, tokens=60)
    assert outcomes(made, [asked, asked]) == [None, "tokens"]
    made.settle(asked, 20, 0)
    assert made.take(asked) is None
    made.settle(asked, 500, 0)
    assert made.take(Need(bucket=100, tokens=1)) == "tokens"
    assert made.remaining(100) == (None, 0)


def test_an_estimate_beyond_the_limit_waits_for_an_empty_window() -> None:
    """It is no reason to refuse a request for ever."""
    made, huge = meter(Limits(tokens_per_minute=100)), Need(bucket=100, tokens=10**6)
    assert outcomes(made, [huge, huge]) == [None, "tokens"]
    made.settle(huge, 40, 0)
    assert made.remaining(100) == (None, 60)


def test_money_is_reserved_and_then_spent() -> None:
    """A new period begins with nothing spent, and keeps what is under way."""
    made = meter(budget=Budget(usd=1.0))
    assert made.begin_period(202701) and not made.begin_period(202701)
    asked = Need(bucket=100, cost=NANO * 6 // 10)
    assert outcomes(made, [asked, asked]) == [None, "budget"]
    made.settle(asked, 0, NANO * 9 // 10)
    assert (made.take(asked), round(made.money_left(), 6)) == ("budget", 0.1)
    small = Need(bucket=100, cost=NANO // 10)
    assert made.take(small) is None
    assert made.begin_period(202702)
    assert (made.spent, made.reserved) == (0, NANO // 10)


def test_a_budget_that_only_warns_refuses_nobody() -> None:
    """The money is counted all the same."""
    made = meter(budget=Budget(usd=1.0, then="warn"))
    asked = Need(bucket=100, cost=2 * NANO)
    assert outcomes(made, [asked, asked]) == [None, None]
    made.settle(asked, 0, 3 * NANO)
    assert made.spent == 3 * NANO


def test_a_refused_request_is_told_when_to_come_back() -> None:
    """For tokens, when enough of them have left."""
    made = meter(Limits(tokens_per_minute=100, requests_per_minute=2))
    assert outcomes(made, [Need(bucket=100, tokens=30), Need(bucket=102, tokens=70)]) == [None, None]
    now = 102 * 5 + 1.0
    assert made.wait_s("tokens", Need(bucket=102, tokens=30), now) == 54.0
    assert made.wait_s("tokens", Need(bucket=102, tokens=31), now) == 64.0
    assert made.wait_s("requests", ONE, now) == 54.0
    assert resets_s(now) == 64.0


Step = tuple[int, int, int, int]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 90), st.integers(0, 90)), max_size=80
)


def test_workers_together_keep_a_limit(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever is asked, in whatever order: never more than the limit, and nothing is reserved at the end."""

    @given(STEPS)
    def holds(steps: list[Step]) -> None:
        folder = tmp_path_factory.mktemp("cells")
        limits = Limits(requests_per_minute=9, tokens_per_minute=200, concurrent=4)
        workers = []
        for number in range(3):
            shared = Cells(folder, number, 3)
            workers.append(Meter("key", "team", shared.own("t"), shared.peers("t")))
            workers[-1].limits, workers[-1].budget = limits, Budget(usd=1.0)
        bucket = 100
        open_: list[tuple[Meter, Need]] = []
        begun: list[int] = []
        for worker, later, tokens, used in steps:
            bucket += later
            asked = Need(bucket=bucket, tokens=tokens, cost=tokens * NANO // 300)
            if workers[worker].take(asked) is None:
                open_.append((workers[worker], asked))
                begun.append(bucket)
            elif open_:
                done, settled = open_.pop(0)
                done.settle(settled, min(used, settled.tokens), min(used, settled.tokens) * NANO // 300)
            assert len(open_) <= 4
            assert sum(bucket - 12 <= at <= bucket for at in begun) <= 9
            assert sum(made.spent + made.reserved for made in workers) <= NANO
        for done, settled in open_:
            done.settle(settled, 0, 0)
        assert all(made.in_flight == made.reserved == 0 for made in workers)

    holds()


def test_a_worker_goes_on_with_the_counts_of_the_killed(tmp_path: Path) -> None:
    """Its window and its money; what was under way is given back, and its peers see that."""
    first, second = Cells(tmp_path, 0, 2), Cells(tmp_path, 1, 2)
    killed, peer = (Meter("key", "t", shared.own("t"), shared.peers("t")) for shared in (first, second))
    for made in (killed, peer):
        made.limits = Limits(requests_per_minute=3, concurrent=2)
        made.begin_period(5)
    assert outcomes(killed, [ONE, ONE]) == [None, None]
    killed.spent = 7
    killed.take_stored(90, 3)
    assert peer.take(ONE) == "concurrent"
    shared = Cells(tmp_path, 0, 2)
    again = Meter("key", "t", shared.own("t"), shared.peers("t"))
    assert (again.spent, again.stored, again.in_flight, again.period) == (4, 90, 0, 5)
    assert outcomes(peer, [ONE, ONE]) == [None, "requests"]
    own = first.own("t")
    assert own is not None and own[cells.REQUESTS] == 2
