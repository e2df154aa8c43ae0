"""The bounds of connections: when a wait is over, and what the log says of it."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http_server.limits import QUIET_S, TAKEN_BYTES, ConnectionLimits, Cuts, Reason, WriteProgress
from tests.traffic import Clock

LIMITS = ConnectionLimits(silence_s=10, head_s=20, body_s=30)


@pytest.mark.parametrize(
    ("still_s", "age_s", "in_head", "reason"),
    [
        (0, 0, True, None),
        (9, 19, True, None),
        (10, 10, True, "silent"),
        (0, 20, True, "slow head"),
        (0, 20, False, None),
        (0, 30, False, "slow body"),
        (10, 40, False, "silent"),
    ],
)
def test_a_request_has_a_time_for_its_head_and_a_time_for_all(
    still_s: float, age_s: float, in_head: bool, reason: Reason | None
) -> None:
    """And silence ends it sooner."""
    assert LIMITS.too_slow(still_s, age_s, in_head=in_head) == reason


@given(st.floats(0.1, 1000), st.floats(0.1, 1000), st.floats(0.1, 1000))
def test_a_look_comes_twice_within_every_bound(silence_s: float, head_s: float, write_s: float) -> None:
    """So that a connection is cut half a bound late at most."""
    limits = ConnectionLimits(silence_s=silence_s, head_s=head_s, write_s=write_s)
    assert limits.look_s <= min(silence_s, head_s, write_s, limits.body_s, limits.kept_s) / 2


def test_a_client_that_takes_its_share_is_no_slow_reader() -> None:
    """``TAKEN_BYTES`` in time, or all that waits."""
    progress = WriteProgress(0.0)
    progress.written = 10 * TAKEN_BYTES
    assert not progress.stalled(9 * TAKEN_BYTES, 10, 30)
    assert not progress.stalled(9 * TAKEN_BYTES, 39, 30)
    assert progress.stalled(9 * TAKEN_BYTES, 40, 30)
    assert not progress.stalled(0, 41, 30)


def test_a_trickle_is_not_progress() -> None:
    """A byte now and then would keep an answer waiting for days."""
    progress = WriteProgress(0.0)
    progress.written = 10 * TAKEN_BYTES
    assert [progress.stalled(10 * TAKEN_BYTES - at, at, 30) for at in (0, 15, 30)] == [False, False, True]


def test_a_client_with_nothing_to_take_is_never_late() -> None:
    """The time begins with the answer, not with the connection."""
    progress = WriteProgress(0.0)
    assert not progress.stalled(0, 1000, 30)
    progress.written = TAKEN_BYTES
    assert not progress.stalled(TAKEN_BYTES, 1029, 30)


def test_many_cuts_are_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An attacker must not fill the disk; every cut is counted all the same."""
    clock = Clock(0.0)
    observed: list[Reason] = []
    cuts = Cuts(observed.append, clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            cuts.note("slow head")
        clock.now += QUIET_S
        cuts.note("slow reader")
    assert len(observed) == 1001
    assert [record.message for record in caplog.records] == [
        "connections cut: 1 slow head", "connections cut: 999 slow head, 1 slow reader",
    ]  # fmt: skip
