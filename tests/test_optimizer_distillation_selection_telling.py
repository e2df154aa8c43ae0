"""Items on which an incumbent errs come early in a race, and none is lost."""

from hypothesis import given
from hypothesis import strategies as st

from optimizer.distillation.selection.telling import telling_order


def test_two_mistakes_come_before_each_right_answer() -> None:
    """As long as there are both; each kind keeps its order."""
    right = [True, True, False, True, False, False, True, True]
    assert telling_order("abcdefgh", right) == list("ceafbdgh")


def test_where_mistakes_are_many_the_order_stays() -> None:
    """They come early by themselves."""
    assert telling_order("abcdef", [False, True, False, False, True, False]) == list("abcdef")
    assert telling_order("abc", [True, True, True]) == list("abc")


@given(st.lists(st.booleans(), max_size=60))
def test_every_item_stays_in_the_race(right: list[bool]) -> None:
    """Whatever the incumbent gets right."""
    items = list(range(len(right)))
    assert sorted(telling_order(items, right)) == items
