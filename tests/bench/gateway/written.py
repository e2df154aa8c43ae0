"""Results written into the documents: the tables, and every sentence that states a figure of them.

A place is what stands between ``<!-- bench NAME -->`` and ``<!-- /bench -->``; the rest of a document stays as it is.
``python -m tests.bench.gateway.written RESULTS.json`` writes those of an earlier run.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from gateway.domain import Value
from tests.bench.gateway import report, results
from tests.bench.gateway.cases import SCENARIOS
from tests.bench.gateway.process import ROOT
from tests.bench.gateway.results import Results
from tests.bench.gateway.rounds import Row, rows

DOCUMENTS: Final = ("README.md", "docs/measured.md", "docs/performance.md")
PLOT: Final = "docs/throughput.svg"
OURS: Final = "preceptor"
_PLACE = re.compile(r"(<!-- bench ([a-z ]+) -->).*?(<!-- /bench -->)", re.DOTALL)


class Figures:
    """The medians of a run, by scenario, connections, target and number; ``None`` where no round was quiet."""

    def __init__(self, found: Results) -> None:
        self._rows: Mapping[tuple[str, str, int, str], Row] = {
            (scenario.name, row.case.model, row.case.connections, row.target): row
            for scenario in SCENARIOS
            for row in rows(scenario, found.runs, found.wobble)
            if row.rounds
        }

    def value(self, key: str, target: str, connections: int, scenario: str, model: str = "fixed") -> float | None:
        row = self._rows.get((scenario, model, connections, target))
        return None if row is None else row.median.get(key)

    def ratio(self, key: str, over: str, under: str, connections: int, scenario: str = "throughput") -> float | None:
        above = self.value(key, over, connections, scenario)
        below = self.value(key, under, connections, scenario)
        return above / below if above is not None and below else None

    def targets(self) -> list[str]:
        return list(dict.fromkeys(target for *_, target in self._rows))


class Wish(Value, frozen=True):
    """A bar: what is measured, and how much of it is asked."""

    text: str
    measured: Callable[[Figures], float | None]
    least: float | None = None
    most: float | None = None
    form: str = ".2f"

    def bound(self) -> str:
        kind, bound = ("at least", self.least) if self.least is not None else ("at most", self.most)
        return f"{kind} {bound:g}"

    def kept(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


WISHES: Final[Sequence[Wish]] = (
    Wish(text="64 connections, requests/s, times Portkey", least=10, form=".1f",
         measured=lambda seen: seen.ratio("rps", OURS, "portkey", 64)),
    Wish(text="64 connections, requests/s, times LiteLLM", least=80, form=".0f",
         measured=lambda seen: seen.ratio("rps", OURS, "litellm", 64)),
    Wish(text="64 connections, nginx's requests/s, times ours", most=5, form=".1f",
         measured=lambda seen: seen.ratio("rps", "nginx", OURS, 64)),
    Wish(text="1 connection, median, times nginx's", most=1.5,
         measured=lambda seen: seen.ratio("p50", OURS, "nginx", 1)),
    Wish(text="1 connection, p99, ms", most=0.5, measured=lambda seen: seen.value("p99", OURS, 1, "throughput")),
    Wish(text="64 connections, 50 ms upstream, added p99, ms", most=1.5,
         measured=lambda seen: seen.value("added_p99", OURS, 64, "latency", "after-50")),
    Wish(text="64 connections, 100 KB, p99, ms", most=30, form=".1f",
         measured=lambda seen: seen.value("p99", OURS, 64, "prompts")),
)  # fmt: skip


def write(found: Results, folder: Path) -> list[str]:
    """Bring the documents of a checkout up to date, and the plot; returns the places that were written."""
    texts = places(found)
    written = []
    for name in DOCUMENTS:
        file = folder / name
        old = file.read_text(encoding="utf-8")
        written += [f"{name}: {place[1]}" for place in _PLACE.findall(old) if place[1] in texts]
        file.write_text(filled(old, texts), encoding="utf-8")
    (folder / PLOT).write_text(report.svg(found), encoding="utf-8")
    return written


def filled(document: str, texts: Mapping[str, str]) -> str:
    """Return a document with the texts at their places; a place without a text keeps its own."""

    def fill(place: re.Match[str]) -> str:
        text = texts.get(place[2])
        return place[0] if text is None else f"{place[1]}{text}{place[3]}"

    return _PLACE.sub(fill, document)


def places(found: Results) -> dict[str, str]:
    """Return the texts by the names of their places; none for a figure that no quiet round has."""
    seen = Figures(found)
    texts = {"tables": f"\n\n{summary(seen)}\n\n{report.markdown(found)}\n\n"}
    ours, nginx = seen.value("p50", OURS, 1, "throughput"), seen.value("p50", "nginx", 1, "throughput")
    rps = seen.value("rps", OURS, 64, "throughput")
    if ours is not None and nginx is not None:
        texts["median"] = (
            f"**{ours:.2f} ms** median for a request through the gateway at one connection, everything on (nginx as a"
            f" plain proxy: {nginx:.2f} ms)."
        )
        if rps is not None:
            texts["throughput"] = (
                f"{rps:,.0f} requests/s{_multiples(seen)}; {ours:.2f} ms median at one connection (nginx {nginx:.2f});"
                f" medians of {found.rounds} rounds"
            )
    return texts


def _multiples(seen: Figures) -> str:
    words = [(seen.ratio("rps", OURS, peer, 64), text) for peer, text in (
        ("portkey", "{:.1f} times Portkey"), ("litellm", "{:.0f} times LiteLLM"),
        ("nginx", "{:.0%} of nginx as a plain proxy"),
    )]  # fmt: skip
    parts = [text.format(ratio) for ratio, text in words if ratio is not None]
    return f": {', '.join(parts)} in the same run" if parts else ""


def summary(seen: Figures) -> str:
    """Return what was asked and what was found, and the table beside every other checkout."""
    lines = ["| asked | measured | |", "|---|---|---|"]
    for wish in WISHES:
        value = wish.measured(seen)
        cells = ("not measured", "-") if value is None else (
            format(value, wish.form), "kept" if wish.kept(value) else "**missed**"
        )  # fmt: skip
        lines.append(f"| {wish.text}: {wish.bound()} | {cells[0]} | {cells[1]} |")
    known = {"direct", "nginx", "portkey", "litellm"}
    for other in seen.targets():
        if other not in known and not other.startswith(OURS) and seen.value("rps", other, 64, "throughput") is not None:
            lines += ["", *_beside(seen, other)]
    return "\n".join(lines)


def _beside(seen: Figures, other: str) -> Iterator[str]:
    yield f"| beside {other}, ours / its | requests/s | median | p99 |"
    yield "|---|---|---|---|"
    for connections in (1, 16, 64, 256):
        ratios = [seen.ratio(key, OURS, other, connections) for key in ("rps", "p50", "p99")]
        cells = ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        yield f"| {connections} connection{'s' if connections > 1 else ''} | {' | '.join(cells)} |"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(file: Path) -> None:
    """Write the results of an earlier run into the documents."""
    for place in write(results.read(file), ROOT):
        click.echo(f"written: {place}")


if __name__ == "__main__":
    main()
