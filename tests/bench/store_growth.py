"""What do exchanges cost on disk? ``python -m tests.bench.store_growth [EXCHANGES]`` (20,000 unless told otherwise).

Records exchanges with prompts and replies of words in a new SQLite database and, where the test group's Postgres is
installed, in a new one of those; one in a hundred has feedback. Prints the size of a million, and the exchanges a
second that a single writer takes in batches of 500 with the disk's own guarantees.
"""

import contextlib
import json
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.domain import Exchange, Feedback
from gateway.store.sql import SqlStore
from tests.postgres import server_in

SIZES = ((1_000, 300), (4_000, 1_000), (16_000, 2_000))
"""Characters of a prompt and of its reply."""
BATCH = 500
FEEDBACK_EVERY = 100
_PAGES = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
_WORDS = " ".join(page.read_text(encoding="utf-8") for page in _PAGES).split()


def text(randomness: random.Random, length: int) -> str:
    """Words of the documentation in a random order: neither random letters nor one sentence over and over."""
    return " ".join(randomness.choices(_WORDS, k=length // 4))[:length]


def exchanges(count: int, prompt: int, reply: int) -> Iterator[Exchange]:
    """Exchanges as a gateway records them."""
    randomness = random.Random(1)
    for number in range(count):
        body = {"model": "task:answers", "messages": [{"role": "user", "content": text(randomness, prompt)}]}
        yield Exchange(
            id=f"chatcmpl-{uuid.UUID(int=randomness.getrandbits(128)).hex}", created=1e9 + number, task="answers",
            client_model="task:answers", model="small", arm="weak", rules=3, stream=False, status="ok",
            http_status=200, request=json.dumps(body).encode(), reply=text(randomness, reply), key="team-a",
            finish_reason="stop", latency_ms=800.0,
        )  # fmt: skip


def filled(store: SqlStore, count: int, prompt: int, reply: int) -> float:
    """Record exchanges and their feedback; return the seconds of the recording alone."""
    rows, taken = list(exchanges(count, prompt, reply)), 0.0
    for start in range(0, count, BATCH):
        began = time.perf_counter()
        store.record(rows[start : start + BATCH])
        taken += time.perf_counter() - began
    for row in rows[::FEEDBACK_EVERY]:
        store.add_feedback(Feedback(exchange_id=row.id, created=row.created, correct=True))
    return taken


def report(name: str, store: SqlStore, count: int, size: tuple[int, int], used: Callable[[], int]) -> None:
    """Fill a store and print a row of the table."""
    before = used()
    taken = filled(store, count, *size)
    gigabytes = (used() - before) / count / 1000
    print(f"| {name} | {size[0]:,} + {size[1]:,} | {gigabytes:.1f} | {count / taken:,.0f} |", flush=True)  # noqa: T201


def main(count: int) -> None:
    print("| store | characters of prompt and reply | GB a million | exchanges a second |\n|---|---|---|---|")  # noqa: T201
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(SqlStore.open(Path(folder))) as store:
            report("SQLite", store, count, size, store._database.used_bytes)
    postgres = Path(tempfile.gettempdir()) / f"store-growth-{uuid.uuid4().hex}"
    with contextlib.suppress(pytest.skip.Exception), server_in(postgres, hasty=False) as server:
        (version,) = server.run("SHOW server_version")[0]
        for size in SIZES:
            name = server.empty()

            def used(name: str = name) -> int:
                server.run("VACUUM", name)
                return int(server.run(f"SELECT pg_database_size('{name}')")[0][0])

            with contextlib.closing(SqlStore.open(Path(), server.address(name))) as store:
                report(f"Postgres {version}", store, count, size, used)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
