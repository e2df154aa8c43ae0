"""Results as tables in Markdown, and as a plot.

``python -m tests.bench.gateway.report RESULTS.json [--plot FILE.svg]`` makes them from the file of an earlier run.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from tests.bench.gateway import results
from tests.bench.gateway.cases import SCENARIOS, Scenario
from tests.bench.gateway.plot import Bar, Panel, plot
from tests.bench.gateway.results import Results
from tests.bench.gateway.rounds import DIRECT, Row, noisy, rows
from tests.bench.gateway.soak import slope

Column = tuple[str, str, str]
"""Heading, number, format."""
REQUESTS: Sequence[Column] = (
    ("requests/s", "rps", ",.0f"), ("median ms", "p50", ".2f"), ("p99 ms", "p99", ".2f"),
    ("added median", "added_p50", ".2f"), ("added p99", "added_p99", ".2f"),
    ("CPU µs a request", "cpu_us", ",.0f"), ("failed", "failed", ",.0f"),
)  # fmt: skip
STREAMS: Sequence[Column] = (
    ("first token ms", "first_p50", ".2f"), ("added median", "added_first_p50", ".2f"),
    ("added p99", "added_first_p99", ".2f"), ("event: added median", "added_event_p50", ".3f"),
    ("event: added p99", "added_event_p99", ".3f"), ("CPU µs an event", "event_cpu_us", ",.0f"),
    ("events/s", "events_per_s", ",.0f"), ("failed", "failed", ",.0f"),
)  # fmt: skip
HELD: Sequence[Column] = (*STREAMS[:-2], ("open at the end", "held", ",.0f"), ("MB", "rss_mb", ".0f"), STREAMS[-1])
BURST: Sequence[Column] = (
    ("median ms", "first_p50", ".0f"), ("p99 ms", "first_p99", ".0f"), ("all answered after ms", "first_max", ".0f"),
    ("added", "added_first_max", ".0f"), ("failed", "failed", ",.0f"),
)  # fmt: skip
COLUMNS = {"streaming": STREAMS, "held": HELD, "burst": BURST}


def markdown(found: Results) -> str:
    """All tables."""
    parts = [_machine(found)]
    for scenario in SCENARIOS:
        table = rows(scenario, found.runs, found.wobble)
        if table:
            parts.append("\n".join(_scenario(scenario, found, table)))
    parts.append("\n".join(_memory(found)))
    return "\n\n".join(parts)


def _machine(found: Results) -> str:
    lines = [f"- {name}: {value}" for name, value in found.machine.items()]
    lines.append(f"- {found.rounds} rounds, {found.seconds:g} s a run; medians, ± half of the range between rounds")
    return "\n".join(lines)


def _scenario(scenario: Scenario, found: Results, table: Sequence[Row]) -> Iterator[str]:
    columns = COLUMNS.get(scenario.name, REQUESTS)
    yield f"## {scenario.title}\n"
    yield from _left_out(scenario, found)
    compared = any(row.target == "nginx" for row in table) and columns is REQUESTS
    headings = ["", "model", "connections", *(heading for heading, *_ in columns)]
    headings += ["of nginx's"] if compared else []
    yield f"| {' | '.join(headings)} |"
    yield "|" + "---|" * len(headings)
    for row in table:
        cells = [row.target, row.case.model, str(row.case.connections)]
        cells += [_cell(row, key, form) for _, key, form in columns]
        if compared:
            nginx = next(other for other in table if other.case == row.case and other.target == "nginx")
            known = row.rounds and nginx.rounds and row.target != DIRECT
            cells.append(f"{row.median['rps'] / nginx.median['rps']:.1%}" if known else "-")
        yield f"| {' | '.join(cells)} |"
    if compared:
        yield from _multiples(scenario, table)


def _multiples(scenario: Scenario, table: Sequence[Row]) -> Iterator[str]:
    """How many times as much as each peer our gateway serves."""
    for case in scenario.cases:
        rps = {row.target: row.median["rps"] for row in table if row.case == case and row.rounds}
        told = [f"{rps['preceptor'] / served:.3g} times {peer}" for peer, served in rps.items()
                if "preceptor" in rps and served and peer not in (DIRECT, "preceptor")]  # fmt: skip
        if told:
            yield f"\nAt {case.connections} ({case.model}), preceptor serves {', '.join(told)}."


def _left_out(scenario: Scenario, found: Results) -> Iterator[str]:
    """The rounds that were not quiet, said for each case."""
    for case in scenario.cases:
        runs = [run for run in found.runs if run.case == case.name]
        reasons = noisy(scenario, case, runs, found.wobble) if runs else {}
        if reasons:
            told = "; ".join(f"round {number + 1}: {reason}" for number, reason in sorted(reasons.items()))
            yield f"Left out at {case.connections} ({case.model}), more than {found.wobble:.0%} noise. {told}.\n"


def _cell(row: Row, key: str, form: str) -> str:
    if key not in row.median or (row.target == DIRECT and key.startswith("added_")):
        return "-"
    value = format(row.median[key], form)
    spread = row.spread[key]
    return value if row.rounds < 2 or key == "failed" else f"{value} ±{format(spread, form)}"


def _memory(found: Results) -> Iterator[str]:
    yield "## Memory in MB\n"
    yield "| | idle | most under load | afterwards |\n|---|---|---|---|"
    for memory in found.memory:
        yield f"| {memory.target} | {memory.idle:.0f} | {memory.loaded:.0f} | {memory.afterwards:.0f} |"
    if found.soak:
        first, last = found.soak[0], found.soak[-1]
        growth = slope(found.soak)
        told = "too short to tell its slope" if growth is None else f"{growth:+.2f} MB a minute after warming up"
        yield (
            f"\npreceptor under load for {last.minutes:.1f} minutes: {first.rss_mb:.0f} MB after the first"
            f" {first.minutes * 60:.0f} s, {last.rss_mb:.0f} MB in the end, {told};"
            f" {first.rps:,.0f} requests/s at first, {last.rps:,.0f} in the end."
        )
    yield f"\nExchanges that preceptor was sent and did not record: {found.dropped:,.0f}."


def svg(found: Results) -> str:
    """Throughput and what each target adds to a request, by connections."""
    table = [row for row in rows(SCENARIOS[0], found.runs, found.wobble) if row.rounds]

    def bars(key: str) -> list[Bar]:
        return [
            Bar(group=f"{row.case.connections} conn.", series=row.target, value=row.median[key])
            for row in table
            if row.median.get(key, 0) > 0 and not (row.target == DIRECT and key.startswith("added_"))
        ]

    return plot(
        Panel(title="Requests a second on one core (log scale)", bars=bars("rps"), form=",.0f"),
        Panel(title="Added to the median, ms (log scale)", bars=bars("added_p50"), form=".2f"),
    )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--plot", "plotted", type=click.Path(dir_okay=False, path_type=Path), help="Write an SVG, too.")
def main(file: Path, plotted: Path | None) -> None:
    """Print the tables of an earlier run."""
    found = results.read(file)
    click.echo(markdown(found))
    if plotted is not None:
        plotted.write_text(svg(found), encoding="utf-8")


if __name__ == "__main__":
    main()
