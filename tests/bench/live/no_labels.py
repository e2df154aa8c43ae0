"""From the first request to a promoted rule set without a single label, on the embedded model.

    python -m tests.bench.live.no_labels

The *strong* model is the same model in a gateway of its own, where a rule set made by hand gives it room to work first:
slower and dearer, and mostly right. The *weak* one is the bare model. A second gateway serves ``strong`` and shadows.
Takes some twenty minutes on two quiet cores; prints what happened, for ``docs/no-labels.md``.
"""

import asyncio
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gateway.rules.decisions import describe
from gateway.settings import NumericGrader
from gateway.store.base import Store
from gateway.store.sql import SqlStore
from optimizer.demo.client import Client
from optimizer.demo.contract import ClientReply
from optimizer.demo.play import serving
from optimizer.demo.problems import Problem, problems
from optimizer.grading.graders import Submission, grader_for

TASK = "word-problems"
CONCURRENCY = 2
SEED = 408
ROOM = {"task": TASK, "scratchpad": "tags", "rules": [{"text": "Write down every step with its calculation."}]}
STRONG = """
[server]
data_dir = "{folder}/strong"
[upstreams.local]
kind = "llamacpp"
parallel = 3
context = 2048
[models.qwen]
upstream = "local"
model = "qwen2.5-coder-1.5b"
[tasks.word-problems]
weak = "qwen"
strong = "qwen"
grader = {{ kind = "numeric" }}
rollout = {{ holdback = 0 }}
[optimizer]
enabled = false
"""
WEAK = """
[server]
data_dir = "{folder}/weak"
[upstreams.other]
kind = "openai"
base_url = "{address}/v1"
[models.small]
upstream = "other"
model = "qwen"
[models.large]
upstream = "other"
model = "task:word-problems"
[tasks.word-problems]
match = {{ model = "gpt-4o-mini" }}
weak = "small"
strong = "large"
serve = "{serve}"
grader = {{ kind = "numeric" }}
shadow = {{ share = 1.0 }}
rollout = {{ holdback = 0 }}
[optimizer]
schedule = "*/5 * * * * *"
min_mistakes = {mistakes}
max_rules = 4
selection_items = 6
confirmation_items = 30
concurrency = 2
max_output_tokens = 512
"""

_began = time.monotonic()


def say(line: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - _began), 60)
    click.echo(f"{minutes:3}:{seconds:02}  {line}")


@click.command()
@click.option("--requests", default=80, show_default=True, help="Requests of the workload; nobody grades them.")
@click.option("--measured", default=20, show_default=True, help="Fresh problems for the measurement at the end.")
def main(requests: int, measured: int) -> None:
    """Serve by the strong model, shadow with the weak one, learn, and let the weak one serve."""
    with tempfile.TemporaryDirectory(prefix="preceptor-no-labels-") as folder:
        asyncio.run(_play(Path(folder), requests, measured))


async def _play(folder: Path, requests: int, measured: int) -> None:
    made = list(itertools.islice(problems(SEED), requests + measured))
    workload, fresh = made[:requests], made[requests:]
    weak = folder / "weak.toml"
    async with contextlib.AsyncExitStack() as stack:
        strong = await _given_room(folder)
        behind, _ = await stack.enter_async_context(serving(strong, folder / "strong.log"))
        about = {"folder": folder, "address": behind, "mistakes": round(requests * 0.7)}
        weak.write_text(WEAK.format(serve="shadow", **about))
        address, process = await stack.enter_async_context(serving(weak, folder / "weak.log"))
        client = Client(address)
        stack.push_async_callback(client.close)
        store = SqlStore.open(folder / "weak")
        stack.callback(store.close)

        say(f'serve = "shadow": {requests} requests, answered by the strong model; no feedback is given')
        replies = await _asked(client, workload)
        say(f"of the strong model's replies {_right(replies, workload)} of {requests} are right, which nobody says")
        _tell(await _learnt(store, process), store)

        say('the configuration says serve = "weak" now; the gateway reads it while it runs')
        weak.write_text(WEAK.format(serve="weak", **about))
        await asyncio.sleep(3)
        replies = await _asked(client, fresh)
        versions = ", ".join(sorted({reply.rules for reply in replies}))
        tokens = sum(reply.output_tokens for reply in replies) / measured
        say(f"{measured} fresh problems by the weak model under version {versions}: {_right(replies, fresh)} right")
        say(f"output tokens a reply: {tokens:.0f}")
    click.echo("\nlog of the gateway that learnt:\n")
    click.echo((folder / "weak.log").read_text())


async def _given_room(folder: Path) -> Path:
    """The configuration of the strong side, its rule set live."""
    strong = folder / "strong.toml"
    strong.write_text(STRONG.format(folder=folder))
    (folder / "room.json").write_text(json.dumps(ROOM))
    await _preceptor("rules", "import", "-c", str(strong), TASK, str(folder / "room.json"))
    await _preceptor("rules", "activate", "-c", str(strong), TASK, "1")
    return strong


async def _learnt(store: Store, process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The outcome of the first cycle that sets out with enough."""
    while process.returncode is None:
        for cycle in await asyncio.to_thread(store.cycles, TASK, limit=1):
            if cycle.outcome is not None:
                return dict(json.loads(cycle.outcome))
        await asyncio.sleep(2)
    raise click.ClickException("the gateway ended in the middle of the cycle")


def _tell(outcome: dict[str, Any], store: Store) -> None:
    seen = Counter((one.arm, one.correct) for one in store.observed(TASK, since=0, limit=10**4))
    agreed, differed = seen["shadow", True], seen["shadow", False]
    say(f"in the background the weak model agreed with the strong one {agreed} times, and {differed} times it did not")
    say(f"cycle: {outcome['verdict']}: {outcome['note']}")
    for rule in outcome["rules"]:
        say(f"  rule: {rule['text']} (form: {outcome['scratchpad']})")
    for entry in store.history(TASK):
        say(f"  history: {describe(entry)}, by {entry.by}: {entry.why}")


async def _asked(client: Client, asked: Sequence[Problem]) -> list[ClientReply]:
    found = {position: reply async for position, reply in client.ask_all(asked, concurrency=CONCURRENCY)}
    return [found[position] for position in range(len(asked))]


def _right(replies: Sequence[ClientReply], asked: Sequence[Problem]) -> int:
    grader = grader_for(NumericGrader())
    return sum(
        grader.grade(Submission(text=reply.text), one.answer) == 1.0 for reply, one in zip(replies, asked, strict=True)
    )


async def _preceptor(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", *arguments)
    assert await process.wait() == 0


if __name__ == "__main__":
    main()
