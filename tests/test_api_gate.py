"""The gate: with keys in the configuration nobody passes without one, and whose a request is goes with it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote

import anthropic
import httpx
import openai
import pytest

from gateway.api.gate import check_port
from gateway.errors import NotFound
from gateway.settings.keys import digest
from tests.fakes import CONFIG, FakeReply, FakeUpstream, Served, asked, served, settings

TEAM, SUMS, SMALL = ("prec-" + letter * 64 for letter in "abc")
ADMIN = "an admin key of some length"
HEAD = CONFIG.replace("[server]", f'[server]\nadmin_key = "{ADMIN}"\ndefault_upstream = "mock"')
KEYS = f"""
[tasks.words]
weak = "small"
strong = "large"
[keys.team]
hash = "{digest(TEAM)}"
[keys.sums]
hash = "{digest(SUMS)}"
tasks = ["arithmetic"]
[keys.small]
hash = "{digest(SMALL)}"
models = ["small"]
"""
CLOSED = HEAD + KEYS
PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/models",
         "/v1/models/small", "/v1/feedback", "/v1/files", "/metrics", "/", "/nowhere"]  # fmt: skip


@asynccontextmanager
async def closed(text: str = CLOSED) -> AsyncIterator[tuple[Served, FakeUpstream]]:
    """A gateway that asks for keys, and what stands behind it."""
    upstream = FakeUpstream(lambda body: "4" if body else FakeReply(200, [b"{}"], {}))
    async with served(upstream, text) as gateway:
        yield gateway, upstream


def shown(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_wants_a_key(path: str) -> None:
    """Read or written, there or not: 401 in OpenAI's shape, and nothing is asked or recorded."""
    async with closed() as (gateway, upstream):
        replies = [
            await gateway.client.request(method, path, headers=headers, json=asked())
            for method in ("GET", "POST")
            for headers in ({}, shown("wrong"), shown(ADMIN))
        ]
    assert {reply.status_code for reply in replies} == {401}
    assert {reply.headers["www-authenticate"] for reply in replies} == {"Bearer"}
    if path != "/v1/messages":
        assert replies[0].json()["error"] == {
            "message": "You didn't provide an API key: send it as 'Authorization: Bearer KEY'.",
            "type": "invalid_request_error", "param": None, "code": "invalid_api_key",
        }  # fmt: skip
    assert upstream.calls == []


async def test_who_asks_whether_the_gateway_is_well_needs_no_key() -> None:
    """An orchestrator has none."""
    async with closed() as (gateway, _):
        assert [(await gateway.client.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]


@pytest.mark.parametrize(
    "target",
    ["/livez/../v1/files", "/livez/%2e%2e/v1/files", "/livez%2f..%2fv1/files", "//v1/files", "/livez/", "/livezz",
     "/%6civez", "/V1/files", "/v1/files?/livez", "/v1/files#/livez", "/admin/../v1/files", "/admin/%2e%2e/v1/files",
     "/adminx", "/%61dmin/tasks", "http://x/v1/files", "/livez;/v1/files", "/v1/chat/completions?path=/livez"],
)  # fmt: skip
async def test_no_spelling_of_a_path_opens_the_gate(target: str) -> None:
    """The path counts as it came over the wire; whatever is not known as open is closed."""
    async with closed() as (gateway, upstream):
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(gateway.url).port)
        writer.write(f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    status = int(answer.split(b" ", 2)[1])
    # Under /admin its own key is asked for, where there is a route; else there is nothing.
    assert status == 401 or (status == 404 and target.startswith("/admin/"))
    assert upstream.calls == []


async def test_the_admin_api_has_its_own_key_and_takes_no_other() -> None:
    """A client's key decides nothing about rules."""
    async with closed() as (gateway, _):
        statuses = [
            (await gateway.client.get("/admin/tasks", headers=headers)).status_code
            for headers in ({}, shown(TEAM), shown(ADMIN))
        ]
    assert statuses == [401, 401, 200]


async def test_an_openai_client_gets_its_own_errors() -> None:
    """AuthenticationError for a wrong key, PermissionDeniedError for what a key may not use; a right one is served."""
    async with closed() as (gateway, _):

        async def ask(key: str, model: str) -> str | None:
            async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0) as client:
                reply = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "2+2"}])
                return reply.choices[0].message.content

        with pytest.raises(openai.AuthenticationError) as unknown:
            await ask("wrong", "small")
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await ask(SUMS, "small")
        assert (unknown.value.code, refused.value.code) == ("invalid_api_key", "model_not_allowed")
        assert await ask(TEAM, "small") == await ask(SUMS, "task:arithmetic") == "4"


async def test_an_anthropic_client_gets_its_own_errors() -> None:
    """It shows its key as x-api-key, and its errors have Anthropic's shape."""
    async with closed() as (gateway, upstream):

        async def ask(key: str, model: str) -> None:
            async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=key, max_retries=0) as client:
                await client.messages.create(model=model, max_tokens=9, messages=[{"role": "user", "content": "2+2"}])

        with pytest.raises(anthropic.AuthenticationError) as unknown:
            await ask("wrong", "small")
        with pytest.raises(anthropic.PermissionDeniedError) as refused:
            await ask(SMALL, "large")
        await ask(SMALL, "small")
    assert [error.value.body["error"]["type"] for error in (unknown, refused)] == [  # type: ignore[index]
        "authentication_error", "permission_error",
    ]  # fmt: skip
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_a_client_s_key_stays_here(header: str) -> None:
    """It is neither sent upstream, on any path, nor recorded; its name is."""
    headers = {header: f"Bearer {TEAM}" if header == "authorization" else TEAM}
    async with closed() as (gateway, upstream):
        reply = await gateway.client.post("/v1/chat/completions", json=asked(), headers=headers)
        exchange = await gateway.exchange(reply)
        for method, path in (("GET", "/v1/files"), ("POST", "/v1/embeddings"), ("POST", "/v1/moderations")):
            await gateway.client.request(method, path, json=asked("text"), headers=headers)
    assert exchange.key == "team" and TEAM not in repr(exchange)
    assert len(upstream.calls) == 4
    assert not [call for call in upstream.calls if TEAM in repr(call)]


@pytest.mark.parametrize(
    ("key", "body", "headers", "status"),
    [(SUMS, asked(), {}, 200), (SUMS, asked("task:arithmetic"), {}, 200), (SUMS, asked("task:words"), {}, 403),
     (SUMS, asked("small"), {}, 403), (SUMS, asked("unknown"), {}, 403), (SMALL, asked("small"), {}, 200),
     (SMALL, asked("large"), {}, 403), (SMALL, asked(), {}, 403), (SMALL, asked("unknown"), {}, 403),
     (SMALL, asked("small"), {"x-preceptor-task": "words"}, 403),
     (SMALL, asked("small", metadata={"task": "arithmetic"}), {}, 403), (TEAM, asked("unknown"), {}, 200)],
)  # fmt: skip
async def test_a_limited_key_is_held_against_what_a_request_comes_to(
    key: str, body: dict[str, object], headers: dict[str, str], status: int
) -> None:
    """However the task or the model was named; what is refused goes nowhere and is not recorded."""
    async with closed() as (gateway, upstream):
        reply = await gateway.client.post("/v1/chat/completions", json=body, headers={**shown(key), **headers})
        await asyncio.to_thread(gateway.services.writer.flush, 5)
        recorded, _ = gateway.services.store.recorded(0, limit=9)
    assert (reply.status_code, len(upstream.calls), len(recorded)) == (status, status == 200, status == 200)


@pytest.mark.parametrize(
    ("extra", "status", "code"),
    [('"model":"large"', 400, "duplicate_field"), ('"MODEL":"large"', 400, "misspelt_field"),
     ('"Messages":[{"role":"user","content":"mine"}]', 400, "misspelt_field"),
     ('"models":["large"]', 403, "field_not_allowed"), ('"fallbacks":["large"]', 403, "field_not_allowed"),
     ('"route":"fallback"', 403, "field_not_allowed"), ('"api_base":"http://x"', 403, "field_not_allowed")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("path", "words"),
    [("/v1/chat/completions", '"messages":[{"role":"user","content":"2+2"}]'),
     ("/v1/messages", '"messages":[{"role":"user","content":"2+2"}],"max_tokens":9'),
     ("/v1/responses", '"input":"2+2"'), ("/v1/completions", '"prompt":"2+2"'), ("/v1/embeddings", '"input":"2+2"')],
)  # fmt: skip
async def test_a_limited_key_cannot_ask_twice_in_one_request(
    path: str, words: str, extra: str, status: int, code: str
) -> None:
    """Upstreams differ in the name that counts: an ambiguous request is refused, and nothing reaches them."""
    async with closed() as (gateway, upstream):
        reply = await gateway.client.post(
            path, content=f'{{"model":"gpt-4o-mini",{words},{extra}}}',
            headers={**shown(SUMS), "content-type": "application/json"},
        )  # fmt: skip
    assert (reply.status_code, upstream.calls) == (status, [])
    if path != "/v1/messages":
        assert reply.json()["error"]["code"] == code


async def test_an_unlimited_key_may_send_any_field_once() -> None:
    """Routing fields are between the client and the upstream; an ambiguous body is refused all the same."""
    async with closed() as (gateway, upstream):
        sent = await gateway.client.post(
            "/v1/chat/completions", json=asked("unknown", models=["a"], fallbacks=["b"]), headers=shown(TEAM)
        )
        twice = await gateway.client.post(
            "/v1/chat/completions", content=b'{"model":"unknown","model":"x","messages":[{}]}', headers=shown(TEAM)
        )
    assert (sent.status_code, twice.status_code, len(upstream.calls)) == (200, 400, 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/files"), ("POST", "/v1/images/generations"), ("GET", "/metrics"), ("DELETE", "/v1/models/small"),
     ("POST", "/v1/models/small"), ("GET", "/v1/models/%2e%2e/files"), ("POST", "/v1/%63hat/completions"),
     ("GET", "/v1/responses/resp_1"), ("POST", "/v1/feedback/x")],
)  # fmt: skip
async def test_a_limited_key_has_no_way_around_its_limits(method: str, path: str) -> None:
    """The default upstream's other paths would serve it any model; the metrics are about everybody."""
    async with closed() as (gateway, upstream):
        for key in (SUMS, SMALL):
            request = gateway.client.build_request(method, "/", json=asked("large"), headers=shown(key))
            request.url = httpx.URL(f"{gateway.url}{path}")
            reply = await gateway.client.send(request)
            assert reply.status_code in (403, 404, 405)
    assert upstream.calls == []


async def test_a_key_sees_the_names_that_it_may_use() -> None:
    """In the list of models, and one by one."""
    async with closed() as (gateway, _):
        names = {
            key: [model["id"] for model in (await gateway.client.get("/v1/models", headers=shown(key))).json()["data"]]
            for key in (TEAM, SUMS, SMALL)
        }
        statuses = [
            (await gateway.client.get(f"/v1/models/{name}", headers=shown(SMALL))).status_code
            for name in ("small", "large")
        ]
    assert names == {
        TEAM: ["small", "large", "gpt-4o-mini", "task:arithmetic", "task:words"],
        SUMS: ["gpt-4o-mini", "task:arithmetic"],
        SMALL: ["small"],
    }
    assert statuses == [200, 404]


async def test_a_limited_key_may_say_what_its_replies_were_worth() -> None:
    """Feedback is part of asking."""
    async with closed() as (gateway, _):
        reply = await gateway.client.post("/v1/chat/completions", json=asked(), headers=shown(SUMS))
        said = await gateway.client.post(
            "/v1/feedback", json={"id": reply.json()["id"], "correct": True}, headers=shown(SUMS)
        )
    assert said.status_code == 200


async def test_without_keys_nobody_is_asked() -> None:
    """As before there were keys; whatever a client sends as its key goes nowhere."""
    async with closed(HEAD) as (gateway, upstream):
        reply = await gateway.client.post("/v1/chat/completions", json=asked(), headers=shown("not-needed"))
        exchange = await gateway.exchange(reply)
    assert (reply.status_code, exchange.key) == (200, None)
    assert "not-needed" not in repr(upstream.calls)


async def test_changed_keys_are_in_effect_with_the_configuration() -> None:
    """A key that was taken out opens nothing from the next request on, a new one does."""
    async with closed(CLOSED) as (gateway, _):
        statuses = []
        for hash_ in (digest(TEAM), digest("prec-another one"), digest(TEAM)):
            made = settings(HEAD + f'[keys.team]\nhash = "{hash_}"\n')
            gateway.services.serving = dataclasses.replace(gateway.services.serving, settings=made)
            for call in gateway.services.on_reload:
                call()
            statuses.append((await gateway.client.get("/v1/models", headers=shown(TEAM))).status_code)
    assert statuses == [200, 401, 200]


async def test_a_refused_body_is_not_read_and_the_connection_goes_on() -> None:
    """A large one does not arrive before its sender is known."""
    async with closed() as (gateway, upstream):
        refused = await gateway.client.post("/v1/chat/completions", content=b"x" * 5_000_000)
        reply = await gateway.client.post("/v1/chat/completions", json=asked(), headers=shown(TEAM))
    assert (refused.status_code, reply.status_code, len(upstream.calls)) == (401, 200, 1)


@pytest.mark.parametrize(
    ("path", "here"),
    [
        ("/livez", True), ("/readyz", True), ("/v1/models", True), ("/", True), ("/adminx", True),
        ("/admin/tasks", False), ("/admin", False), ("/metrics", False), ("/metrics/", False), ("//admin/tasks", False),
        ("/%61dmin/tasks", False), ("/ui", False),
    ],
)  # fmt: skip
async def test_operators_have_a_port_of_their_own(path: str, here: bool) -> None:
    """Their paths are unknown on the clients' port, however they are written; health is told on both."""
    text = CONFIG.replace("[server]", "[server]\nadmin_port = 18101")
    async with served(FakeUpstream(lambda body: "4"), text) as gateway:
        reply = await gateway.client.get(path)
        scope = {"path": unquote(path), "server": ("127.0.0.1", 18101), "method": "GET"}
        if here and path not in {"/livez", "/readyz"}:
            with pytest.raises(NotFound):
                check_port(scope, 18101)  # type: ignore[arg-type]  # what it reads of a scope
        else:
            check_port(scope, 18101)  # type: ignore[arg-type]  # the same
    unknown = reply.status_code == 404 and reply.json()["error"]["code"] == "unknown_url"
    assert unknown != here or path == "/adminx"
