"""Requests and tokens of the last minute, in buckets of five seconds. Pure: a time is the number of its bucket.

A count leaves the window with its whole bucket, after 60 to 65 seconds: no 60 seconds ever hold more than the limit.
"""

from collections.abc import Sequence

BUCKET_S = 5.0
BUCKETS = 13


def bucket_at(now: float) -> int:
    """Return the number of the bucket at a time in seconds."""
    return int(now // BUCKET_S)


class Window:
    """Requests and tokens by bucket, and their sums."""

    __slots__ = ("newest", "request_buckets", "requests", "token_buckets", "tokens")

    def __init__(self) -> None:
        self.request_buckets, self.token_buckets = [0] * BUCKETS, [0] * BUCKETS
        self.newest = self.requests = self.tokens = 0

    def advance(self, bucket: int) -> None:
        """Let the window end with a bucket; older counts leave. A clock that goes back changes nothing."""
        gap = bucket - self.newest
        if gap <= 0:
            return
        for number in range(self.newest + 1, self.newest + 1 + min(gap, BUCKETS)):
            place = number % BUCKETS if gap < BUCKETS else (number - self.newest - 1)
            self.requests -= self.request_buckets[place]
            self.tokens -= self.token_buckets[place]
            self.request_buckets[place] = self.token_buckets[place] = 0
        self.newest = bucket

    def add(self, bucket: int, requests: int, tokens: int) -> None:
        """Count in a bucket; nothing happens for a bucket outside the window."""
        if self.newest - BUCKETS < bucket <= self.newest:
            place = bucket % BUCKETS
            self.request_buckets[place] += requests
            self.token_buckets[place] += tokens
            self.requests += requests
            self.tokens += tokens


def sum_at(buckets: Sequence[int], newest: int, bucket: int) -> int:
    """Return the sum of a window at the time of a later bucket."""
    gap = bucket - newest
    if gap <= 0:
        return sum(buckets)
    return sum(buckets[number % BUCKETS] for number in range(newest - BUCKETS + 1 + gap, newest + 1))


def wait_s(windows: Sequence[tuple[Sequence[int], int]], excess: int, now: float) -> float:
    """Return the seconds until windows, each with its newest bucket, have lost an excess: at most 65."""
    current = bucket_at(now)
    for later in range(current + 1, current + BUCKETS + 1):
        left = sum(sum_at(buckets, newest, later) for buckets, newest in windows)
        if sum(sum_at(buckets, newest, current) for buckets, newest in windows) - left >= excess:
            return later * BUCKET_S - now
    return (current + BUCKETS) * BUCKET_S - now
