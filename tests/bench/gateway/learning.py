"""What does learning cost those who are served meanwhile? ``python -m tests.bench.gateway.learning``.

One gateway under an even load, without a cycle and with cycles under way from the first request to the last: the real
scheduler and learner, on the gateway's core. Cycles are begun as a user would have it, by tasks with a schedule in the
configuration file, which the gateway follows.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Final

import click

from gateway.store.sql import SqlStore
from tests.bench.gateway import learning_data, stage
from tests.bench.gateway.cases import Case, Scenario, requests
from tests.bench.gateway.learning_data import PUPILS
from tests.bench.gateway.load import Values, wrk
from tests.bench.gateway.machine import machine
from tests.bench.gateway.preceptor import FULL, configuration, preceptor, publish
from tests.bench.gateway.process import GATEWAY_CORE, LOAD_CORE, free_port, keep_off, process, wait_for
from tests.bench.gateway.rounds import DIRECT, Row, Run, noisy, play, rows
from tests.bench.gateway.targets import Target
from tests.bench.gateway.upstreams import FIXED, Ground

LIMIT: Final = 0.10
"""Share of p99 that a cycle may add."""
CONNECTIONS: Final = 64
OFF: Final = "optimizer off"
LABELS: Final = {
    DIRECT: "no cycle", OFF: OFF, FIXED: "a cycle, answered at once", "after-50": "a cycle, 50 ms an answer",
}  # fmt: skip
TASKS_PER_S: Final = {FIXED: 3.0, "after-50": 0.5}
"""How many cycles could end in a second, more than ever did: each task has its own, and they must not run out."""
WARM_S, REST_S = 1.0, 6.0
"""Load before what is measured; seconds without any, in which the sweep reads what was recorded."""
AHEAD_S: Final = 4
"""Seconds until cycles begin: the gateway looks at its file once a second."""
PATIENCE_S: Final = 120.0
CASE: Final = Case(scenario="learning", model=FIXED, connections=CONNECTIONS)
SCENARIO: Final = Scenario(
    name="learning", title="Requests while the gateway learns", cases=[CASE], measure=requests, steady="p99",
    floor=0.05, added=("p50", "p99"),
)  # fmt: skip
COLUMNS: Final = (
    ("requests/s", "rps", ",.0f"), ("median ms", "p50", ".2f"), ("p99 ms", "p99", ".2f"), ("longest ms", "max", ".1f"),
    ("added median", "added_p50", "+.2f"), ("added p99", "added_p99", "+.2f"), ("CPU, % of the core", "core", ".0f"),
    ("answers to cycles", "asked", ",.0f"), ("cycles", "cycles", ",.0f"), ("failed", "failed", ",.0f"),
)  # fmt: skip


class School:
    """A gateway that learns when it is told to, what it learns from, and its models."""

    def __init__(self, ground: Ground, data: Path, port: int, models_port: int) -> None:
        self._ground, self._data, self._port, self._models_port = ground, data, port, models_port
        self.file = data.with_name("preceptor.toml")
        self._store = SqlStore.open(data)
        self._names: Mapping[tuple[str, int], Sequence[str]] = {}

    def fill(self, rounds: int, seconds: float) -> None:
        """Tasks for every run: what was asked once is remembered, so that each must have questions of its own."""
        lasts = WARM_S + seconds + 2
        self._names = {
            (pupil, number): [f"{pupil}-{number}-{task:03d}" for task in range(ceil(TASKS_PER_S[pupil] * lasts))]
            for pupil in PUPILS
            for number in range(rounds)
        }
        for (pupil, _), names in self._names.items():
            learning_data.fill(self._store, names, pupil)

    def rest(self) -> None:
        """Have no task to learn."""
        self._write("")

    def asked(self) -> int:
        """How often models were asked by cycles."""
        return learning_data.asked(self._models_port)

    def cycles(self, pupil: str, number: int) -> int:
        """How many cycles of a run have begun."""
        return sum(bool(self._store.cycles(name, limit=1)) for name in self._names[pupil, number])

    @contextlib.contextmanager
    def learning(self, pupil: str, number: int) -> Iterator[None]:
        """Cycles are under way, one after the other. Raises if they had ended before the context does."""
        names = self._names[pupil, number]
        before = self.asked()
        self._write(learning_data.tasks(names, pupil, datetime.now().astimezone() + timedelta(seconds=AHEAD_S)))
        _until(lambda: self.asked() > before, "no cycle has begun")
        yield
        if self.cycles(pupil, number) == len(names):
            raise click.ClickException(f"{len(names)} tasks were too few: all cycles had begun before the run ended")
        self.rest()
        time.sleep(REST_S)  # a cycle that is planned just now still begins
        _until(lambda: not any(self._store.open_cycle(name) for name in names), "a cycle does not end")

    def close(self) -> None:
        self._store.close()

    def _write(self, tasks: str) -> None:
        served = configuration(FULL, self._ground, self._data, self._port).replace("enabled = false", "enabled = true")
        self.file.write_text(f"{served}\n{learning_data.models(self._models_port)}\n{tasks}\n", encoding="utf-8")


@contextlib.contextmanager
def school(ground: Ground, rounds: int, seconds: float) -> Iterator[tuple[School, Target]]:
    """The gateway and its models, each on its core."""
    folder = ground.folder / "school"
    data, log = folder / "data", folder / "log"
    folder.mkdir()
    publish(data)
    port, models_port = free_port(), free_port()
    ours = School(ground, data, port, models_port)
    try:
        ours.fill(rounds, seconds)
        ours.rest()
        asked = (sys.executable, "-m", "tests.bench.gateway.learning_data", str(models_port))
        serve = (sys.executable, "-m", "gateway", "serve", "-c", str(ours.file))
        with process(LOAD_CORE, *asked, log=folder / "models.log") as models:
            wait_for(f"http://127.0.0.1:{models_port}/{learning_data.ASKED}/", models, folder / "models.log")
            with process(GATEWAY_CORE, *serve, log=log) as pid:
                wait_for(f"http://127.0.0.1:{port}/readyz", pid, log)
                yield (
                    ours,
                    Target(
                        name=DIRECT, pid=pid, base_url=lambda model: f"http://127.0.0.1:{port}/v1", expected=FULL.says
                    ),
                )
    finally:
        ours.close()


def _until(done: Callable[[], bool], otherwise: str) -> None:
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > PATIENCE_S:
            raise click.ClickException(f"{otherwise} after {PATIENCE_S:.0f} s")
        time.sleep(0.1)


def paced(target: Target, folder: Path, seconds: float, rate: float) -> Values:
    """About ``rate`` requests a second; ``core`` is the target's processor time in % of a core."""
    pause_ms = 1000 * CONNECTIONS / rate
    values = wrk(target, target.request(FIXED), folder, CONNECTIONS, seconds, pause_ms=pause_ms)
    return values | {"core": values["cpu_us"] * values["rps"] / 1e4}


def measured(ours: School, target: Target, folder: Path, seconds: float, rate: float) -> Values:
    """A run on the gateway that learns or could: warmed up, then measured, with what cycles asked meanwhile."""
    paced(target, folder, WARM_S, rate)
    before = ours.asked()
    values = paced(target, folder, seconds, rate)
    return values | {"asked": float(ours.asked() - before)}


def report(runs: Sequence[Run], wobble: float) -> Iterator[str]:
    """The table, what was left out, and whether the promise is kept."""
    for number, reason in sorted(noisy(SCENARIO, CASE, runs, wobble).items()):
        yield f"Left out, more than {wobble:.0%} noise: round {number + 1}, {reason.replace(DIRECT, LABELS[DIRECT])}.\n"
    table = {row.target: row for row in rows(SCENARIO, runs, wobble)}
    yield f"| | {' | '.join(heading for heading, *_ in COLUMNS)} |"
    yield "|" + "---|" * (len(COLUMNS) + 1)
    for name, row in table.items():
        yield f"| {LABELS[name]} | {' | '.join(_cell(row, key, form) for _, key, form in COLUMNS)} |"
    for name in PUPILS:
        if table[name].rounds:
            yield f"\n{LABELS[name]}: {_share(table, name):+.0%} of p99 (at most {LIMIT:+.0%})."


def _share(table: Mapping[str, Row], name: str) -> float:
    """What cycles add to p99, as a share of what it is without."""
    return table[name].median["added_p99"] / table[DIRECT].median["p99"]


def _cell(row: Row, key: str, form: str) -> str:
    if key not in row.median or (row.target == DIRECT and key.startswith("added_")):
        return "-"
    spread = f" ±{format(row.spread[key], form.removeprefix('+'))}" if row.rounds > 1 and key != "failed" else ""
    return format(row.median[key], form) + spread


@click.command()
@click.option("--rounds", default=5, show_default=True, help="In a round, everything is measured once.")
@click.option("--seconds", default=8.0, show_default=True, help="Length of one run.")
@click.option("--rate", default=500.0, show_default=True, help="Requests a second.")
@click.option("--wobble", default=0.15, show_default=True, help="How far p99 without a cycle may be from its median.")
def main(rounds: int, seconds: float, rate: float, wobble: float) -> None:
    """Measure requests with and without cycles, and print a table in Markdown."""
    where = machine(())
    keep_off()
    with tempfile.TemporaryDirectory(prefix="preceptor-learning-") as name, contextlib.ExitStack() as stack:
        ground, _ = stack.enter_context(stage.model_servers(Path(name), Path(name)))
        off = stack.enter_context(preceptor(ground, OFF))
        click.echo("filling the store", err=True)
        ours, target = stack.enter_context(school(ground, rounds, seconds))
        for one in (off, target):
            one.check(streams=False)
        # `play` does not tell the round; each pupil is measured once in it.
        upcoming = {pupil: iter(range(rounds)) for pupil in PUPILS}

        def measure(case: Case, label: str) -> Values:
            if label == OFF:
                time.sleep(REST_S)
                paced(off, ground.folder, WARM_S, rate)
                return paced(off, ground.folder, seconds, rate)
            if label == DIRECT:
                return measured(ours, target, ground.folder, seconds, rate)
            number = next(upcoming[label])
            with ours.learning(label, number):
                values = measured(ours, target, ground.folder, seconds, rate)
                return values | {"cycles": float(ours.cycles(label, number))}

        runs = []
        for run in play(SCENARIO, (OFF, *PUPILS), rounds, measure):
            click.echo(f"round {run.round + 1}: {LABELS[run.target]}", err=True)
            runs.append(run)
        dropped = stage.dropped(target)
    for what, value in where.items():
        click.echo(f"- {what}: {value}")
    click.echo(f"- {rounds} rounds, {seconds:g} s a run, {CONNECTIONS} connections; medians, ± half of the range\n")
    for line in report(runs, wobble):
        click.echo(line)
    click.echo(f"\nExchanges that were not recorded: {dropped:,.0f}.")
    failed = sum(run.values["failed"] for run in runs)
    if failed:
        raise click.ClickException(f"{failed:.0f} requests failed")


if __name__ == "__main__":
    main()
