"""A changed configuration: in effect as a whole or not at all, and nothing that runs is disturbed."""

import asyncio
import dataclasses
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from gateway.errors import ConfigurationError
from gateway.reload import SETTLED_S, Reloader
from gateway.services import Services, Serving
from gateway.settings import OpenAISettings, Settings, load
from tests.fakes import CONFIG, FakeUpstream, services, settings

TWO_TASKS = CONFIG + '[tasks.words]\nweak = "small"\nstrong = "large"\n'
ELSEWHERE = CONFIG.replace("127.0.0.1:9/", "127.0.0.1:10/")


class Noting(FakeUpstream):
    """An upstream that writes down what happens to it, and may fail to open."""

    def __init__(self, fail: bool = False) -> None:
        super().__init__(lambda body: "4")
        self.notes: list[str] = []
        self._fail = fail

    async def open(self) -> None:
        self.notes.append("open")
        if self._fail:
            raise ConfigurationError("upstreams.mock", ["cannot be opened"])

    async def aclose(self) -> None:
        self.notes.append("close")


@dataclasses.dataclass
class Followed:
    """A configuration file, what follows it, and the upstreams that were built on the way."""

    path: Path
    services: Services
    reloader: Reloader
    built: list[Noting]

    def write(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")


@asynccontextmanager
async def followed(
    tmp_path: Path, *, fail: bool = False, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[Followed]:
    path = tmp_path / "preceptor.toml"
    path.write_text(CONFIG, encoding="utf-8")
    built = [Noting()]
    made = services(settings(), {"mock": built[0]})

    def build(new: Settings, old: Serving) -> Serving:
        if new.upstreams == old.settings.upstreams:
            return dataclasses.replace(old, settings=new)
        built.append(Noting(fail))
        return dataclasses.replace(old, settings=new, upstreams={"mock": built[-1]})

    reloader = Reloader(path, lambda: load(path, {}), made, build, sleep=sleep)
    async with reloader.following():
        yield Followed(path, made, reloader, built)


async def test_a_changed_file_is_in_effect_whole(tmp_path: Path) -> None:
    """An upstream that is the same is kept, with its connections."""
    async with followed(tmp_path) as file:
        file.write(TWO_TASKS)
        assert await file.reloader.reload()
        assert set(file.services.settings.tasks) == {"arithmetic", "words"}
        assert file.built[0].notes == []


async def test_a_mistake_keeps_what_is_in_effect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And is said, with its place."""
    async with followed(tmp_path) as file:
        before = file.services.serving
        file.write(CONFIG.replace('weak = "small"', 'weak = "smal"'))
        assert not await file.reloader.reload()
        assert file.services.serving is before
    assert "tasks.arithmetic.weak" in caplog.text


async def test_an_upstream_that_does_not_open_keeps_what_is_in_effect(tmp_path: Path) -> None:
    """What was opened on the way is closed again."""
    async with followed(tmp_path, fail=True) as file:
        before = file.services.serving
        file.write(ELSEWHERE)
        assert not await file.reloader.reload()
        assert file.services.serving is before
        assert file.built[1].notes == ["open", "close"]


async def test_an_upstream_that_is_gone_is_closed_after_the_new_one_serves(tmp_path: Path) -> None:
    """Nothing is refused in between."""
    async with followed(tmp_path) as file:
        file.write(ELSEWHERE)
        assert await file.reloader.reload()
        await asyncio.sleep(0)
        assert file.services.serving.upstreams["mock"] is file.built[1]
        assert file.built[1].notes == ["open"] and file.built[0].notes == ["close"]


async def test_a_request_ends_with_the_configuration_that_it_began_with(tmp_path: Path) -> None:
    """It reads it once."""
    async with followed(tmp_path) as file:
        began = file.services.serving
        file.write(TWO_TASKS)
        await file.reloader.reload()
        assert "words" not in began.settings.tasks


async def test_what_only_a_start_can_change_stays_and_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The socket is bound and the database open; the rest of the file counts all the same."""
    async with followed(tmp_path) as file:
        file.write(TWO_TASKS.replace("port = 0", "port = 8111"))
        assert await file.reloader.reload()
        assert file.services.settings.server.port == 0
        assert "words" in file.services.settings.tasks
    assert "server.port" in caplog.text


async def test_a_reload_never_takes_the_last_key_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that was cut off before its keys would open the gateway to everybody; keys may change otherwise."""
    ann, bob = (f'[keys.{name}]\nkey = "{name}-0123456789abcdef"\n' for name in ("ann", "bob"))
    async with followed(tmp_path) as file:
        for keys in (ann + bob, bob, ann):
            file.write(CONFIG + keys)
            assert await file.reloader.reload()
        before = file.services.serving
        for text in (CONFIG, TWO_TASKS, ""):
            file.write(text)
            assert not await file.reloader.reload()
        assert file.services.serving is before and file.services.keys
    assert "no client key any more" in caplog.text and "is empty" in caplog.text


async def test_a_reload_never_takes_all_limits_of_a_key_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that was cut off within a key's section would open every task and model to it; other limits may come."""
    key = '[keys.ann]\nkey = "ann-0123456789abcdef"\n'
    tasks, models = 'tasks = ["arithmetic"]\n', 'models = ["small"]\n'
    async with followed(tmp_path) as file:
        for limits in (tasks, models, tasks + models):
            file.write(CONFIG + key + limits)
            assert await file.reloader.reload()
        before = file.services.serving
        file.write(CONFIG + key)
        assert not await file.reloader.reload()
        assert file.services.serving is before
        file.write(CONFIG + key.replace("ann", "bob"))
        assert await file.reloader.reload(), "another key is nobody's limits"
    assert "neither tasks nor models for keys.ann" in caplog.text


class SlowWriter:
    """Writes another text whenever the reloader waits for the file to settle."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = iter(texts)
        self.looks: list[float] = []
        self.file: Followed | None = None

    async def sleep(self, seconds: float) -> None:
        assert self.file is not None
        self.looks.append(seconds)
        text = next(self._texts, None)
        if text is not None:
            self.file.write(text)
        await asyncio.sleep(0)


async def read_beside(writer: SlowWriter, folder: Path, *, asking: bool = False) -> list[tuple[str, int]]:
    """The tasks of every configuration in effect, and the looks at the file before it; ``asking`` sends SIGHUP."""
    reads: list[tuple[str, int]] = []
    async with followed(folder, sleep=writer.sleep) as file:
        writer.file = file
        file.services.on_reload.append(
            lambda: reads.append((",".join(file.services.settings.tasks), len(writer.looks)))
        )
        if asking:
            os.kill(os.getpid(), signal.SIGHUP)
        else:
            file.write(CONFIG + "# begun")
        async with asyncio.timeout(30):
            while not reads:
                await asyncio.sleep(0.01)
    assert set(writer.looks) == {SETTLED_S}
    return reads


async def test_a_file_is_read_when_its_writer_has_finished(tmp_path: Path) -> None:
    """Half of it may be valid, and mean something else."""
    third = TWO_TASKS + '[tasks.more]\nweak = "small"\nstrong = "large"\n'
    ends = (len(CONFIG) - 60, len(TWO_TASKS) - 20, len(TWO_TASKS), len(third))
    assert await read_beside(SlowWriter(third[:end] for end in ends), tmp_path) == [("arithmetic,words,more", 5)]


async def test_nobody_reads_a_file_while_it_is_written(tmp_path: Path) -> None:
    """Not even where somebody asks for it: its writer may take longer than the wait."""
    writer = SlowWriter(TWO_TASKS + "# another line\n" * number for number in range(12))
    assert await read_beside(writer, tmp_path, asking=True) == [("arithmetic,words", 13)]


@pytest.mark.parametrize("turns", range(8))
async def test_a_signal_in_the_moment_of_the_stop_does_not_hold_it_up(tmp_path: Path, turns: int) -> None:
    """However many turns of the event loop lie between the two."""
    async with asyncio.timeout(10):
        async with followed(tmp_path):
            await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGHUP)
            for _ in range(turns):
                await asyncio.sleep(0)


async def test_whoever_wants_to_know_is_told(tmp_path: Path) -> None:
    """After the swap, so that they read the new configuration."""
    async with followed(tmp_path) as file:
        seen: list[int] = []
        file.services.on_reload.append(lambda: seen.append(len(file.services.settings.tasks)))
        file.write(TWO_TASKS)
        await file.reloader.reload()
        assert seen == [2]


async def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    """No signal is needed."""
    async with followed(tmp_path) as file:
        file.write(TWO_TASKS)
        async with asyncio.timeout(30):
            while "words" not in file.services.settings.tasks:
                await asyncio.sleep(0.01)


async def test_the_same_configuration_changes_nothing(tmp_path: Path) -> None:
    """A touched file is no change."""
    async with followed(tmp_path) as file:
        before = file.services.serving
        assert await file.reloader.reload()
        assert file.services.serving is before


async def test_the_kill_switch_survives_a_reload(tmp_path: Path) -> None:
    """The environment is read by whoever reads the file."""
    async with followed(tmp_path) as file:
        off = Reloader(
            file.path, lambda: load(file.path, {"PRECEPTOR_INJECTION": "off"}), file.services,
            lambda new, old: dataclasses.replace(old, settings=new),
        )  # fmt: skip
        assert await off.reload()
        assert file.services.settings == msgspec.structs.replace(settings(), injection=False)


async def test_a_changed_secret_file_is_read_and_an_empty_one_keeps_the_old_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The configuration itself stays as it is. An empty file is said, and its next content is taken."""
    secret = tmp_path / "provider"
    secret.write_text("sk-first")
    text = CONFIG.replace("[models.small]", f'api_key = "file:{secret}"\n[models.small]', 1)

    def key(file: Followed) -> str | None:
        upstream = file.services.settings.upstreams["mock"]
        assert isinstance(upstream, OpenAISettings)
        return upstream.api_key

    async with followed(tmp_path) as file, asyncio.timeout(20):
        file.write(text)
        while key(file) != "sk-first":
            await asyncio.sleep(0.01)
        secret.write_text("")
        while "holds no secret" not in caplog.text:
            await asyncio.sleep(0.01)
        assert key(file) == "sk-first"
        secret.write_text("sk-second")
        while key(file) != "sk-second":
            await asyncio.sleep(0.01)
    assert "sk-" not in caplog.text
