"""The console's pages on a large desk: ``python -m tests.bench.console [EXCHANGES] [TASKS]``.

Fills a database (a million exchanges of 10,000 tasks unless told otherwise) in a temporary folder, and asks for each
page nine times over loopback. Prints the first time and the median, in milliseconds.
"""

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from gateway.store.sql import SqlStore
from optimizer.monitoring.daybook import DAYS
from optimizer.monitoring.rollout.status import STATUS
from tests.consoles import CONFIG, NOW, console, signed_in, stocked

PAGES = (
    "/ui", "/ui?page=100", "/ui?q=extra-77", "/ui/tasks/extra-5", "/ui/tasks/extra-5/labels",
    "/ui/tasks/extra-5/mistakes", "/ui/exchanges", "/ui/exchanges?task=extra-5", "/ui/exchanges?text=question+5000",
    "/ui/promises", "/ui/history",
)  # fmt: skip
_RUNS = 9
_FILL = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :exchanges - 1)
INSERT INTO exchanges (id, created, task, client_model, model, arm, rules, stream, status, http_status, prompt_tokens,
    output_tokens, latency_ms, audit_rate, request, reply)
SELECT 'x' || printf('%012d', i), :now - (:exchanges - i) * 0.5, 'extra-' || (i % :tasks), 'm', 'small', 'weak', 1, 0,
    'ok', 200, 100, 3, 300.0, CASE WHEN i % 20 = 0 THEN 0.1 ELSE 0 END,
    CAST('{"messages":[{"role":"user","content":"question ' || i || '"}]}' AS BLOB), 'answer ' || i FROM n
"""


def fill(folder: Path, exchanges: int, tasks: int) -> None:
    """Fill a migrated database; every task has the notes of a busy one."""
    desk = stocked()
    notes = [(note.key(), desk.note(note.key("ticket-desk"))) for note in (DAYS, STATUS)]
    with closing(sqlite3.connect(folder / "preceptor.db")) as database:
        database.execute(_FILL, {"exchanges": exchanges, "tasks": tasks, "now": NOW})
        rows = [(f"{key}/extra-{number}", value) for number in range(tasks) for key, value in notes]
        database.executemany("INSERT INTO notes (key, value) VALUES (?, ?)", rows)
        database.commit()


async def measure(folder: Path, exchanges: int, tasks: int) -> None:
    """Print the time of each page."""
    store = SqlStore.open(folder)
    fill(folder, exchanges, tasks)
    text = CONFIG + "".join(f'[tasks.extra-{number}]\nweak = "small"\nstrong = "large"\n' for number in range(tasks))
    async with console(store, text) as served:
        client = await signed_in(served)
        for page in PAGES:
            times = []
            for _ in range(_RUNS):
                began = time.perf_counter()
                reply = await client.get(page)
                times.append(1000 * (time.perf_counter() - began))
                assert reply.status_code == 200, page
            print(f"{page:<40} first {times[0]:6.1f}  median {statistics.median(times):6.1f}")  # noqa: T201
    store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(measure(Path(made), int((sys.argv[1:] or ["1000000"])[0]), int((sys.argv[2:] or ["10000"])[0])))
