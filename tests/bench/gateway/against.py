"""This checkout beside another: ``python -m tests.bench.gateway.against OTHER [--rounds 10] [--seconds 1.5]``.

Both gateways run at once on one core, with every part on and default settings, and are loaded in turns: a machine whose
speed wanders slows both. Prints medians, and the median of the ratios within rounds. OTHER is a folder with another
checkout; its own code starts its gateway.
"""

import contextlib
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

import click

from tests.bench.gateway.cases import SCENARIOS
from tests.bench.gateway.checkout import served
from tests.bench.gateway.process import ROOT, family
from tests.bench.gateway.stage import model_servers


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and all that it started, in seconds."""
    files = [file for member in family(pid) for file in Path(f"/proc/{member}/task").glob("*/schedstat")]
    return sum(int(file.read_text(encoding="utf-8").split()[0]) for file in files) / 1e9


@click.command()
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rounds", default=10, show_default=True)
@click.option("--seconds", default=1.5, show_default=True, help="Of a run.")
def main(other: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "throughput")
    kept: dict[tuple[int, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        ground, _ = stack.enter_context(model_servers(folder, folder / "cache"))
        targets = {}
        for name, checkout in (("other", other.resolve()), ("this", ROOT)):
            targets[name] = stack.enter_context(served(checkout, ground, folder / name))
            scenario.measure(scenario.cases[-1], targets[name], folder, seconds)
        for number in range(rounds):
            for case in scenario.cases:
                for name in sorted(targets, reverse=number % 2 == 1):
                    before = cpu_s(targets[name].pid)
                    values = scenario.measure(case, targets[name], folder, seconds)
                    used = 1e6 * (cpu_s(targets[name].pid) - before) / values["answered"]
                    for what, value in {**values, "cpu_us": used}.items():
                        kept[case.connections, what][name].append(value)
    click.echo("| connections | number | other | this | ratio |\n|---|---|---|---|---|")
    for (connections, what), runs in kept.items():
        if what in {"rps", "p50", "p99", "cpu_us"}:
            ratio = statistics.median(new / old for new, old in zip(runs["this"], runs["other"], strict=True))
            old, new = statistics.median(runs["other"]), statistics.median(runs["this"])
            click.echo(f"| {connections} | {what} | {old:,.2f} | {new:,.2f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
