"""The cache of answers: bytes in, bytes out, and nothing paid for is lost."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import diskcache
import pytest

from gateway.domain import Rule, RuleSet, Usage
from gateway.errors import StoreError
from optimizer.evaluation.answer_cache import Answer, AnswerCache, BytesDisk, NotBytes, StoredPass, key_of, key_of_pass

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
    """A file in its place, or a database that is none."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be opened"):
        AnswerCache(tmp_path / "file")
    (tmp_path / "cache.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        AnswerCache(tmp_path)


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
