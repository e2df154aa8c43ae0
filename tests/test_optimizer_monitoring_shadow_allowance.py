"""The calls of a day: never more in any 24 hours, whatever the clock and the process do."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.memory import MemoryStore
from optimizer.monitoring.shadow.allowance import ACCOUNT, HOURS, Account, account_of

DAY_S = HOURS * 3600.0
STEPS = st.lists(st.tuples(st.floats(0, 2 * DAY_S), st.integers(1, 30)), max_size=40)


@given(STEPS)
def test_no_24_hours_hold_more_calls_than_a_day_has(steps: list[tuple[float, int]]) -> None:
    """By the moment of each call, not by the calendar."""
    account, now, made = Account(), 1e9, list[float]()
    for passed, wanted in steps:
        now += passed
        calls = min(wanted, account.left(20, now))
        account = account.with_calls(calls, now)
        made += [now] * calls
        assert sum(now - DAY_S <= moment for moment in made) <= 20


def test_after_a_day_all_calls_are_there_again() -> None:
    """And the hours that are over take no room."""
    account = Account().with_calls(20, 1e9)
    assert account.left(20, 1e9 + DAY_S - 1) == 0
    assert account.left(20, 1e9 + DAY_S + 3600) == 20
    assert len(account.with_calls(1, 1e9 + 9 * DAY_S).calls) == 1


def test_calls_that_were_not_made_are_given_back() -> None:
    """At most those of the hour."""
    assert Account().with_calls(9, 1e9).with_calls(-4, 1e9).left(10, 1e9) == 5
    assert Account().with_calls(-4, 1e9).left(10, 1e9) == 10


def test_a_clock_that_was_put_back_does_not_use_up_the_days_to_come() -> None:
    """What was counted in a future that never was is forgotten."""
    account = Account().with_calls(20, 1e9 + 365 * DAY_S)
    assert account.left(20, 1e9) == 20


def test_totals_add_up_and_the_last_error_stands() -> None:
    """For whoever asks how the comparisons go."""
    account = Account().with_totals({"compared": 2, "refused": 1}, "gone").with_totals({"compared": 1}, "")
    assert account == Account(totals={"compared": 3, "refused": 1})


def test_an_account_comes_back_from_the_store_and_rubbish_is_a_new_one() -> None:
    """Another version may have written it; tasks do not share one."""
    store = MemoryStore()
    account = Account(calls={277_777: 3}, totals={"compared": 3}, wrong="gone")
    ACCOUNT.write(store, account, "a")
    store.put_note(ACCOUNT.key("b"), b"[]")
    assert account_of(store, "a") == account
    assert account_of(store, "b") == account_of(store, "c") == Account()
