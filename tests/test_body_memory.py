"""The memory of all request bodies together: bounded, counted to the byte, and given back."""

import pytest

from gateway.body_memory import BodyMemory
from gateway.errors import Overloaded


def test_bodies_are_counted_until_they_are_freed() -> None:
    """Beyond the limit a request is refused; the bytes it brought count until its end."""
    memory = BodyMemory(lambda: 100)
    memory.take(60)
    memory.take(40)
    with pytest.raises(Overloaded) as refused:
        memory.take(1)
    assert (refused.value.status, refused.value.code, memory.held) == (503, "too_many_bodies", 101)
    memory.free(1)
    memory.free(60)
    memory.take(60)
    assert memory.held == 100


def test_the_limit_is_the_one_in_effect() -> None:
    """A reload may change it."""
    limits = [100, 10]
    memory = BodyMemory(lambda: limits[0])
    memory.take(50)
    del limits[0]
    with pytest.raises(Overloaded):
        memory.take(1)
