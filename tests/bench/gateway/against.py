"""This checkout beside another: ``python -m tests.bench.gateway.against OTHER [--rounds 10] [--seconds 1.5]``.

Both gateways run at once on one core, with every part on and default settings, and are loaded in turns: a machine whose
speed wanders slows both. Prints medians, and the median of the ratios within rounds. OTHER is a folder with another
checkout; its own code starts its gateway, with its own Python.
"""

import contextlib
import tempfile
from pathlib import Path

import click

from tests.bench.gateway.cases import SCENARIOS
from tests.bench.gateway.checkout import served
from tests.bench.gateway.process import ROOT
from tests.bench.gateway.ratios import loaded_in_turns, table
from tests.bench.gateway.stage import model_servers


@click.command()
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rounds", default=10, show_default=True)
@click.option("--seconds", default=1.5, show_default=True, help="Of a run.")
def main(other: Path, rounds: int, seconds: float) -> None:
    """Measure and print."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "throughput")
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        ground, _ = stack.enter_context(model_servers(folder, folder / "cache"))
        targets = {}
        for name, checkout in (("other", other.resolve()), ("this", ROOT)):
            targets[name] = stack.enter_context(served(checkout, ground, folder / name))
            scenario.measure(scenario.cases[-1], targets[name], folder, seconds)
        runs = loaded_in_turns(scenario, targets, folder, rounds, seconds)
    for line in table(runs, "other", "this"):
        click.echo(line)


if __name__ == "__main__":
    main()
