"""The cache of answers: bytes in, bytes out, and nothing paid for is lost."""

import asyncio
import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diskcache
import pytest

from gateway.domain import Rule, RuleSet, Usage
from gateway.errors import StoreError
from optimizer.evaluation import answer_cache
from optimizer.evaluation.answer_cache import (
    Answer,
    AnswerCache,
    BytesDisk,
    NotBytes,
    StoredPass,
    forget_answers,
    key_of,
    key_of_pass,
)

ANSWER = Answer(text="42 \u2713", usage=Usage(prompt_tokens=9, output_tokens=2), latency_s=0.5, finish_reason="stop")
KEY = key_of("m", b"{}", None, "answer")


@pytest.fixture
def evaluations(tmp_path: Path) -> Iterator[AnswerCache]:
    opened = AnswerCache(tmp_path)
    yield opened
    opened.close()


def test_an_answer_is_readable_at_once_and_after_a_restart(tmp_path: Path) -> None:
    """Written behind, but closed only when written."""
    first = AnswerCache(tmp_path)
    assert first.get(KEY) is None
    first.put(KEY, ANSWER)
    assert first.get(KEY) == ANSWER
    first.close()
    second = AnswerCache(tmp_path)
    assert second.get(KEY) == ANSWER
    second.close()


def test_everything_that_could_change_an_answer_changes_its_key() -> None:
    """Model, request, rule set, form of the scratchpad, purpose; the version number of a rule set does not."""
    rules = RuleSet(task="t", rules=(Rule(text="Add."),))
    keys = [
        key_of("m", b"{}", None, "answer"),
        key_of("n", b"{}", None, "answer"),
        key_of("m", b'{"temperature":1}', None, "answer"),
        key_of("m", b"{}", rules, "answer"),
        key_of("m", b"{}", RuleSet(task="t", rules=rules.rules, scratchpad="tags"), "answer"),
        key_of("m", b"{}", None, "induction"),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of("m", b"{}", RuleSet(task="t", rules=rules.rules, version=3), "answer") == keys[3]


async def test_a_pass_is_on_disk_when_it_is_kept_and_gone_when_its_answer_is(tmp_path: Path) -> None:
    """Whoever is killed after it finds it; whoever has the answer needs it no more."""
    key = key_of_pass("m", "/chat/completions", b"{}")
    kept = StoredPass(body=b'{"id": "\xc3\xa9"}', latency_s=0.5)
    first, second = AnswerCache(tmp_path), AnswerCache(tmp_path)
    await first.keep_pass(key, kept)
    assert second.get_pass(key) == kept
    first.put(KEY, ANSWER)
    first.drop_passes([key])
    first.close()
    assert second.get_pass(key) is None
    assert second.get(KEY) == ANSWER
    second.close()
    second.drop_passes([key])  # a run that is stopped closes before its last answers are through


class Planted:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('a pickle was run')",))


def test_a_planted_pickle_is_not_run_but_missed(tmp_path: Path) -> None:
    """CVE-2025-69872: whoever can write the file cannot make us run it."""
    with diskcache.Cache(tmp_path) as ordinary:
        ordinary.set(KEY, Planted())
    evaluations = AnswerCache(tmp_path)
    assert evaluations.get(KEY) is None
    evaluations.put(KEY, ANSWER)
    evaluations.close()
    assert AnswerCache(tmp_path).get(KEY) == ANSWER


def test_the_disk_refuses_whatever_is_not_bytes(tmp_path: Path) -> None:
    """Keys and values, in both directions, files included."""
    disk = BytesDisk(str(tmp_path))
    for refused in (
        lambda: disk.put("text"),
        lambda: disk.put((1, 2)),
        lambda: disk.get(b"key", raw=False),
        lambda: disk.store({"a": 1}, read=False),
        lambda: disk.store("text", read=False),
        lambda: disk.store(b"file", read=True),
        lambda: disk.fetch(4, None, b"pickle", read=False),
        lambda: disk.fetch(2, "../../etc/passwd", None, read=False),
        lambda: disk.fetch(1, None, 5, read=False),
    ):
        with pytest.raises(NotBytes):
            refused()


def test_an_entry_that_is_not_an_answer_is_a_miss(tmp_path: Path) -> None:
    """Another version's, or a damaged one."""
    with diskcache.Cache(tmp_path, disk=BytesDisk) as cache:
        cache.set(KEY, b'{"text": 5}')
    evaluations = AnswerCache(tmp_path)
    assert evaluations.get(KEY) is None
    evaluations.close()


def test_a_folder_that_cannot_be_used_is_a_clear_error(tmp_path: Path) -> None:
    """Below a file there is no folder."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be opened"):
        AnswerCache(tmp_path / "file" / "evaluations")


NO_CACHE: dict[str, Callable[[Path], Any]] = {
    "no database": lambda path: path.write_bytes(b"not a database at all" * 100),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "overwritten": lambda path: path.write_bytes(path.read_bytes()[:100] + os.urandom(20_000)),
    "another's tables": lambda path: _replaced(path, "CREATE TABLE Cache (a)"),
    "other settings": lambda path: _replaced(path, "CREATE TABLE Settings (a)"),
}


def _replaced(path: Path, sql: str) -> None:
    path.unlink()
    _made(path, sql)


def _made(path: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(sql)


@pytest.mark.parametrize("damage", NO_CACHE)
def test_a_damaged_file_is_set_aside_and_the_run_goes_on(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is only a cache. The log says so, and the next run finds what this one kept."""
    folder = tmp_path / "evaluations"
    AnswerCache(folder).close()
    NO_CACHE[damage](folder / "cache.db")
    for _ in range(2):
        evaluations = AnswerCache(folder)
        evaluations.put(KEY, ANSWER)
        assert evaluations.get(KEY) == ANSWER
        evaluations.close()
    assert (folder / "cache.db.damaged").exists()
    assert [record.action for record in caplog.records].count("evaluations.set_aside") == 1  # type: ignore[attr-defined]
    reopened = AnswerCache(folder)
    assert reopened.get(KEY) == ANSWER
    reopened.close()


def test_a_file_in_the_folder_s_place_is_set_aside_too(tmp_path: Path) -> None:
    """Under another name beside it."""
    (tmp_path / "evaluations").write_text("x")
    AnswerCache(tmp_path / "evaluations").close()
    assert (tmp_path / "evaluations.damaged").read_text() == "x"


def test_damage_in_the_middle_of_a_run_ends_with_the_run(tmp_path: Path) -> None:
    """The answers of this run stay in memory; the next run has an empty cache."""
    evaluations = AnswerCache(tmp_path)
    evaluations.put(KEY, ANSWER)
    evaluations.close()
    evaluations = AnswerCache(tmp_path)
    _made(tmp_path / "cache.db", "DROP TABLE Cache")
    evaluations.put(KEY, ANSWER)
    assert evaluations.get(KEY) == ANSWER
    evaluations.close()
    after = AnswerCache(tmp_path)
    assert after.get(KEY) is None
    after.put(KEY, ANSWER)
    after.close()
    assert AnswerCache(tmp_path).get(KEY) == ANSWER


def test_a_page_that_cannot_be_read_costs_one_run(tmp_path: Path) -> None:
    """The file opens all the same, so that nothing but a read shows the damage: it is set aside then."""
    keys = [bytes([number]) * 32 for number in range(200)]
    evaluations = AnswerCache(tmp_path)
    for key in keys:
        evaluations.put(key, ANSWER)
    evaluations.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "cache.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'Cache_key_raw'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with (tmp_path / "cache.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    evaluations = AnswerCache(tmp_path)
    assert evaluations.get(keys[0]) is None
    evaluations.close()
    assert (tmp_path / "cache.db.damaged").exists()
    after = AnswerCache(tmp_path)
    after.put(keys[0], ANSWER)
    after.close()
    assert AnswerCache(tmp_path).get(keys[0]) == ANSWER


def test_what_is_forgotten_is_forgotten_in_a_damaged_file_too(tmp_path: Path) -> None:
    """And in one that was set aside: replies lie in both."""
    AnswerCache(tmp_path).close()
    for name in ("cache.db", "cache.db.damaged"):
        (tmp_path / name).write_bytes(b"the reply of a user" * 1000)
    assert forget_answers(tmp_path) == 0
    assert not [path for path in tmp_path.iterdir() if b"reply" in path.read_bytes()]


def test_nobody_else_can_read_the_answers(tmp_path: Path) -> None:
    """The folder is 0700 and its files are 0600, those of an older version too."""
    folder = tmp_path / "evaluations"
    folder.mkdir(mode=0o755)
    (folder / "cache.db").touch(0o644)
    evaluations = AnswerCache(folder)
    evaluations.put(KEY, ANSWER)
    evaluations.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_oldest_answers_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache takes so many bytes on disk, and hardly more."""
    monkeypatch.setattr(answer_cache, "SIZE_LIMIT", 500_000)
    evaluations = AnswerCache(tmp_path)
    for number in range(200):
        evaluations.put(key_of("m", b"%d" % number, None, "answer"), Answer(text="x" * 10_000))
    evaluations.close()
    assert (tmp_path / "cache.db").stat().st_size < 2 * 500_000


def test_a_write_that_fails_keeps_the_answer_for_this_run(tmp_path: Path) -> None:
    """A full disk costs a later run money, not this one its result."""
    evaluations = AnswerCache(tmp_path)
    with sqlite3.connect(tmp_path / "cache.db") as database:
        database.execute("DROP TABLE Cache")
    database.close()
    evaluations.put(KEY, ANSWER)
    assert evaluations.get(KEY) == ANSWER
    evaluations.close()
    assert evaluations.get(KEY) == ANSWER


async def test_one_key_has_one_lock_while_anyone_holds_it(evaluations: AnswerCache) -> None:
    """And leaves nothing behind."""
    lock = evaluations.exclusive(KEY)
    assert evaluations.exclusive(KEY) is lock
    assert evaluations.exclusive(b"other") is not lock
    async with lock:
        waiting = asyncio.create_task(evaluations.exclusive(KEY).acquire())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting
