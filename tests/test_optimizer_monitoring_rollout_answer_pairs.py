"""Results of answering anew, on their way to the watch."""

from gateway.store.memory import MemoryStore
from optimizer.monitoring.rollout.answer_pairs import KEPT, PAIRS, PairBook
from tests.rollouts import pair


def test_results_are_numbered_and_read_once() -> None:
    """Who knows the last number gets the newer ones; only the newest are kept."""
    book = PairBook(position=7)
    for _ in range(KEPT + 5):
        book = book.with_pair(pair(0, 1))
    assert (book.number, len(book.pairs), book.position) == (KEPT + 5, KEPT, 7)
    assert [entry.number for entry in book.newer(KEPT + 3)] == [KEPT + 4, KEPT + 5]
    assert book.newer(book.number) == ()


def test_the_book_is_a_note() -> None:
    """A result without answers to compare is one, too."""
    store, book = MemoryStore(), PairBook(position=1).with_pair(pair(0, None, at_random=False, key="a"))
    PAIRS.write(store, book, "t")
    assert PAIRS.read(store, "t") == book
