"""The budget: reserved before a call, settled after it, never exceeded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Usage
from optimizer.evaluation.budget import BudgetSpent, Ledger, ModelUsage, Stopped


def test_a_settled_call_counts_what_it_used() -> None:
    """Not what it had reserved."""
    ledger = Ledger(budget_calls=2, budget_tokens=1000)
    with ledger.reserve(900) as reservation:
        reservation.settle(Usage(prompt_tokens=20, output_tokens=5))
    assert (ledger.calls, ledger.tokens) == (1, 25)
    with ledger.reserve(900):
        pass


def test_a_call_beyond_the_budget_is_refused_before_it_is_made() -> None:
    """In calls, and in tokens including what calls under way have reserved."""
    ledger = Ledger(budget_calls=1, budget_tokens=100)
    with pytest.raises(BudgetSpent, match="tokens"), ledger.reserve(101):
        pass
    with ledger.reserve(60), pytest.raises(BudgetSpent, match="1 calls"), ledger.reserve(1):
        pass
    ledger = Ledger(budget_calls=9, budget_tokens=100)
    with ledger.reserve(60), pytest.raises(BudgetSpent, match="60 reserved"), ledger.reserve(60):
        pass


def test_a_failed_call_counts_as_a_call_and_frees_its_tokens() -> None:
    """Nobody knows what it cost, so the call is what remains."""
    ledger = Ledger(budget_calls=3, budget_tokens=100)
    with pytest.raises(RuntimeError), ledger.reserve(100):
        raise RuntimeError
    assert (ledger.calls, ledger.tokens) == (1, 0)
    with ledger.reserve(100):
        pass


def test_a_stopped_run_begins_nothing_new() -> None:
    """What is under way settles as ever."""
    ledger = Ledger(budget_calls=9, budget_tokens=100)
    with ledger.reserve(10) as reservation:
        ledger.stop()
        reservation.settle(Usage(output_tokens=3))
    with pytest.raises(Stopped), ledger.reserve(1):
        pass
    assert (ledger.calls, ledger.tokens) == (1, 3)


def test_every_answer_counts_once_for_its_model() -> None:
    """Whether it was paid for now or remembered: what a result needed does not depend on interruptions."""
    ledger = Ledger(budget_calls=9, budget_tokens=100)
    for key in (b"one", b"two", b"one"):
        ledger.note("small", key, Usage(prompt_tokens=5, output_tokens=1))
    ledger.note("large", b"three", Usage(output_tokens=9))
    assert ledger.used == {
        "small": ModelUsage(answers=2, usage=Usage(prompt_tokens=10, output_tokens=2)),
        "large": ModelUsage(answers=1, usage=Usage(output_tokens=9)),
    }


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), max_size=40))
def test_calls_that_keep_to_their_reservation_never_overspend(calls: list[tuple[int, float]]) -> None:
    """Whatever they use of it."""
    ledger = Ledger(budget_calls=20, budget_tokens=300)
    for worst, share in calls:
        try:
            with ledger.reserve(worst) as reservation:
                reservation.settle(Usage(output_tokens=int(worst * share)))
        except BudgetSpent:
            pass
    assert ledger.calls <= 20 and ledger.tokens <= 300
