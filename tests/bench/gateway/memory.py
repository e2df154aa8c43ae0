"""What goes back after load: ``python -m tests.bench.gateway.memory [CHECKOUT] [--seconds 5] [--rounds 2]``.

A gateway with every part on serves prompts of 100 KB on 64 connections, prompts of 1 MB on 16, then 2,000 streams at
once. Prints the resident memory of each of its processes: idle, at most under the load, and after a rest. With a
CHECKOUT, that checkout's gateway is measured.
"""

import contextlib
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from tests.bench.gateway import load
from tests.bench.gateway.checkout import served
from tests.bench.gateway.process import ROOT, family, rss_mb
from tests.bench.gateway.stage import model_servers
from tests.bench.gateway.targets import Target
from tests.bench.gateway.upstreams import FIXED

REST_S: Final = 35.0
"""Seconds without a request before memory counts as given back: a gateway looks at its memory every 30 s."""
SAMPLE_S: Final = 0.1
STORED_S: Final = 120
"""Most seconds until everything is recorded."""
STREAMS: Final = 2000


def parts(pid: int) -> dict[str, float]:
    """The resident memory of a gateway's processes, in MB, by their part."""
    sizes: dict[str, float] = {}
    for process in family(pid):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{process}/cmdline").read_bytes()
            name = "recorder" if b"store.recorder" in command else "gateway"
            sizes[name] = sizes.get(name, 0.0) + rss_mb(process) - sum(map(rss_mb, family(process)[1:]))
    return sizes


def stored(target: Target) -> None:
    """Wait until no exchange waits for the database."""
    metrics = target.base_url("").removesuffix("/v1") + "/metrics"
    for _ in range(STORED_S):
        with urllib.request.urlopen(metrics, timeout=10) as reply:  # noqa: S310  # on loopback
            if b"preceptor_writer_pending 0.0" in reply.read():
                return
        time.sleep(1)
    raise click.ClickException(f"exchanges still wait for the database after {STORED_S} s")


@contextlib.contextmanager
def highest(pid: int) -> Iterator[dict[str, float]]:
    """Yield the most that each part had while the context is open."""
    most, over = parts(pid), threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            for name, size in parts(pid).items():
                most[name] = max(most.get(name, 0.0), size)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield most
    finally:
        over.set()
        watching.join()


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT)
@click.option("--seconds", default=5.0, show_default=True, help="Of a load.")
@click.option("--rounds", default=2, show_default=True)
@click.option("--streams/--no-streams", default=True, show_default=True)
def main(checkout: Path, seconds: float, rounds: int, streams: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        ground, _ = stack.enter_context(model_servers(folder, folder / "cache"))
        (folder / "gateway").mkdir()
        target = stack.enter_context(served(checkout.resolve(), ground, folder / "gateway"))

        def prompts(size: int, connections: int) -> Callable[[], load.Values]:
            request = target.request(FIXED, prompt_bytes=size)
            return lambda: load.wrk(target, request, folder, connections, seconds)

        loads: dict[str, Callable[[], load.Values]] = {
            "prompts of 1 KB, 64 connections": prompts(1_000, 64),
            "prompts of 100 KB, 64 connections": prompts(100_000, 64),
            "prompts of 1 MB, 16 connections": prompts(1_000_000, 16),
        }
        if streams:
            held = target.request("held", stream=True)
            loads[f"{STREAMS} streams at once"] = lambda: load.client(
                target, held, STREAMS, 3 * seconds, ramp_s=seconds
            )
        load.wrk(target, target.request(FIXED), folder, 1, 1)
        time.sleep(REST_S)
        idle = parts(target.pid)
        click.echo("| after | part | idle MB | most MB | after a rest MB | more than idle |\n|---|---|---|---|---|---|")
        for name, run in [*loads.items()] * rounds:
            with highest(target.pid) as most:
                answered = run()["answered"]
            stored(target)
            time.sleep(REST_S)
            for part, size in parts(target.pid).items():
                known = idle.get(part, 0.0)
                click.echo(
                    f"| {name} ({answered:,.0f}) | {part} | {known:.0f} | {most[part]:.0f} | {size:.0f} |"
                    f" {size - known:+.0f} |"
                )


if __name__ == "__main__":
    main()
