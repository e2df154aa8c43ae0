"""The tasks that need a person, in one note."""

from gateway.store.memory import MemoryStore
from optimizer.monitoring.attention import ATTENTION, MOST, call_for


class Writes(MemoryStore):
    """A store that counts its writes."""

    count = 0

    def put_note(self, key: str, value: bytes) -> None:
        self.count += 1
        super().put_note(key, value)


def test_a_task_calls_and_stops_calling() -> None:
    """Each change is written, and nothing else."""
    store = Writes()
    for reason in ("", "harm", "harm", "drift", ""):
        call_for(store, "desk", reason)
    noted = ATTENTION.read(store)
    assert noted is not None and noted.reasons == {} and store.count == 3


def test_the_note_stays_small() -> None:
    """Whoever reads the first page reads it whole."""
    store = MemoryStore()
    for number in range(MOST + 50):
        call_for(store, f"t{number}", "harm")
    noted = ATTENTION.read(store)
    assert noted is not None and len(noted.reasons) == MOST
