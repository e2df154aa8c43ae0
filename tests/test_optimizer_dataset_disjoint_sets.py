"""Disjoint sets: joined transitively, up to a bounded size."""

from hypothesis import given
from hypothesis import strategies as st

from optimizer.dataset.disjoint_sets import DisjointSets

PAIRS = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30)


@given(PAIRS)
def test_what_is_joined_stays_joined(pairs: list[tuple[int, int]]) -> None:
    """Sets do not overlap, and their sizes are right."""
    sets = DisjointSets(20)
    for pair in pairs:
        sets.join(pair)
    assert all(sets.leader(first) == sets.leader(second) for first, second in pairs)
    members = [place for group in sets.sets() for place in group]
    assert len(members) == len(set(members))
    assert all(sets.size(place) == len(group) for group in sets.sets() for place in group)


@given(PAIRS, st.integers(2, 5))
def test_no_set_grows_above_its_bound(pairs: list[tuple[int, int]], most: int) -> None:
    """A join that would exceed it joins nothing."""
    sets = DisjointSets(20)
    for pair in pairs:
        sets.join(pair, at_most=most)
    assert all(len(group) <= most for group in sets.sets())


def test_a_group_is_joined_wholly_or_not_at_all() -> None:
    """Half a group would depend on the order."""
    sets = DisjointSets(4)
    sets.join([0, 1, 2], at_most=2)
    assert sets.sets() == []
    sets.join([])
    sets.join([0, 1, 2], at_most=3)
    assert sets.sets() == [[0, 1, 2]]
