"""What makes a small model better, at equal tokens? Prompts by hand, ours, gepa and DSPy on the same untouched items.

Every row is written to a file when it is done, and every answer is remembered: run again, it goes on where it was. What
is measured, and how: ``../README.md``.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import click
import msgspec

from tests.bench.distillation.live import report
from tests.bench.distillation.live.data import GSM8K, questions
from tests.bench.distillation.live.meter import Meter, serving
from tests.bench.distillation.live.rows import ROWS, Row, Run
from tests.bench.distillation.live.serving import COPIES, configuration, gateway

CACHE: Final = Path("~/.cache/preceptor/bench")
FIRST: Final = ("base", "chain-of-thought", "ours")
"""Rows that run one after the other; what ours took is the budget of the others, which share the model."""


@click.command()
@click.option("--folder", required=True, type=click.Path(path_type=Path), help="Rows and answers; go on from there.")
@click.option("--task", default="word-problems", show_default=True, type=click.Choice(["word-problems", "gsm8k"]))
@click.option("--rows", default=",".join(ROWS), show_default=True, help="Which rows to run, in this order.")
@click.option(
    "--model", default="qwen2.5-coder-1.5b", show_default=True, help="The embedded model that plays all roles."
)
@click.option("--test", default=40, show_default=True, help="Items that every row is measured on.")
@click.option("--train", default=90, show_default=True, help="Items to learn from.")
@click.option("--selection", default=20, show_default=True, help="Items on which ours ranks candidates, at most.")
@click.option("--confirmation", default=24, show_default=True, help="Items on which our gate decides, at most.")
@click.option("--most-output", default=512, show_default=True, help="Output tokens of any answer, at most.")
@click.option("--budget", type=int, help="Tokens that a search may take; default: what ours took.")
@click.option("--seed", default=20261122, show_default=True)
@click.option("--gsm8k", default=GSM8K, type=click.Path(path_type=Path), help="The file of GSM8K's test items.")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), help="Where other optimisers are installed.")
@click.option("--table", is_flag=True, help="Only show what is there.")
def main(
    folder: Path, task: str, rows: str, model: str, test: int, train: int, selection: int, confirmation: int,
    most_output: int, budget: int | None, seed: int, gsm8k: Path, cache: Path, table: bool,
) -> None:  # fmt: skip
    """Run the rows that are missing and print the table."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    asked = questions(task, seed, train=train, test=test, gsm8k=gsm8k)
    missing = [] if table else [name for name in rows.split(",") if not (folder / f"{name}.json").exists()]
    if missing:
        config = folder / "model.toml"
        config.write_text(configuration(folder / "model", model), encoding="utf-8")
        with gateway(config) as upstream:
            meter = Meter(upstream, COPIES, folder / "answers.jsonl", most_output=most_output, seed=seed)
            with serving(meter) as address:

                def fill(name: str) -> None:
                    given = Run(
                        questions=asked, address=address, folder=folder, cache=cache.expanduser(),
                        most_output=most_output, selection=selection, confirmation=confirmation, seed=seed,
                        budget=budget or _spent_by_ours(folder),
                    )  # fmt: skip
                    click.echo(f"{name} ...", err=True)
                    replies, found = ROWS[name](given)
                    row = Row(
                        name=name, replies=tuple(replies), found=found, search=meter.used[name, "search"],
                        test=meter.used[name, "test"],
                    )  # fmt: skip
                    (folder / f"{name}.json").write_bytes(msgspec.json.encode(row))

                for name in [name for name in missing if name in FIRST]:
                    fill(name)
                with ThreadPoolExecutor(len(COPIES)) as pool:  # gepa asks one thing at a time
                    list(pool.map(fill, [name for name in missing if name not in FIRST]))
    done = [_row(folder, name) for name in ROWS if (folder / f"{name}.json").exists()]
    click.echo(report.table(asked, done))


def _row(folder: Path, name: str) -> Row:
    return msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Row)


def _spent_by_ours(folder: Path) -> int | None:
    return _row(folder, "ours").search.tokens if (folder / "ours.json").exists() else None


if __name__ == "__main__":
    main()
