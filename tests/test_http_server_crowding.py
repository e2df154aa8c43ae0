"""A full house: who goes when somebody comes."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.http_server.crowding import make_room


class Sitting:
    """A connection that notes whether it had to go."""

    def __init__(self, idle_since: float | None) -> None:
        self.idle_since = idle_since
        self.gone = False

    def evict(self) -> None:
        self.gone = True


@given(st.lists(st.none() | st.floats(0, 100), max_size=200))
def test_the_longest_idle_go_and_requests_under_way_stay(since: list[float | None]) -> None:
    """At least one, one in twenty at most; nobody leaves before one that was idle longer."""
    guests = [Sitting(moment) for moment in since]
    idle = [guest for guest in guests if guest.idle_since is not None]
    assert make_room(guests) == bool(idle)
    gone = [guest for guest in guests if guest.gone]
    assert all(guest.idle_since is not None for guest in gone)
    assert len(gone) == min(len(idle), max(1, len(guests) // 20))
    stayed = [guest.idle_since for guest in idle if not guest.gone]
    assert (
        not gone or not stayed or max(guest.idle_since or 0 for guest in gone) <= min(filter(None, stayed), default=101)
    )
