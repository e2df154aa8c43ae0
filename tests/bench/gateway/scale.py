"""Do things stay quick when there is much of everything? ``python -m tests.bench.gateway.scale``.

The real settings, classifier, rules and SQLite store, once with little and once with much: what is looked up on a
request must cost the same, the rest may grow within its limit. What is over its limit is shown with a profile.
"""

import cProfile
import io
import itertools
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from gateway.auth import Keyring
from gateway.domain import Value
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Conversation
from gateway.routing.classify import Classifier
from gateway.routing.route import route
from gateway.routing.rule_snapshot import LiveRules
from gateway.settings import load
from gateway.store.retention import BATCH
from gateway.store.sql import SqlStore
from gateway.store.sqlite import FILE
from tests.bench.gateway.machine import machine
from tests.bench.gateway.process import GATEWAY_CORE, ROOT, free_port, process, wait_for
from tests.bench.gateway.scale_data import (
    Size,
    activate_one,
    client_key,
    exchange_id,
    fill,
    task_name,
    write_settings,
)
from tests.bench.gateway.scale_retention import beside_retention

LITTLE = Size(tasks=10, rule_sets=10, exchanges=1000, keys=10)
FLAT = 2.0
"""How many times as long a look-up on the request path may take where there is much."""
LOOKUP_FLOOR_US = 5.0
"""Below this a look-up is quick, whatever its multiple."""


class Timing(Value, frozen=True):
    """How long one thing took, in ms: the best of some repetitions."""

    name: str
    ms: float
    limit_ms: float | None
    """``None`` for what is on the request path: that is compared with the small case."""
    profile: str = ""


def timed(name: str, work: Callable[[], object], *, limit_ms: float | None, times: int = 1) -> Timing:
    """Time something; ``times`` calls in a row count as one repetition. Profiled where it is over its limit."""
    took: list[float] = []
    while len(took) < 5 and sum(took) < 2.0:
        began = time.perf_counter()
        for _ in range(times):
            work()
        took.append(time.perf_counter() - began)
    ms = min(took) / times * 1000
    profile = profiled(work) if limit_ms is not None and ms > limit_ms else ""
    return Timing(name=name, ms=ms, limit_ms=limit_ms, profile=profile)


def profiled(work: Callable[[], object]) -> str:
    """Where the time goes: the functions that took most themselves."""
    profile, text = cProfile.Profile(), io.StringIO()
    profile.runcall(work)
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(8)
    lines = [line for line in text.getvalue().splitlines() if line.strip()]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("Ordered", "List")))


def measure(size: Size, folder: Path) -> tuple[list[Timing], float]:
    """Everything at one size; and the bytes that an exchange takes in the database."""
    data, file = folder / "data", folder / "preceptor.toml"
    write_settings(file, data, size)
    store = SqlStore.open(data)
    try:
        empty = database_bytes(data)
        timings = [Timing(name="record 1,000 exchanges", ms=fill(store, size), limit_ms=100)]
        per_exchange = (database_bytes(data) - empty) / size.exchanges
        timings += requests(file, store, size)
        timings += listings(store, size)
        timings += starts(file, folder)
        timings += retention(store)
    finally:
        store.close()
    return timings, per_exchange


def database_bytes(data: Path) -> int:
    """The database with what is still in its log."""
    return sum(path.stat().st_size for path in data.glob(f"{FILE}*"))


def requests(file: Path, store: SqlStore, size: Size) -> Iterator[Timing]:
    """What every request asks: which task, which rules; and what becomes of them when one rule set changes."""
    settings = load(file)
    yield timed("read the configuration", lambda: load(file), limit_ms=1000)
    yield timed("build the classifier", lambda: Classifier(settings.tasks), limit_ms=1000)
    classifier, live = Classifier(settings.tasks), LiveRules()
    live.swap(store.traffic_splits(), 1)
    yield timed("build the look-up of keys", lambda: Keyring(settings.keys), limit_ms=100)
    keys = Keyring(settings.keys)
    shown = itertools.cycle(
        {b"authorization": f"Bearer {client_key(number)}".encode()}
        for number in range(0, size.keys, max(1, size.keys // 10))
    )
    yield timed("* tell whose key it is", lambda: keys.holder(next(shown)), limit_ms=None, times=2000)
    names = [task_name(number) for number in range(0, size.tasks, max(1, size.tasks // 10))]
    bodies = itertools.cycle([asked(name, "Be brief.") for name in names])
    yield timed(
        "* recognise a task by model", lambda: classifier.task_of(next(bodies), lambda _: None),
        limit_ms=None, times=2000,
    )  # fmt: skip
    yield timed(
        "* decide where a request goes, rules included",
        lambda: route(next(bodies), names[0], live.current, settings), limit_ms=None, times=2000,
    )  # fmt: skip
    by_prompt = Classifier(
        {name: msgspec.structs.replace(task, match=msgspec.structs.replace(task.match, model=None, system_prompt=name))
         for name, task in settings.tasks.items()}
    )  # fmt: skip
    prompts = itertools.cycle([asked("any", f"Words before. {name}") for name in names])
    yield timed(
        "* recognise a task by system prompt alone", lambda: by_prompt.task_of(next(prompts), lambda _: None),
        limit_ms=None, times=5,
    )  # fmt: skip
    activate_one(store)
    yield timed("read all active rule sets", store.active, limit_ms=500)
    splits = store.traffic_splits()
    yield timed("swap rules after one changed", lambda: live.swap(splits, 2), limit_ms=10)
    yield timed("ask whether rules changed (twice a second)", store.revision, limit_ms=5, times=20)


def asked(model: str, system: str) -> Conversation:
    """A request, decoded."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "How many are left?"}]
    return open_chat(json.dumps({"model": model, "messages": messages}).encode())


def listings(store: SqlStore, size: Size) -> Iterator[Timing]:
    """What people and the optimizer ask the store."""
    busy, quiet = task_name(0), task_name(size.tasks - 1)
    yield timed("counts of all tasks (tasks list)", store.counts, limit_ms=1000)
    yield timed("one exchange", lambda: store.exchange(exchange_id(0)), limit_ms=20, times=20)
    yield timed("an exchange that is not there", lambda: store.exchange("nowhere"), limit_ms=20, times=20)
    yield timed("newest 600 graded, busy task", lambda: store.graded(busy, limit=600), limit_ms=500)
    yield timed("newest 600 graded, quiet task", lambda: store.graded(quiet, limit=600), limit_ms=500)
    yield timed("rule sets of a task (rules list)", lambda: store.rule_sets(busy), limit_ms=50)
    yield timed("history of a task", lambda: store.history(busy), limit_ms=50)
    yield timed("last cycles of a task", lambda: store.cycles(busy, limit=5), limit_ms=50)


def retention(store: SqlStore) -> Iterator[Timing]:
    """What deleting old exchanges costs those who record new ones."""
    beside = beside_retention(store)
    yield Timing(name="writer alone, p99 of its batches", ms=beside.alone.p99, limit_ms=100)
    yield Timing(name="writer while old exchanges are deleted, p99", ms=beside.meanwhile.p99, limit_ms=100)
    yield Timing(name="writer while old exchanges are deleted, longest", ms=beside.meanwhile.longest, limit_ms=250)
    yield Timing(name="delete 1,000 old exchanges, pauses included", ms=1e6 / beside.deleted_per_s, limit_ms=1000)
    yield timed(f"delete {BATCH} old exchanges", lambda: store.forget(time.time(), limit=BATCH), limit_ms=100)


def starts(file: Path, folder: Path) -> Iterator[Timing]:
    """A gateway until it is ready, and the command that lists tasks: processes, whose insides are not profiled."""
    yield Timing(name="start-up until ready", ms=min(start_ms(file, folder) for _ in range(3)), limit_ms=3000)
    listing = [sys.executable, "-m", "gateway", "tasks", "list", "-c", str(file)]
    began = time.perf_counter()
    subprocess.run(listing, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # it stands above
    yield Timing(name="preceptor tasks list", ms=(time.perf_counter() - began) * 1000, limit_ms=3000)


def start_ms(file: Path, folder: Path) -> float:
    port, log = free_port(), folder / "log"
    command = (sys.executable, "-m", "gateway", "serve", "-c", str(file), "--port", str(port))
    began = time.perf_counter()
    with process(GATEWAY_CORE, *command, log=log) as pid:
        wait_for(f"http://127.0.0.1:{port}/readyz", pid, log)
        return (time.perf_counter() - began) * 1000


def slow(little: Timing, much: Timing) -> bool:
    """Whether something is over its limit, or a look-up that is not flat."""
    if much.limit_ms is not None:
        return much.ms > much.limit_ms
    return much.ms > FLAT * little.ms and much.ms * 1000 > LOOKUP_FLOOR_US


def report(little: Sequence[Timing], much: Sequence[Timing]) -> Iterator[str]:
    yield "| | little, ms | much, ms | limit, ms | |\n|---|---|---|---|---|"
    for few, many in zip(little, much, strict=True):
        limit = f"{FLAT:g} x little" if many.limit_ms is None else f"{many.limit_ms:,.0f}"
        verdict = "**slow**" if slow(few, many) else ""
        yield f"| {many.name} | {few.ms:,.4g} | {many.ms:,.4g} | {limit} | {verdict} |"
    for many in much:
        if many.profile:
            yield f"\n{many.name}:\n\n```\n{many.profile}\n```"


@click.command()
@click.option("--tasks", default=10_000, show_default=True)
@click.option("--rule-sets", default=1000, show_default=True, help="Tasks with an active rule set of five rules.")
@click.option("--keys", default=1000, show_default=True)
@click.option("--exchanges", default=1_000_000, show_default=True, help="About 1.3 GB of disk for a million.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the timings to a file.")
def main(tasks: int, rule_sets: int, keys: int, exchanges: int, file: Path | None) -> None:
    """Measure at two sizes and print a table in Markdown; exit 1 if something is slow."""
    size = Size(tasks=tasks, rule_sets=rule_sets, exchanges=exchanges, keys=keys)
    found = []
    for at in (LITTLE, size):
        with tempfile.TemporaryDirectory(prefix="preceptor-scale-") as folder:
            found.append(measure(at, Path(folder)))
    (little, _), (much, per_exchange) = found
    for name, value in machine(()).items():
        click.echo(f"- {name}: {value}")
    click.echo(f"- little: {LITTLE}\n- much: {size}; a * is on the request path\n")
    for line in report(little, much):
        click.echo(line)
    click.echo(f"\nThe database grows by {per_exchange * 1e6 / 1e9:.2f} GB per million exchanges.")
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(
            {"size": size, "little": little, "much": much, "bytes_per_exchange": per_exchange}
        )))  # fmt: skip
    if any(map(slow, little, much)):
        raise click.ClickException("something is slow: see the table")


if __name__ == "__main__":
    main()
