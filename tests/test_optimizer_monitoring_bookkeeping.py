"""The keeper of day books, on a store."""

from gateway.domain import Feedback
from gateway.settings import Settings
from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from optimizer.monitoring.bookkeeping import Bookkeeper
from optimizer.monitoring.daybook import DAYS
from tests import consoles
from tests.fakes import services, settings

TASK = "ticket-desk"


def keeper(store: Store, config: Settings | None = None, now: float = consoles.NOW) -> Bookkeeper:
    """A keeper at a time."""
    made = services(config or settings(consoles.CONFIG), {}, store, wall_clock=lambda: now)
    return Bookkeeper(made.learner_context())


def requests(store: Store) -> int:
    """The booked requests."""
    book = DAYS.read(store, TASK)
    return sum(day.exchanges for day in book.days) if book else 0


async def test_every_exchange_is_booked_once() -> None:
    """Also by a keeper that was killed and reads a page again."""
    store = MemoryStore()
    page = [consoles.exchange(n, TASK, "q", "a") for n in range(5)]
    first = keeper(store)
    first.add(page, 0, 5)
    await first.work()
    assert requests(store) == 5
    again = keeper(store)
    again.add(page, 0, 5)
    again.add([consoles.exchange(9, TASK, "q", "a"), consoles.exchange(1, "gone", "q", "a")], 5, 7)
    await again.work()
    assert requests(store) == 6


async def test_a_label_waits_for_its_verdict_and_not_for_ever() -> None:
    """Others wait behind it: the order of arrival is the only position."""
    store = MemoryStore()
    store.record([consoles.exchange(n, TASK, "q", "a") for n in range(3)])
    ids = [f"chatcmpl-{TASK}-0000{n}" for n in range(3)]
    store.add_feedback(Feedback(exchange_id=ids[0], created=consoles.NOW, correct=True))
    store.add_feedback(Feedback(exchange_id=ids[1], created=consoles.NOW, expected="b"))
    store.add_feedback(Feedback(exchange_id=ids[2], created=consoles.NOW, correct=False))

    def labels() -> list[int]:
        book = DAYS.read(store, TASK)
        return [known.others for day in book.days for known in day.labels] if book else []

    await keeper(store).work()
    assert labels() == [1]
    await keeper(store, now=consoles.NOW + 4000).work()
    assert labels() == [2]
    await keeper(store, now=consoles.NOW + 4000).work()
    assert labels() == [2]
