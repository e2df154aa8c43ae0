"""What limits, a budget, a client's key and traces cost: ``python -m tests.bench.gateway.platform [--postgres]``.

Two gateways on one core, one with all of these on and one without, loaded in turns. ``--postgres`` has both on a
database server on the other core, and stops that server for a while in the end, under load. Prints medians, and the
median of the ratios within rounds.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from gateway.settings.keys import digest
from tests.bench.gateway.cases import SCENARIOS
from tests.bench.gateway.preceptor import FULL, Variant, preceptor
from tests.bench.gateway.process import LOAD_CORE, family
from tests.bench.gateway.ratios import loaded_in_turns, table
from tests.bench.gateway.stage import model_servers
from tests.bench.gateway.targets import Target
from tests.postgres import PostgresServer, server_in

KEY = "prec-" + 64 * "b"
_MUCH = "requests_per_minute = 100000000, tokens_per_minute = 100000000000, concurrent = 100000"
_MONEY = 'usd = 1000000.0, per = "month"'
PARTS = ("limits", "budgets", "traces")


class Collector(BaseHTTPRequestHandler):
    """Takes spans and answers."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        """Say nothing."""


@contextlib.contextmanager
def collector() -> Iterator[str]:
    """Yield the address of a collector of spans, on the core of the load."""
    os.sched_setaffinity(0, {LOAD_CORE})
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def switched_on(parts: Collection[str], endpoint: str) -> Variant:
    """A gateway with a client's key and the parts: limits of the key and the task, their budgets, spans."""
    lines = list[str]()
    if "limits" in parts:
        lines.append(f"limits = {{ {_MUCH} }}")
    if "budgets" in parts:
        lines.append(f"budget = {{ {_MONEY} }}")
    traces = ["[tracing]", f'endpoint = "{endpoint}"'] if "traces" in parts else []
    return Variant(
        arm_headers=False, key=KEY, more="\n".join(["[keys.team]", f'hash = "{digest(KEY)}"', *lines, *traces]),
        task="\n".join(lines), model="price = { input = 0.1, output = 0.4 }" if "budgets" in parts else "",
    )  # fmt: skip


def process_of(server: PostgresServer) -> int:
    """Return the id of the server's first process."""
    folder = Path(str(server.run("SHOW data_directory")[0][0]))
    return int((folder / "postmaster.pid").read_text(encoding="utf-8").split()[0])


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process and all that it has started, as long as the context is open."""
    members = family(pid)
    for member in members:
        os.kill(member, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in members:
            with contextlib.suppress(ProcessLookupError):  # a client has gone away, and its server process with it
                os.kill(member, signal.SIGCONT)


@click.command()
@click.option("--rounds", default=8, show_default=True)
@click.option("--seconds", default=1.5, show_default=True, help="Of a run.")
@click.option(
    "--part", multiple=True, type=click.Choice((*PARTS, "key")), help="Only this, beside a key.  [default: all]"
)
@click.option("--postgres", is_flag=True, help="Both gateways on Postgres.")
def main(rounds: int, seconds: float, part: Sequence[str], *, postgres: bool) -> None:
    """Measure and print."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "throughput")
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        server = stack.enter_context(server_in(folder / "postgres", hasty=False)) if postgres else None
        endpoint = stack.enter_context(collector())
        ground, _ = stack.enter_context(model_servers(folder, folder / "cache"))
        targets = dict[str, Target]()
        for name, variant in (("without", FULL), ("with", switched_on(part or PARTS, endpoint))):
            address = None if server is None else stack.enter_context(server.database())
            targets[name] = stack.enter_context(preceptor(ground, name, variant, store=address))
            targets[name].check(streams=False)
        for line in table(loaded_in_turns(scenario, targets, folder, rounds, seconds), "without", "with"):
            click.echo(line)
        if server is not None:
            case = next(case for case in scenario.cases if case.connections == 16)
            usual = scenario.measure(case, targets["with"], folder, 20.0)
            with stopped(process_of(server)):
                time.sleep(1.0)
                during = scenario.measure(case, targets["with"], folder, 60.0)
            click.echo("\n| 16 connections, everything on | p50 | p99 | failed |\n|---|---|---|---|")
            for name, values in (("Postgres answers", usual), ("Postgres is stopped for a minute", during)):
                click.echo(f"| {name} | {values['p50']:.2f} | {values['p99']:.2f} | {values.get('failed', 0):.0f} |")


if __name__ == "__main__":
    main()
