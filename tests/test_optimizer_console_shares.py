"""Shares with intervals."""

from hypothesis import given
from hypothesis import strategies as st

from optimizer.console.shares import share_of


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_interval_holds_the_share(n: int, part: float) -> None:
    """And stays within 0 and 1."""
    known = share_of(round(n * part), n)
    assert known is not None and 0 <= known.low <= known.share + 1e-9 and known.share - 1e-9 <= known.high <= 1


def test_wilsons_interval_is_the_textbooks() -> None:
    """Nothing of nothing; 8 of 10 by hand."""
    known = share_of(8, 10)
    assert share_of(0, 0) is None and known is not None
    assert (round(known.low, 3), round(known.high, 3)) == (0.490, 0.943)
