"""The memory of quirks: stated before learnt, kept over a restart, forgotten with a changed server or after a month."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway.errors import StoreError
from gateway.settings import OllamaSettings, OpenAISettings, Quirks, Settings
from gateway.store.memory import MemoryStore
from gateway.upstream.quirk_memory import QuirkMemory, server_digest
from tests.fakes import CONFIG, MoodyStore, settings

MODEL = 'model = "tiny-1b"'
STATED = CONFIG.replace(MODEL, f'{MODEL}\nquirks = {{ without = ["seed"], context = 4096 }}')
LEARNT = Quirks(output_limit="max_completion_tokens", without=("temperature",), context=9)
DAY_S = 86_400


def key(config: Settings) -> tuple[str, str]:
    return server_digest(config.upstreams["mock"]), "tiny-1b"


def memory(now: float = 0.0) -> QuirkMemory:
    return QuirkMemory(lambda: now)


@contextlib.asynccontextmanager
async def keeping(learnt: QuirkMemory, store: MemoryStore) -> AsyncIterator[None]:
    task = asyncio.create_task(learnt.keep(store))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def saved(store: MemoryStore, config: Settings, now: float = 0.0) -> None:
    """Learn on one gateway and wait for the note."""
    learnt = memory(now)
    async with keeping(learnt, store):
        assert learnt.learn(key(config), LEARNT)
        while store.note("quirks/{}/{}".format(*key(config))) is None:
            await asyncio.sleep(0.001)


def test_a_model_without_quirks_needs_no_adaptation() -> None:
    """The request path asks a dictionary and nothing else."""
    made = memory()
    made.configure(settings())
    assert made.get(key(settings())) is None and made.quirks(key(settings())) == Quirks()


def test_what_is_stated_comes_before_what_is_learnt() -> None:
    """In whichever order they arrive."""
    config = settings(STATED)
    first, second = memory(), memory()
    first.configure(config)
    first.learn(key(config), LEARNT)
    second.learn(key(config), LEARNT)
    second.configure(config)
    expected = Quirks(output_limit="max_completion_tokens", without=("seed", "temperature"), context=4096)
    assert first.quirks(key(config)) == second.quirks(key(config)) == expected


def test_a_quirk_is_new_once() -> None:
    """Many requests meet the same refusal at the same moment."""
    made = memory()
    assert [made.learn(key(settings()), LEARNT) for _ in range(3)] == [True, False, False]


async def test_a_restart_forgets_nothing() -> None:
    """The next gateway on the store knows the model before its first request."""
    store = MemoryStore()
    await saved(store, settings())
    made = memory(29.0 * DAY_S)
    made.load(store, settings())
    assert made.quirks(key(settings())) == LEARNT


async def test_a_month_later_the_model_is_asked_anew() -> None:
    """Servers learn, too."""
    store = MemoryStore()
    await saved(store, settings())
    made = memory(31.0 * DAY_S)
    made.load(store, settings())
    assert made.quirks(key(settings())) == Quirks()


async def test_another_server_under_the_same_name_is_another_model() -> None:
    """And the note shows no address, which may hold a key."""
    store = MemoryStore()
    await saved(store, settings())
    elsewhere = settings(CONFIG.replace("127.0.0.1:9", "127.0.0.1:10"))
    made = memory()
    made.load(store, elsewhere)
    assert made.quirks(key(elsewhere)) == Quirks()
    assert server_digest(OllamaSettings()) != server_digest(OpenAISettings(base_url=""))
    assert "secret" not in server_digest(OpenAISettings(base_url="http://secret@host/v1"))


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b'{"quirks":{"new_kind":1},"learnt_at":1}', b"[]"])
def test_an_unreadable_note_counts_as_none(value: bytes) -> None:
    """Another version may have written it."""
    store = MemoryStore()
    store.put_note("quirks/{}/{}".format(*key(settings())), value)
    made = memory()
    made.load(store, settings())
    assert made.quirks(key(settings())) == Quirks()


async def test_a_store_that_fails_gets_the_note_later() -> None:
    """The loop ends with the error, and its supervisor starts it again."""
    store = MoodyStore()
    made = memory()
    made.learn(key(settings()), LEARNT)
    store.down = True
    with pytest.raises(StoreError):
        await made.keep(store)
    store.down = False
    async with keeping(made, store):
        while store.note("quirks/{}/{}".format(*key(settings()))) is None:
            await asyncio.sleep(0.001)
