"""The phase of a gateway, as load balancers are told."""

import pytest

from gateway.presence import Presence, State


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("loads", "phases"),
    [
        ((False,), ("serving",)),
        ((True, True, False), ("starting", "starting", "serving")),
        ((True, False, True), ("starting", "serving", "serving")),
    ],
)
def test_a_model_that_loads_counts_until_all_were_there_once(loads: list[bool], phases: list[State]) -> None:
    """A model that ends later takes nobody out of a load balancer: others may serve."""
    presence = Presence()
    assert [presence.asked(loads=each) for each in loads] == list(phases)


def test_leaving_is_said_whatever_else_is_true() -> None:
    """Also by a gateway that never came to serve."""
    presence = Presence()
    presence.leaving = True
    assert presence.asked(loads=True) == presence.asked(loads=False) == "leaving"


def test_somebody_who_asked_in_the_last_minute_watches() -> None:
    """Nobody needs to wait for a load balancer that is not there."""
    clock = Clock()
    presence = Presence(clock)
    assert not presence.watched
    presence.asked(loads=False)
    clock.now += 59
    assert presence.watched
    clock.now += 1
    assert not presence.watched
