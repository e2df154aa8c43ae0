"""The spool: what goes in comes out, and a crash costs one line at most."""

import logging
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.domain import Exchange, Usage
from gateway.store.spool import UNREADABLE, Spool

PLAIN = Exchange(
    id="a",
    created=1.0,
    task="sums",
    client_model="gpt-4o-mini",
    model="small",
    arm="weak",
    rules=None,
    stream=False,
    status="ok",
    http_status=200,
)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.jsonl")


def exchange(id_: str, **changes: Any) -> Exchange:
    return msgspec.structs.replace(PLAIN, id=id_, **changes)


def test_what_goes_in_comes_out(spool: Spool) -> None:
    """Bytes, line breaks and tokens included, in order, over several appends."""
    full = exchange("full", request=b"{\n\xff\x00}", reply="one\ntwo\u2028", usage=Usage(output_tokens=3), rules=2)
    assert spool.append([exchange("a"), full]) == 2
    assert spool.append([exchange("b")]) == 1
    assert list(spool.read()) == [exchange("a"), full, exchange("b")]


def test_the_file_is_private(spool: Spool) -> None:
    """Prompts lie in it."""
    spool.append([PLAIN])
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600


def test_no_file_is_an_empty_spool(spool: Spool) -> None:
    """Reading and removing need no file."""
    assert list(spool.read()) == []
    spool.remove()


def test_removed_is_empty(spool: Spool) -> None:
    """After removal nothing comes back."""
    spool.append([PLAIN])
    spool.remove()
    assert list(spool.read()) == []


def test_a_cut_line_is_skipped_with_a_warning(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    """A crash while it was written costs that one exchange, and what is appended later is whole."""
    spool.append([exchange("a"), exchange("cut")])
    spool.path.write_bytes(spool.path.read_bytes()[:-20])
    spool.append([exchange("b")])
    with caplog.at_level(logging.WARNING):
        assert [found.id for found in spool.read()] == ["a", "b"]
    assert [getattr(record, "action", None) for record in caplog.records] == ["spool_line_skipped"]


def test_what_nobody_could_read_outlives_its_file(spool: Spool) -> None:
    """In a private file beside it, whole; what was read is gone."""
    for garbage in (b"{half\n", b"more\n"):
        spool.path.write_bytes(garbage)
        spool.append([PLAIN])
        assert list(spool.read()) == [PLAIN]
        spool.remove()
    kept = spool.path.with_suffix(UNREADABLE)
    assert kept.read_bytes() == b"{half\nmore\n" and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert spool.left() == [] and not spool.path.exists()


def test_what_is_no_json_is_left_out_with_an_error(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    """Half a surrogate pair has no UTF-8, and must not take the others with it."""
    assert spool.append([exchange("a"), exchange("bad", reply="\ud800"), exchange("b")]) == 2
    assert [found.id for found in spool.read()] == ["a", "b"]
    assert [getattr(record, "action", None) for record in caplog.records] == ["spool_refused"]


def test_two_processes_never_append_to_one_file(spool: Spool) -> None:
    """What a file that is taken cannot have goes beside it; both are found afterwards, and are private."""
    spool.append([exchange("a")])
    with spool.taken() as mine:
        assert mine
        spool.append([exchange("b")])
    spool.append([exchange("c")])
    left = spool.left()
    assert sorted([found.id for found in one.read()] for one in left) == [["a", "c"], ["b"]]
    assert {stat.S_IMODE(one.path.stat().st_mode) for one in left} == {0o600}


def test_a_file_is_taken_by_one_at_a_time(spool: Spool) -> None:
    """The others let it be, and a file that is not there is nobody's."""
    with spool.taken() as nothing:
        assert not nothing
    spool.append([PLAIN])
    with spool.taken() as first, Spool(spool.path).taken() as second:
        assert (first, second) == (True, False)
    with spool.taken() as again:
        assert again


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(garbage=st.binary(max_size=200))
@example(garbage=b'{"id":"\xff"}')
@example(garbage=b"[" * 5000)
def test_garbage_is_survived(spool: Spool, garbage: bytes) -> None:
    """Whatever bytes stand in the file, reading ends without an error and finds what was appended after them."""
    spool.path.write_bytes(garbage)
    spool.append([PLAIN])
    assert list(spool.read())[-1] == PLAIN
