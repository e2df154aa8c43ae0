"""What does each part add to the tail? ``python -m tests.bench.gateway.tail [--part NAME] [--rounds 6] [--seconds 6]``.

For each part two gateways on one core, with everything on and without that part, loaded in turns: 1,000 requests a
second on 51 connections, over a model server that takes 50 ms. Prints medians in ms, and the median of the differences
within rounds with half of their range.
"""

import contextlib
import statistics
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from tests.bench.gateway.cases import Case, Scenario, requests
from tests.bench.gateway.preceptor import FULL, Variant, preceptor
from tests.bench.gateway.ratios import Runs, loaded_in_turns
from tests.bench.gateway.stage import model_servers
from tests.bench.gateway.targets import Target

SCRAPE_S: Final = 1.0
"""Seconds between two scrapes; Prometheus' own default is a minute."""
_NUMBERS: Final = ("p50", "p99", "p999", "cpu_us")


WITHOUT: Final[Mapping[str, Variant]] = {
    "nothing": FULL,
    "recorder": Variant(arm_headers=False, task='record = "off"'),
    "log lines": Variant(arm_headers=False, more="[log]\nrequests = false"),
    "garbage collector": Variant(
        arm_headers=False, prelude="import gc; gc.disable(); gc.enable = gc.set_threshold = lambda *given: None"
    ),
    "watch of rules and keys": Variant(
        arm_headers=False,
        prelude="from gateway.following import Follower; Follower.run.__kwdefaults__['interval_s'] = 3600.0",
    ),
    "watch of the configuration": Variant(
        arm_headers=False, prelude="import gateway.reload; gateway.reload.INTERVAL_S = 3600.0"
    ),
    "scrape of metrics": FULL,
}
"""A gateway without one of its parts. Metrics are scraped in the other one; without "nothing" both are the same."""

_SCENARIO: Final = Scenario(
    name="tail", title="Tail", measure=requests, steady="p50", floor=1, added=(),
    cases=[Case(scenario="tail", model="after-50", connections=51)],
)  # fmt: skip


@contextlib.contextmanager
def scraped(target: Target) -> Iterator[None]:
    """Read a gateway's metrics every ``SCRAPE_S``."""
    over = threading.Event()
    url = target.base_url("after-50").removesuffix("/v1") + "/metrics"

    def scrape() -> None:
        while not over.wait(SCRAPE_S):
            with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310  # an address on loopback
                reply.read()

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@click.command()
@click.option("--rounds", default=6, show_default=True)
@click.option("--seconds", default=6.0, show_default=True, help="Of a run.")
@click.option("--part", "parts", multiple=True, type=click.Choice(list(WITHOUT)), help="Only this.  [default: all]")
def main(rounds: int, seconds: float, parts: Sequence[str]) -> None:
    """Measure and print."""
    click.echo(
        "| without | median, with | without | p99, with | without | adds | p99.9, with | without | adds | CPU us |"
    )
    click.echo("|---|---|---|---|---|---|---|---|---|---|")
    for part in parts or WITHOUT:
        with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
            folder = Path(made)
            ground, _ = stack.enter_context(model_servers(folder, folder / "cache"))
            targets = {
                name: stack.enter_context(preceptor(ground, name, variant))
                for name, variant in (("with", FULL), ("without", WITHOUT[part]))
            }
            if part == "scrape of metrics":
                stack.enter_context(scraped(targets["with"]))
            for target in targets.values():
                requests(_SCENARIO.cases[0], target, folder, seconds)
            click.echo(_row(part, loaded_in_turns(_SCENARIO, targets, folder, rounds, seconds)))


def _row(part: str, runs: Runs) -> str:
    cells = [part]
    connections = _SCENARIO.cases[0].connections
    for what in _NUMBERS:
        values = runs[connections, what]
        added = [full - less for full, less in zip(values["with"], values["without"], strict=True)]
        adds = f"{statistics.median(added):+.2f} \u00b1{(max(added) - min(added)) / 2:.2f}"
        medians = [f"{statistics.median(values[name]):.2f}" for name in ("with", "without")]
        cells += [*medians, adds] if what in ("p99", "p999") else medians if what == "p50" else [adds]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
