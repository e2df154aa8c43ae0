"""The gateway's latency while ten people click: ``python -m tests.bench.console_clicks [EXCHANGES] [TASKS]``.

A gateway as a process of its own (``preceptor serve``, without its learner) before a scripted model, on a database as
``tests.bench.console`` fills it. One client asks without a pause. By turns nobody clicks, ten people in a further
process open a page a second each, and they do so on a second gateway on the same database: a console in a process of
its own would cost as much. Prints the median and the 99th percentile of each kind of round, in milliseconds, and the
slowest page.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from gateway.store.sql import SqlStore
from optimizer.demo.play import serving
from optimizer.demo.scripted_server import scripted_server
from tests.bench.console import PAGES, fill
from tests.consoles import CONFIG, KEY, token_in

_ROUNDS = 5
_ROUND_S = 12.0
_PEOPLE = 10
_PAUSE_S = 1.0
_NOBODY, _ELSEWHERE, _HERE = _KINDS = ("nobody clicks", "ten people click elsewhere", "ten people click")
_ASKED = {"model": "small", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}


async def ask(url: str, seconds: float) -> list[float]:
    """Return the milliseconds of each request of a client that asks without a pause."""
    times, end = list[float](), time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as client:
        while time.monotonic() < end:
            began = time.perf_counter()
            reply = await client.post("/v1/chat/completions", json=_ASKED)
            times.append(1000 * (time.perf_counter() - began))
            assert reply.status_code == 200, reply.text
    return times


async def click(url: str, seconds: float) -> None:
    """Click as ten people do, and print the slowest page."""
    end, slowest = time.monotonic() + seconds, (0.0, "")

    async def person(number: int) -> None:
        nonlocal slowest
        chance = random.Random(number)
        async with httpx.AsyncClient(base_url=url, timeout=60.0) as client:
            page = await client.get("/ui/login")
            await client.post("/ui/login", data={"key": KEY, "token": token_in(page.text)})
            while time.monotonic() < end:
                wanted, began = chance.choice(PAGES), time.perf_counter()
                reply = await client.get(wanted)
                assert reply.status_code == 200, wanted
                slowest = max(slowest, (1000 * (time.perf_counter() - began), wanted))
                await asyncio.sleep(chance.uniform(0.5, 1.5) * _PAUSE_S)

    await asyncio.gather(*map(person, range(_PEOPLE)))
    print(f"{slowest[0]:.0f} {slowest[1]}")  # noqa: T201


async def measure(folder: Path, exchanges: int, tasks: int) -> None:
    """Print the latencies of rounds with and without clicks, in turn."""
    SqlStore.open(folder).close()
    fill(folder, exchanges, tasks)
    times: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    pages = list[str]()
    async with scripted_server({"qwen2.5-1.5b": lambda body: "4"}) as upstream:
        config = folder / "preceptor.toml"
        text = CONFIG.replace("port = 0", f'data_dir = "{folder}"\nlame_duck_s = 0')
        text = text.replace("http://127.0.0.1:9/v1", upstream)
        text += "".join(f'[tasks.extra-{number}]\nweak = "small"\nstrong = "large"\n' for number in range(tasks))
        config.write_text(text, encoding="utf-8")
        async with (
            serving(config, folder / "gateway.log") as (url, _),
            serving(config, folder / "second.log") as (second, _),
        ):
            await ask(url, 2.0)
            for kind in _KINDS * _ROUNDS:
                people = None
                if kind is not _NOBODY:
                    people = await asyncio.create_subprocess_exec(
                        sys.executable, "-m", __spec__.name, "click", url if kind is _HERE else second, str(_ROUND_S),
                        stdout=asyncio.subprocess.PIPE,
                    )  # fmt: skip
                    await asyncio.sleep(1.5)  # they sign in
                times[kind] += await ask(url, _ROUND_S - 2.0)
                if people is not None:
                    said, _ = await people.communicate()
                    pages.append(said.decode().strip())
    for kind, taken in times.items():
        cuts = statistics.quantiles(taken, n=100)
        print(f"{kind:<32} median {cuts[49]:6.2f}  p99 {cuts[98]:6.2f}  requests {len(taken):,}")  # noqa: T201
    print(f"slowest page of a round: {', '.join(pages)}")  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:2] == ["click"]:
        asyncio.run(click(sys.argv[2], float(sys.argv[3])))
    else:
        with tempfile.TemporaryDirectory() as made:
            asyncio.run(measure(Path(made), int((sys.argv[1:] or ["1000000"])[0]), int((sys.argv[2:] or ["10000"])[0])))
