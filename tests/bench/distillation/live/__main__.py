"""What makes a small model better, and what did it? Prompts by hand, forms, ours, gepa and DSPy on untouched items.

Every row is written to a file when it is done, and every answer is remembered: run again, it goes on where it was. What
is measured, and how: ``../README.md``.
"""

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from tests.bench.distillation.live import report
from tests.bench.distillation.live.data import Questions
from tests.bench.distillation.live.meter import Meter, serving
from tests.bench.distillation.live.own import DoesNotApply, Run
from tests.bench.distillation.live.rows import ROWS, Row
from tests.bench.distillation.live.serving import COPIES, STRONG, configuration, gateway
from tests.bench.distillation.live.tasks import DATA, MOST_OUTPUT, TASKS, Missing, Sizes, questions
from tests.bench.distillation.live.teacher import Recorder, teaching

CACHE: Final = Path("~/.cache/preceptor/bench")
RECORDINGS: Final = Path(__file__).parents[1] / "recordings"
TOGETHER: Final = ("gepa", "dspy-rules", "dspy-mipro", "tags-alone", "two-pass-alone", "dspy-cot", "dspy-predict")
"""Rows that share the model two at a time; the others run one after the other."""
SEED: Final = 20261129
DEFAULT: Final = ("base", "chain-of-thought", "fixed-8", "nearest-4", "rules-alone", "worksheet-alone", "ours")


@click.command()
@click.option("--folder", required=True, type=click.Path(path_type=Path), help="Rows and answers; go on from there.")
@click.option(
    "--task", "tasks", default="triage-6", show_default=True, help=f"Of {', '.join(TASKS)}; several by commas."
)
@click.option(
    "--rows", default=",".join(DEFAULT), show_default=True, help=f"In this order; there are {', '.join(ROWS)}."
)
@click.option(
    "--models", default="qwen2.5-coder-0.5b/teacher", show_default=True,
    help="WEAK/STRONG: an embedded model, and 'teacher' (recorded or --teacher), 'self', or another embedded model.",
)  # fmt: skip
@click.option("--teacher", help="Address up to /v1 of a strong model; without it only recorded answers are given.")
@click.option("--replay", is_flag=True, help="Refuse what was never answered, whatever --teacher says.")
@click.option("--by", default="a frontier model", show_default=True, help="Who answers, for the record.")
@click.option("--day", default="", help="When, for the record.")
@click.option("--recordings", default=RECORDINGS, type=click.Path(path_type=Path), help="Where answers are recorded.")
@click.option("--test", default=100, show_default=True, help="Items that every row is measured on.")
@click.option("--train", default=200, show_default=True, help="Items to learn from.")
@click.option("--selection", default=24, show_default=True, help="Items on which ours ranks candidates, at most.")
@click.option("--confirmation", default=60, show_default=True, help="Items on which our gate decides, at most.")
@click.option("--max-rules", default=12, show_default=True, help="Rules of a version, at most.")
@click.option("--most-output", type=int, help="Output tokens of any answer, at most; default: 128, with numbers 512.")
@click.option("--budget", type=int, help="Tokens that another search may take; default: what ours took.")
@click.option("--characters", type=int, help="What it may ask of the strong model; default: what ours asked.")
@click.option("--seed", default=SEED, show_default=True, help="Of items, policy and samples.")
@click.option("--data", default=DATA, type=click.Path(path_type=Path), help="The folder of the files with items.")
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), help="Where other optimisers are installed.")
@click.option("--table", is_flag=True, help="Only show what is there.")
def main(tasks: str, folder: Path, seed: int, train: int, test: int, data: Path, models: str, **how: Any) -> None:
    """Run the rows that are missing and print a table per task, and of several tasks one that holds them all."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it started ends too
    sizes = Sizes(seed=seed, train=train, test=test, data=data)
    every: list[tuple[Questions, list[Row], str]] = []
    for task in tasks.split(","):
        try:
            asked = questions(task, sizes)
        except Missing as error:
            click.echo(f"{task} is left out: {error.message}", err=True)
            continue
        place = folder.absolute() / f"{task}--{models.replace('/', '--')}--{seed}"
        place.mkdir(parents=True, exist_ok=True)
        _fill(place, asked, models, **how)
        done = [_row(place, name) for name in ROWS if (place / f"{name}.json").exists()]
        click.echo(report.table(asked, done, models))
        every.append((asked, done, models))
    if len(every) > 1:
        click.echo(f"\n{report.overview(every)}")


def _fill(
    place: Path, asked: Questions, models: str, *, rows: str, teacher: str | None, replay: bool, by: str, day: str,
    recordings: Path, selection: int, confirmation: int, max_rules: int, most_output: int | None, budget: int | None,
    characters: int | None, cache: Path, table: bool,
) -> None:  # fmt: skip
    """Answer the rows that are missing."""
    weak, _, strong = models.partition("/")
    missing = [] if table else [name for name in rows.split(",") if not (place / f"{name}.json").exists()]
    if not missing:
        return
    most = most_output or MOST_OUTPUT.get(asked.task, 128)
    file = asked.task if asked.seed == SEED else f"{asked.task}-{asked.seed}"  # answers hold a drawn policy
    recorder = Recorder(recordings / f"{file}.jsonl", None if replay else teacher, by=by, day=day)
    with _models(place, asked, weak, strong, most) as meter, serving(meter) as address, teaching(recorder) as lectern:

        def fill(name: str) -> None:
            first = _ours(place)
            given = Run(
                questions=asked, address=address, teacher=lectern, strong=strong or "teacher",
                folder=place, cache=cache.expanduser(), most_output=most,
                selection=selection, confirmation=confirmation, max_rules=max_rules, seed=asked.seed,
                budget=budget or (first.search.tokens if first else None),
                characters=characters or (first.taught.characters if first else None),
            )  # fmt: skip
            click.echo(f"{asked.task}: {name} ...", err=True)
            try:
                replies, found = ROWS[name](given)
            except DoesNotApply as error:
                click.echo(f"{asked.task}: no row {name}: {error.message}", err=True)
                return
            row = Row(
                name=name, replies=tuple(replies), found=found, search=meter.used[name, "search"],
                test=meter.used[name, "test"], taught=recorder.used[name],
            )  # fmt: skip
            (place / f"{name}.json").write_bytes(msgspec.json.encode(row))

        for name in [name for name in missing if name not in TOGETHER]:
            fill(name)
        with ThreadPoolExecutor(len(COPIES)) as pool:  # gepa asks one thing at a time
            list(pool.map(fill, [name for name in missing if name in TOGETHER]))


@contextmanager
def _models(place: Path, asked: Questions, weak: str, strong: str, most_output: int) -> Iterator[Meter]:
    """The embedded models behind a meter."""
    embedded = strong if strong not in ("", "teacher", "self") else None
    copies = {"model": COPIES} | ({STRONG: (STRONG,)} if embedded else {})
    config = place / "model.toml"
    config.write_text(configuration(place / "model", weak, embedded), encoding="utf-8")
    with gateway(config) as upstream:
        yield Meter(
            upstream, copies, place / "answers.jsonl", most_output=most_output, seed=asked.seed, grader=asked.grader
        )


def _row(place: Path, name: str) -> Row:
    return msgspec.json.decode((place / f"{name}.json").read_bytes(), type=Row)


def _ours(place: Path) -> Row | None:
    done = [name for name in ROWS if name.startswith("ours") and (place / f"{name}.json").exists()]
    return _row(place, done[0]) if done else None


if __name__ == "__main__":
    main()
