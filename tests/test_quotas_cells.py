"""Counts that workers share: written by one, read by all, kept over a restart."""

from pathlib import Path

import pytest

from gateway.errors import PreceptorError
from gateway.quotas import cells
from gateway.quotas.cells import Cells, name_hash, shared_cells


def test_a_worker_sees_the_cells_of_the_others(tmp_path: Path) -> None:
    """From the moment in which they are there."""
    first, second = Cells(tmp_path, 0, 2), Cells(tmp_path, 1, 2)
    peers = first.peers("key team")
    assert peers.look() == []
    cell = second.own("key team")
    assert cell is not None
    cell[cells.REQUESTS] = 7
    assert [seen[cells.REQUESTS] for seen in peers.look()] == [7]
    assert (first.first, second.first) == (True, False)


def test_names_have_cells_of_their_own(tmp_path: Path) -> None:
    """And the same one again."""
    own = Cells(tmp_path, 0, 1)
    for number in range(500):
        cell = own.own(f"key {number}")
        assert cell is not None and cell[cells.SPENT] == 0
        cell[cells.SPENT] = number + 1
    for number in range(500):
        cell = own.own(f"key {number}")
        assert cell is not None and cell[cells.SPENT] == number + 1


def test_a_worker_that_starts_again_has_nothing_under_way(tmp_path: Path) -> None:
    """What it counted and spent stays; what a killed one held is given back."""
    cell = Cells(tmp_path, 0, 1).own("task sums")
    assert cell is not None
    cell[cells.REQUESTS], cell[cells.SPENT], cell[cells.IN_FLIGHT], cell[cells.RESERVED] = 5, 6, 7, 8
    again = Cells(tmp_path, 0, 1).own("task sums")
    assert again is not None
    assert [again[at] for at in (cells.REQUESTS, cells.SPENT, cells.IN_FLIGHT, cells.RESERVED)] == [5, 6, 0, 0]


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A worker without counts would not keep the limits."""
    with pytest.raises(PreceptorError, match="cannot hold the counts"):
        shared_cells(tmp_path / "missing", 0, 2)


def test_a_hash_is_the_same_everywhere() -> None:
    """Workers agree on it, and none is the mark of an empty cell."""
    assert name_hash("key team") == name_hash("key team") != name_hash("key teams")
    assert 0 < name_hash("") < 2**63
