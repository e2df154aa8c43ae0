"""Is what the gate is shown true? Labelling habits, clusters, promises and accounts, by seeded simulation; no model.

``python -m tests.bench.distillation.truth NAME --runs 400`` prints one table in Markdown, two cells at a time. The
rules beside ours: the gate of commit 327abc6 (``previous_gate``), "mean went up", GEPA's minibatch of 3 with the mean
behind it, and CAPO's paired t-test at 0.2.
"""

import click

from tests.bench.distillation.habits import REGIMES, SKIPPING
from tests.bench.distillation.hundred import HUNDRED
from tests.bench.distillation.promises import COVERAGE
from tests.bench.distillation.replay import show
from tests.bench.distillation.shapes import ACCOUNTS, CLUSTERS, GROUPS, MODELS
from tests.bench.distillation.uneven import UNEVEN

TABLES = {
    "regimes": REGIMES,
    "skipping": SKIPPING,
    "clusters": CLUSTERS,
    "coverage": COVERAGE,
    "accounts": ACCOUNTS,
    "groups": GROUPS,
    "models": MODELS,
    "hundred": HUNDRED,
    "uneven": UNEVEN,
}


@click.command()
@click.argument("name", type=click.Choice(list(TABLES)))
@click.option("--runs", default=400, show_default=True, help="Runs a cell.")
@click.option("--seed", default=1, show_default=True)
@click.option("--only", default="", help="Rows that begin with these words, such as '20 0.4 0.5'.")
def main(name: str, runs: int, seed: int, only: str) -> None:
    """Print one table."""
    click.echo(f"seed {seed}, {runs} runs a cell, percentages\n")
    show(TABLES[name], runs, seed, only=only)


if __name__ == "__main__":
    main()
