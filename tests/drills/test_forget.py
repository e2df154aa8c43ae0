"""A text planted in requests, replies and feedback is nowhere any more: after ``forget``, and after its days."""

import asyncio
import contextlib
import logging
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from tests.fakes import CONFIG, completion, free_port, loopback_client, read_request
from tests.test_optimizer_commands_forget import PLANT, holding, planted

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
LIMIT_S = 120
ROUNDS = 20


async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A model server that repeats the planted text: in replies, in every tenth refusal, and once in nonsense."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            _, _, body = await read_request(reader)
            refused, nonsense = b"refuse" in body, b"nonsense" in body
            reply = b'{"error": {"message": "%s"}}' % PLANT.encode() if refused else completion(f"{PLANT} is 4")
            if nonsense:
                reply = b"<p>" + PLANT.encode()
            status = "400 Bad Request" if refused else "200 OK"
            head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(reply)}\r\n\r\n"
            writer.write(head.encode() + reply)


def asked(number: int, user: str, text: str) -> Mapping[str, Any]:
    extra = {7: " refuse", 8: " nonsense"}.get(number % 10, "")
    return {
        "model": "gpt-4o-mini", "stream": number % 3 == 0, "user": user,
        "messages": [{"role": "user", "content": f"{text} {number}{extra}"}],
        "tools": [{"type": "function", "function": {"name": "add", "description": text}}],
    }  # fmt: skip


@contextlib.asynccontextmanager
async def gateway(folder: Path, upstream: str, server: str = "", task: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A gateway as its users start it, with its learner; its log goes to a file beside the database."""
    port = free_port()
    text = CONFIG.replace("http://127.0.0.1:9/v1", upstream).replace("enabled = false", "sweep_s = 0.2")
    text = text.replace("rollout =", f"{task}\nrollout =")
    config = folder / "preceptor.toml"
    await asyncio.to_thread(
        config.write_text, text.replace("port = 0", f'{server}\nport = {port}\ndata_dir = "{folder}"')
    )
    with (folder / "log").open("ab") as out:
        process = await started("serve", "-c", str(config), stderr=out)
        try:
            async with loopback_client(f"http://127.0.0.1:{port}") as client:
                async with asyncio.timeout(LIMIT_S):
                    while not await answers(client):
                        await asyncio.sleep(0.05)
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(LIMIT_S):
                await process.wait()


async def started(*arguments: str, stderr: Any = DEVNULL) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *arguments, stdin=DEVNULL, stdout=DEVNULL, stderr=stderr, cwd=ROOT
    )


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/livez")).status_code == 200
    except httpx.TransportError:
        return False


async def judge(client: httpx.AsyncClient, judgement: Mapping[str, Any]) -> None:
    """Send feedback again as long as the store is busy, as its 503 asks for."""
    async with asyncio.timeout(LIMIT_S):
        while (reply := await client.post("/v1/feedback", json=judgement)).status_code == 503:
            await asyncio.sleep(0.2)
    assert reply.status_code == 200, reply.text


async def talk(client: httpx.AsyncClient, user: str, text: str) -> int:
    """Ask in every way, judge every reply with the text; return the number of good replies."""
    good = 0
    for number in range(ROUNDS):
        headers = {"x-client-request-id": f"{user}-{number}"}
        reply = await client.post("/v1/chat/completions", json=asked(number, user, text), headers=headers)
        if reply.status_code == 200:
            good += 1
            judgement = {"id": reply.headers["x-request-id"], "expected": text, "comment": text}
            await judge(client, judgement)
    return good


async def test_a_forgotten_person_s_text_is_in_no_file(tmp_path: Path) -> None:
    """While the gateway runs and learns, and after it has ended; everybody else's exchanges stay."""
    await asyncio.to_thread(planted, tmp_path, more=False)
    async with loopback_server(model) as upstream, gateway(tmp_path, upstream) as client:
        good = await talk(client, "ann", PLANT)
        assert good > ROUNDS / 2
        assert len(await asyncio.to_thread(holding, tmp_path)) >= 2
        forgetting = await started("forget", "--user", "ann", "--yes", "-c", str(tmp_path / "preceptor.toml"))
        async with asyncio.timeout(LIMIT_S):
            assert await forgetting.wait() == 0
        while_it_runs = await asyncio.to_thread(holding, tmp_path)
    afterwards = await asyncio.to_thread(holding, tmp_path)
    log.warning("%d replies; the text is in %s while it runs, in %s afterwards", good, while_it_runs, afterwards)
    assert while_it_runs == afterwards == []
    with contextlib.closing(SqlStore.open(tmp_path)) as store:
        assert store.exchange("b") is not None


@pytest.mark.parametrize("more", [False, True], ids=["alone", "with others after it"])
async def test_a_text_is_in_no_file_when_its_days_are_over(tmp_path: Path, more: bool) -> None:
    """Of the newest exchange, too; the gateway deletes at its start and every minute."""
    await asyncio.to_thread(planted, tmp_path, more=False)
    async with loopback_server(model) as upstream:
        async with gateway(tmp_path, upstream) as client:
            await talk(client, "ann", PLANT)
            if more:
                await client.post("/v1/chat/completions", json=asked(8, "bob", "harmless"))
        assert await asyncio.to_thread(holding, tmp_path) != []
        async with gateway(tmp_path, upstream, "retention_days = 1e-6"), asyncio.timeout(LIMIT_S):
            while await asyncio.to_thread(holding, tmp_path):
                await asyncio.sleep(0.1)
    assert await asyncio.to_thread(holding, tmp_path) == []


@pytest.mark.parametrize("mode", ["text off", "off"])
async def test_a_text_that_is_not_recorded_is_in_no_file(tmp_path: Path, mode: str) -> None:
    """Neither in the database nor in the log, whatever went wrong."""
    async with loopback_server(model) as upstream, gateway(tmp_path, upstream, f'record = "{mode}"') as client:
        for number in range(ROUNDS):
            await client.post("/v1/chat/completions", json=asked(number, "ann", PLANT))
    assert await asyncio.to_thread(holding, tmp_path) == []


async def test_a_reply_kept_in_memory_is_forgotten_by_every_worker(tmp_path: Path) -> None:
    """Within seconds: each asks the model anew, and no reply has an id from before."""
    both = 'preceptor_background_running{loop="replies.keep"} 2.0'
    question = {**asked(1, "ann", PLANT), "temperature": 0, "stream": False}

    async def replies() -> list[httpx.Response]:
        """All at once, each over a connection of its own, to whichever worker takes it."""
        close = {"connection": "close"}
        asks = (client.post("/v1/chat/completions", json=question, headers=close) for _ in range(ROUNDS))
        return list(await asyncio.gather(*asks))

    def ids(given: list[httpx.Response]) -> set[str]:
        return {reply.headers["x-request-id"] for reply in given}

    async with loopback_server(model) as upstream, gateway(tmp_path, upstream, "workers = 2", "cache = {}") as client:
        async with asyncio.timeout(LIMIT_S):
            while both not in (await client.get("/metrics")).text:
                await asyncio.sleep(0.2)
            before = await replies()
            while any(reply.headers["x-preceptor-cache"] == "miss" for reply in before):
                before = await replies()
        assert len(ids(before)) <= 2
        forgetting = await started("forget", "--user", "ann", "--yes", "-c", str(tmp_path / "preceptor.toml"))
        async with asyncio.timeout(LIMIT_S):
            assert await forgetting.wait() == 0
        ended = asyncio.get_running_loop().time()
        async with asyncio.timeout(LIMIT_S):
            while ids(await replies()) & ids(before):
                await asyncio.sleep(0.05)
        took_s = asyncio.get_running_loop().time() - ended
        log.warning("replies of %d workers forgotten after %.1f s", len(ids(before)), took_s)
