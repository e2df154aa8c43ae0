"""The count of the last minute: never more than a limit in any 60 seconds, whatever the times."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.quotas.window import BUCKETS, Window, bucket_at, sum_at, wait_s

STEPS = st.lists(st.floats(0, 30), min_size=1, max_size=200)


@given(STEPS, st.integers(1, 20))
def test_no_minute_holds_more_than_the_limit(steps: list[float], limit: int) -> None:
    """Wherever the minute begins."""
    window, now, accepted = Window(), 1000.0, list[float]()
    for step in steps:
        now += step
        window.advance(bucket_at(now))
        if window.requests < limit:
            window.add(bucket_at(now), 1, 0)
            accepted.append(now)
    assert all(sum(begin <= at < begin + 60 for at in accepted) <= limit for begin in accepted)


@given(STEPS)
def test_the_sum_is_that_of_its_buckets(steps: list[float]) -> None:
    """And the same when it is computed for a window that was not moved."""
    window, now = Window(), 1000.0
    for step in steps:
        now += step
        bucket = bucket_at(now)
        ahead = sum_at(window.request_buckets, window.newest, bucket)
        window.advance(bucket)
        assert ahead == window.requests == sum(window.request_buckets)
        assert window.tokens == sum(window.token_buckets) == 10 * ahead
        window.add(bucket, 3, 30)


def test_a_full_window_says_when_a_place_is_free() -> None:
    """When the oldest bucket leaves; for more places the next ones."""
    window = Window()
    for now in (100.0, 112.0):
        window.advance(bucket_at(now))
        window.add(bucket_at(now), 1, 0)
    windows = [(window.request_buckets, window.newest)]
    assert [wait_s(windows, excess, 113.0) for excess in (1, 2, 9)] == [52.0, 62.0, 62.0]


def test_a_clock_that_goes_back_loses_nothing() -> None:
    """Counts of a bucket that is still there are taken, those of one that has left are not."""
    window = Window()
    window.advance(100)
    window.advance(90)
    window.add(99, 1, 0)
    window.add(100 - BUCKETS, 1, 0)
    window.add(101, 1, 0)
    assert (window.newest, window.requests) == (100, 1)
