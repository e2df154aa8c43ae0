"""What does the gateway cost, beside its peers? ``python -m tests.bench.gateway`` tells; see ``../README.md``."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from tests.bench.gateway import peers, report, results, stage, written
from tests.bench.gateway.cases import HELD, SCENARIOS, requests
from tests.bench.gateway.machine import machine
from tests.bench.gateway.process import GATEWAY_CORE, LOAD_CORE, ROOT, keep_off, raise_open_files, rss_mb
from tests.bench.gateway.results import Memory, Results
from tests.bench.gateway.rounds import DIRECT, Run
from tests.bench.gateway.soak import soak

CACHE = Path("~/.cache/preceptor/bench").expanduser()
OPEN_FILES = 20_000
REST_S = 10
"""Seconds between the last run and the last look at memory."""
NAMES = [scenario.name for scenario in SCENARIOS]


class Words(click.ParamType[list[str]]):
    """Known words with commas between them."""

    name = "list"

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        words = [word for word in str(value).split(",") if word]
        for word in words:
            if word not in self._known:
                self.fail(f"{word!r} is none of {', '.join(self._known)}", param, ctx)
        return words


@click.command()
@click.option("--peers", "wanted", type=Words(list(peers.STARTS)), default="nginx,portkey,litellm", show_default=True)
@click.option("--only", type=Words(NAMES), default=",".join(NAMES), show_default=True, help="Scenarios.")
@click.option("--rounds", default=5, show_default=True, help="In a round, every target is loaded once in each case.")
@click.option("--seconds", default=5.0, show_default=True, help="Length of one run.")
@click.option("--wobble", default=0.15, show_default=True, help="How far direct runs may be from their median (share).")
@click.option("--workers", default=1, show_default=True, help="Measure our gateway with so many workers, too.")
@click.option(
    "--against",
    "others",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Folder with another checkout, whose gateway is measured, too.",
)
@click.option("--soak", "minutes", default=0.0, help="Minutes of load on our gateway in the end, to see memory grow.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write every run to a file.")
@click.option("--plot", "plotted", type=click.Path(dir_okay=False, path_type=Path), help="Write an SVG.")
@click.option("--write", "writes", is_flag=True, help="Put tables, sentences and the plot into the documents.")
def main(
    wanted: list[str], only: list[str], rounds: int, seconds: float, wobble: float, workers: int,
    others: tuple[Path, ...], minutes: float, file: Path | None, plotted: Path | None, writes: bool,
) -> None:  # fmt: skip
    """Measure the gateway beside its peers, and print tables in Markdown."""
    _check_machine(only)
    for peer in wanted:
        peers.install(peer, CACHE)
    where = machine(wanted)
    keep_off()
    with tempfile.TemporaryDirectory(prefix="preceptor-bench-") as name, contextlib.ExitStack() as stack:
        ground, direct = stack.enter_context(stage.model_servers(Path(name), CACHE))
        targets = stack.enter_context(stage.everybody(ground, wanted, workers, [other.resolve() for other in others]))
        idle = {name: rss_mb(target.pid) for name, target in targets.items()}
        runs: list[Run] = []
        found = Results(machine=where, rounds=rounds, seconds=seconds, wobble=wobble)
        for scenario in SCENARIOS:
            if scenario.name in only:
                with stage.variants(ground) if scenario.variants else contextlib.nullcontext(targets) as loaded:
                    runs += stage.played(scenario, direct, loaded, ground, rounds, seconds)
                found = msgspec.structs.replace(found, runs=tuple(runs))
                _keep(found, file)  # what comes next may fail
        ours = targets["preceptor"]
        slices = soak(ours, minutes, lambda some: requests(SCENARIOS[0].cases[2], ours, ground.folder, some))
        time.sleep(REST_S)
        memory = [
            Memory(target=name, idle=idle[name], loaded=_most(runs, name), afterwards=rss_mb(target.pid))
            for name, target in targets.items()
        ]
        found = msgspec.structs.replace(found, memory=memory, soak=slices, dropped=stage.dropped(ours))
    _keep(found, file)
    if plotted is not None:
        plotted.write_text(report.svg(found), encoding="utf-8")
    click.echo(report.markdown(found))
    if writes:
        for place in written.write(found, ROOT):
            click.echo(f"written: {place}", err=True)
    failed = sum(run.values["failed"] for run in runs if run.target in (DIRECT, ours.name))
    if failed:
        raise click.ClickException(f"{failed:.0f} requests failed, of the direct ones and our own")


def _check_machine(only: Sequence[str]) -> None:
    """Raise what is missing before anything is started."""
    if not {GATEWAY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise click.ClickException("two cores are needed: one for what is measured, one for the load")
    for tool in ("nginx", "wrk", "taskset"):
        if shutil.which(tool) is None:
            raise click.ClickException(f"{tool} is not installed: it is a Debian package (taskset is in util-linux)")
    if raise_open_files(OPEN_FILES) < 4 * HELD and "held" in only:
        raise click.ClickException(f"'ulimit -n' is too low for {HELD} streams: raise it, or leave out 'held'")


def _keep(found: Results, file: Path | None) -> None:
    if file is not None:
        results.write(found, file)


def _most(runs: Sequence[Run], target: str) -> float:
    return max((run.values["rss_mb"] for run in runs if run.target == target), default=0.0)


if __name__ == "__main__":
    main()
