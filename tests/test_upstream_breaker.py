"""The breaker: its states one by one, then any sequence of calls against what must hold in all of them."""

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gateway.upstream.breaker import LONGEST_REST_S, Breaker, Change

FAILURES = 3
REST_S = 5.0


class Scene:
    """A breaker with a clock that is moved by hand; ``changes`` is what it told."""

    def __init__(self, rest_s: float = REST_S) -> None:
        self.now = 100.0
        self.changes: list[Change] = []
        self.breaker = Breaker(failures=FAILURES, rest_s=rest_s, clock=lambda: self.now, changed=self.changes.append)

    def admitted(self) -> int:
        ticket = self.breaker.admit()
        assert ticket is not None
        return ticket

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.admitted())

    def opened(self) -> "Scene":
        self.fail(FAILURES)
        return self


def test_failures_in_a_row_open_it() -> None:
    """One fewer than the limit changes nothing; the last one does, and is told once."""
    scene = Scene()
    scene.fail(FAILURES - 1)
    assert scene.breaker.closed and scene.changes == []
    scene.fail()
    assert not scene.breaker.closed and scene.breaker.admit() is None
    assert scene.changes == ["resting"] and scene.breaker.failures == FAILURES


def test_a_success_in_between_starts_the_count_anew() -> None:
    """An upstream that fails now and then is used on."""
    scene = Scene()
    for _ in range(5):
        scene.fail(FAILURES - 1)
        scene.breaker.succeeded(scene.admitted())
    assert scene.breaker.closed and scene.changes == []


def test_after_the_rest_one_call_is_let_through() -> None:
    """Nobody before the rest is over, then the probe, and nobody beside it."""
    scene = Scene().opened()
    scene.now += REST_S - 0.001
    assert scene.breaker.admit() is None and scene.breaker.rest_left_s > 0
    scene.now += 0.001
    assert scene.breaker.rest_left_s == 0
    assert scene.breaker.admit() is not None
    assert scene.breaker.admit() is None and scene.breaker.rest_left_s == REST_S


def test_a_probe_that_succeeds_closes_it() -> None:
    """Everybody is admitted again, the count is zero, and it is told."""
    scene = Scene().opened()
    scene.now += REST_S
    scene.breaker.succeeded(scene.admitted())
    assert scene.breaker.closed and scene.breaker.failures == 0 and scene.breaker.rest_left_s == 0
    assert scene.changes == ["resting", "recovered"]
    assert scene.breaker.admit() is not None and scene.breaker.admit() is not None


def test_a_probe_that_fails_doubles_the_rest_up_to_a_minute() -> None:
    """One failure is enough, and each rest is twice the last."""
    scene = Scene().opened()
    rests = []
    for _ in range(6):
        scene.now += scene.breaker.rest_left_s
        scene.fail()
        rests.append(scene.breaker.rest_left_s)
    assert rests == [10, 20, 40, LONGEST_REST_S, LONGEST_REST_S, LONGEST_REST_S]
    assert scene.changes == ["resting"] * 7


def test_after_a_recovery_the_first_rest_is_short_again() -> None:
    """The doubling belongs to one outage."""
    scene = Scene().opened()
    scene.now += REST_S
    scene.fail()
    scene.now += 2 * REST_S
    scene.breaker.succeeded(scene.admitted())
    scene.fail(FAILURES)
    assert scene.breaker.rest_left_s == REST_S


def test_a_rest_longer_than_a_minute_is_kept() -> None:
    """The limit is on the doubling, not on the setting."""
    scene = Scene(rest_s=300.0).opened()
    scene.now += 300
    scene.fail()
    assert scene.breaker.rest_left_s == 300


def test_a_probe_that_was_abandoned_hands_its_place_on_at_once() -> None:
    """A client that hung up says nothing about the upstream, and must not cost another rest."""
    scene = Scene().opened()
    scene.now += REST_S
    scene.breaker.abandoned(scene.admitted())
    assert scene.breaker.rest_left_s == 0 and scene.breaker.admit() is not None


def test_a_probe_without_an_end_does_not_wedge_it() -> None:
    """Another one is let through after a rest, and either of the two may close it."""
    scene = Scene().opened()
    scene.now += REST_S
    slow = scene.admitted()
    scene.now += REST_S
    assert scene.breaker.admit() is not None and scene.breaker.admit() is None
    scene.breaker.succeeded(slow)
    assert scene.breaker.closed


def test_what_was_sent_before_it_opened_does_not_count_any_more() -> None:
    """A late success does not end the rest, a late failure does not prolong it, nor a hang-up cut it short."""
    scene = Scene()
    late = [scene.admitted() for _ in range(3)]
    scene.opened()
    scene.breaker.succeeded(late[0])
    scene.breaker.failed(late[1])
    scene.breaker.abandoned(late[2])
    assert not scene.breaker.closed and scene.breaker.rest_left_s == REST_S
    assert scene.changes == ["resting"]


def test_an_abandoned_call_is_neither_failure_nor_success() -> None:
    """Clients that hang up neither open the breaker nor keep it closed."""
    scene = Scene()
    scene.fail(FAILURES - 1)
    scene.breaker.abandoned(scene.admitted())
    assert scene.breaker.failures == FAILURES - 1 and scene.breaker.closed


class AnySequence(RuleBasedStateMachine):
    """Calls that are admitted and end in any order, while time passes, beside the plainest account of them."""

    calls = Bundle[int]("calls")

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.opened_at: float | None = None
        self.admitted_at: list[float] = []
        """Since it opened last."""

    @rule(target=calls)
    def ask(self) -> int:
        was_open, left = not self.scene.breaker.closed, self.scene.breaker.rest_left_s
        ticket = self.scene.breaker.admit()
        assert (ticket is None) == (left > 0), "admitted exactly when no rest is left"
        if was_open and ticket is not None:
            self.admitted_at.append(self.scene.now)
        return -1 if ticket is None else ticket

    @rule(ticket=consumes(calls))
    def succeed(self, ticket: int) -> None:
        self.scene.breaker.succeeded(ticket)

    @rule(ticket=consumes(calls))
    def fail(self, ticket: int) -> None:
        before = len(self.scene.changes)
        self.scene.breaker.failed(ticket)
        if len(self.scene.changes) > before:
            self.opened_at = self.scene.now
            self.admitted_at = []

    @rule(ticket=consumes(calls))
    def abandon(self, ticket: int) -> None:
        probe = not self.scene.breaker.closed
        self.scene.breaker.abandoned(ticket)
        if probe and self.scene.breaker.rest_left_s == 0:
            self.admitted_at = []

    @rule(seconds=st.floats(0.5, 2 * LONGEST_REST_S))
    def pass_time(self, seconds: float) -> None:
        self.scene.now += seconds

    @invariant()
    def a_rest_is_as_long_as_promised(self) -> None:
        assert 0 <= self.scene.breaker.rest_left_s <= LONGEST_REST_S
        if self.scene.breaker.closed:
            assert self.scene.breaker.rest_left_s == 0 and self.scene.breaker.failures < FAILURES

    @invariant()
    def probes_come_one_by_one(self) -> None:
        """Nobody within a rest of the opening, and no two probes within a rest of each other."""
        if self.scene.breaker.closed:
            return
        assert self.opened_at is not None
        times = [self.opened_at, *self.admitted_at]
        assert all(later - earlier > REST_S - 1e-9 for earlier, later in itertools.pairwise(times)), times

    @invariant()
    def changes_are_told_truly(self) -> None:
        last = self.scene.changes[-1] if self.scene.changes else "recovered"
        assert (last == "recovered") is self.scene.breaker.closed
        told = self.scene.changes
        assert all(told[i - 1] == "resting" for i, change in enumerate(told) if change == "recovered")


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
