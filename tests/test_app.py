"""The composition: which parts a configuration gives, and the order in which they open and close."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from gateway.app import build_app, build_services, llamacpp_models, running
from gateway.domain import Activation, Rule, RuleSet
from gateway.errors import PreceptorError, StoreError
from gateway.store.memory import MemoryStore
from gateway.upstream.guarded import Guarded
from tests.fakes import CONFIG, FakeUpstream, MoodyStore, asked, served, services, settings


def configured(tmp_path: Path, text: str = CONFIG) -> str:
    return text.replace("port = 0", f'port = 0\ndata_dir = "{tmp_path}"')


async def test_services_follow_the_configuration(tmp_path: Path) -> None:
    """One upstream per section, gauges for the writer, and nothing is opened: no file, no connection."""
    store = MemoryStore()
    made = build_services(settings(configured(tmp_path / "data")), store)
    assert isinstance(made.serving.upstreams["mock"], Guarded)
    assert made.store is store
    assert b"preceptor_writer_pending 0.0" in made.telemetry.text()
    assert b"preceptor_writer_dropped 0.0" in made.telemetry.text()
    assert not (tmp_path / "data").exists()


EMBEDDED = """
[upstreams.local]
kind = "llamacpp"
[upstreams.other]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.a]
upstream = "local"
model = "PATH"
[models.b]
upstream = "local"
model = "PATH"
[models.c]
upstream = "other"
model = "PATH"
"""


def test_an_embedded_upstream_serves_the_models_that_name_it() -> None:
    """Each file once."""
    assert llamacpp_models("local", settings(EMBEDDED)) == {"PATH"}


async def test_a_missing_model_file_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    """With what to do about it."""
    text = EMBEDDED.replace("PATH", str(tmp_path / "nothing.gguf"))
    with pytest.raises(PreceptorError, match=r"nothing\.gguf"):
        build_services(settings(text), MemoryStore())


class Noting(FakeUpstream):
    """An upstream that writes down what happens to it, and may fail to open."""

    def __init__(self, fail: bool = False) -> None:
        super().__init__(lambda body: "4")
        self.notes: list[str] = []
        self._fail = fail

    async def open(self) -> None:
        self.notes.append("open")
        if self._fail:
            raise PreceptorError("no")

    async def aclose(self) -> None:
        self.notes.append("close")


async def test_everything_that_was_opened_is_closed() -> None:
    """Also when the next part does not open; and what is queued is written in the end."""
    first, second = Noting(), Noting(fail=True)
    store = MemoryStore()
    with pytest.raises(PreceptorError):
        async with running(services(settings(), {"first": first, "second": second}, store)):
            pytest.fail("it opened")
    assert (first.notes, second.notes) == (["open", "close"], ["open", "close"])


async def test_a_gateway_does_not_start_on_a_store_that_cannot_be_read() -> None:
    """Without the rule sets that are live it would serve something else than it served before."""
    store = MoodyStore()
    store.down = True
    with pytest.raises(StoreError):
        async with running(services(settings(), {}, store)):
            pytest.fail("it opened")


async def test_what_was_recorded_is_in_the_store_when_the_gateway_has_stopped() -> None:
    """Closing writes what is still queued."""
    store = MemoryStore()
    async with served(FakeUpstream(lambda body: "4"), store=store) as gateway:
        replies = [await gateway.client.post("/v1/chat/completions", json=asked()) for _ in range(20)]
    assert all(store.exchange(reply.json()["id"]) is not None for reply in replies)


async def test_the_watch_ends_with_the_gateway() -> None:
    """No task is left behind."""
    before = asyncio.all_tasks()
    async with running(services(settings(), {})):
        pass
    assert asyncio.all_tasks() == before


class Unreadable(MemoryStore):
    """A store in which a row cannot be decoded while it is ``spoilt``."""

    def __init__(self) -> None:
        super().__init__()
        self.spoilt = False

    def revision(self) -> int:
        if self.spoilt:
            raise msgspec.ValidationError("Object missing required field `text`")
        return super().revision()


async def test_a_row_that_cannot_be_read_does_not_end_the_watch() -> None:
    """Once it is readable again, decisions are followed as before."""
    store = Unreadable()
    store.publish(RuleSet(task="arithmetic", rules=(Rule(text="Think."),)))
    made = services(settings(), {}, store)
    async with running(made):
        store.spoilt = True
        async with asyncio.timeout(10):
            while "rules.watch" not in made.background.failures:
                await asyncio.sleep(0.01)
        store.activate(Activation(task="arithmetic", version=1, created=0, by="test"))
        store.spoilt = False
        async with asyncio.timeout(10):
            while not made.rules.current.splits:
                await asyncio.sleep(0.01)
    assert made.rules.current.splits["arithmetic"].live is not None


async def test_no_route_but_the_documented_ones_exists() -> None:
    """A schema, a debugger or an admin page that a framework brings along would be a door."""
    app = build_app(services(settings(), {}))
    assert set(app.endpoints) == {
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages",
        "/v1/messages/count_tokens", "/api/chat", "/api/generate", "/api/embed", "/api/embeddings",
    }  # fmt: skip
    assert {route.path for route in app.rest.routes} == {
        "/", "/v1", "/v1/models", "/v1/models/{name:path}", "/v1/feedback", "/livez", "/readyz", "/metrics",
        "/api/tags", "/api/show", "/api/ps", "/api/version",
        "/admin/tasks", "/admin/rules", "/admin/rules/show", "/admin/rules/diff", "/admin/rules/history",
        "/admin/rules/activate", "/admin/rules/rollback", "/admin/rules/share", "/admin/injection",
        "/admin/keys", "/admin/keys/new", "/admin/keys/rotate", "/admin/keys/revoke", "/admin/spend",
        "/admin/upstreams",
    }  # fmt: skip
    assert not app.rest.debug
