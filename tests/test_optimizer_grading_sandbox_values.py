"""Values as JSON: plain data arrives exact, anything else by number."""

import collections
import datetime as dt
import decimal
import enum
import fractions
import json
import math
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.grading.sandbox.remote import Remote
from optimizer.grading.sandbox.values import Values


class Pair(NamedTuple):
    x: int
    y: int


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Nobody:
    """A line without another end."""

    def request(self, operation: str, target: Any, args: Any = (), kwargs: Any = ()) -> Any:
        raise AssertionError(operation)


def crossed(value: Any) -> Any:
    return Values(Nobody()).decode(json.loads(json.dumps(Values(Nobody()).encode(value))))


NUMBERS = st.integers() | st.floats(allow_nan=False) | st.decimals(allow_nan=False) | st.fractions()
SCALARS = (
    st.none() | st.booleans() | NUMBERS | st.text() | st.binary() | st.dates() | st.datetimes() | st.timedeltas()
    | st.complex_numbers(allow_nan=False)
)  # fmt: skip
HASHABLE = st.booleans() | st.integers() | st.text()
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(HASHABLE, inner) | st.sets(HASHABLE)
        | st.frozensets(HASHABLE) | st.lists(inner).map(collections.deque)
    ),
    max_leaves=10,
)  # fmt: skip


@given(DATA)
def test_plain_data_arrives_as_it_was(value: Any) -> None:
    """In the same types."""
    arrived = crossed(value)
    assert arrived == value and type(arrived) is type(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (Pair(1, 2), (1, 2)),
        (Level.LOW, 1),
        (Word.YES, "yes"),
    ],
)
def test_types_of_one_s_own_become_the_built_in_ones_below(value: Any, plain: Any) -> None:
    """They bring no methods along."""
    arrived = crossed(value)
    assert arrived == plain and type(arrived) is type(plain)


def test_a_number_with_a_will_of_its_own_is_a_number() -> None:
    """Its own idea of equality stays at home."""

    class Five(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    assert crossed(Five(5)) == 5 != crossed(Five(4)) and type(crossed(Five(5))) is int


def test_odd_numbers_arrive() -> None:
    """Not a number, infinity, and very long ones."""
    assert math.isnan(crossed(math.nan)) and crossed(-math.inf) == -math.inf
    assert crossed([10**400, decimal.Decimal("1E+9"), fractions.Fraction(1, 3), dt.timedelta(-1)]) == [
        10**400, decimal.Decimal("1E+9"), fractions.Fraction(1, 3), dt.timedelta(-1),
    ]  # fmt: skip


def test_other_objects_stay_at_home() -> None:
    """They come back as they are, and arrive at the other end as remote ones."""
    here, there = Values(Nobody()), Values(Nobody())
    thing = object()
    data = here.encode(thing)
    assert isinstance(there.decode(data), Remote)
    assert here.decode({"home": data["object"]}) is thing and here.encode(thing) == data


def test_classes_of_errors_have_stand_ins() -> None:
    """Caught by their built-in base as well; always one for one."""

    class Empty(LookupError):
        pass

    here, there = Values(Nobody()), Values(Nobody())
    stand_in = there.decode(here.encode(Empty))
    assert issubclass(stand_in, LookupError) and there.decode(here.encode(Empty)) is stand_in
    assert isinstance(there.error(here.encode_error(Empty("no"))), stand_in)
    assert isinstance(there.error(["SystemExit", [1]]), RuntimeError)
    assert isinstance(there.error(["UnicodeDecodeError", [1]]), RuntimeError)
