"""The store in memory beyond the common contract (``test_store_base.py``): threads share it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from gateway.domain import Activation, RuleSet
from gateway.store.memory import MemoryStore


def test_threads_may_publish_and_activate_at_once() -> None:
    """No version is given twice, and no activation is lost."""
    store = MemoryStore()
    together = Barrier(4)

    def work(_: int) -> list[int]:
        together.wait()
        versions = [store.publish(RuleSet(task="sums")).version for _ in range(50)]
        for version in versions:
            store.activate(Activation(task="sums", version=version, created=1.0, by="test"))
        return versions

    with ThreadPoolExecutor(4) as pool:
        versions = [version for found in pool.map(work, range(4)) for version in found]
    assert sorted(versions) == list(range(1, 201))
    assert store.revision() == len(store.history("sums")) == 200
