"""Results that are kept are few and small, and the same as without."""

from collections.abc import Callable

import pytest

from gateway.memo import LONGEST, MOST, remembered


def counted() -> tuple[list[bytes], Callable[[bytes], int]]:
    """A function that remembers, and what it was really asked."""
    asked: list[bytes] = []

    def size(given: bytes) -> int:
        asked.append(given)
        if not given:
            raise ValueError("nothing")
        return len(given)

    return asked, remembered(size)


def test_the_same_bytes_are_worked_on_once() -> None:
    """Equal ones: each request brings its own."""
    asked, size = counted()
    assert [size(bytes([97, 98])) for _ in range(3)] == [2, 2, 2]
    assert asked == [b"ab"]


def test_what_is_long_is_not_kept() -> None:
    """A hundred long prompts would hold the memory of a model."""
    asked, size = counted()
    for length in (LONGEST, LONGEST + 1):
        assert [size(b"x" * length) for _ in range(2)] == [length, length]
    assert [len(given) for given in asked] == [LONGEST, LONGEST + 1, LONGEST + 1]


def test_only_the_last_ones_are_kept() -> None:
    """Prompts that hold the date or a name never come again."""
    asked, size = counted()
    for number in range(MOST + 1):
        size(b"%d" % number)
    size(b"%d" % MOST)
    assert len(asked) == MOST + 1
    size(b"0")
    assert len(asked) == MOST + 2


def test_what_is_raised_is_raised_again() -> None:
    """A refusal is no result."""
    asked, size = counted()
    for _ in range(2):
        with pytest.raises(ValueError, match="nothing"):
            size(b"")
    assert len(asked) == 2
