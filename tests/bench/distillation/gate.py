"""How often is an acceptance rule wrong? Ours beside the field's, on the same replayed comparisons; no model needed.

Prints tables in Markdown, or one JSON object. What stands in them, and how to read them: ``README.md``.
"""

import json
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import scipy
from scipy import stats

from gateway import __version__
from optimizer.statistics.paired_test import wilson
from tests.bench.distillation import theory
from tests.bench.distillation.cases import Case, Randomness, Task, read, recorded, reordered, synthetic
from tests.bench.distillation.rules import RULES, preceptor

RECORDED: Final = Path(__file__).parents[4] / "shared" / "data" / "bbh_recorded.jsonl.gz"
SIZES: Final = (50, 100, 200, 250)
TOLERANCE: Final = 0.1
"""A gain of ten points and more is to be found as often as by "mean went up", less this."""
CANDIDATES: Final = 10
Cell = dict[str, Any]


def replay(cases: Iterable[Case], sizes: Sequence[int], runs: int, randomness: Randomness) -> list[Cell]:
    """Every rule on every case, all rules on the same draws."""
    cells = []
    for case in cases:
        for n in sizes:
            differences = case.draw(randomness, runs, n)
            for name, rule in RULES.items():
                adopted, items = rule(differences)
                cell = {"rule": name, "kind": case.kind, "case": case.name, "n": n, "change": round(case.change, 4)}
                count = int(adopted.sum())
                cells.append(cell | {"runs": runs, "adopted": count, "items": float(items.mean())})
    return cells


def rate(cells: Sequence[Cell], *, missed: bool = False) -> str:
    """Percentage adopted (or not adopted), with half the width of its 95% interval."""
    runs = sum(cell["runs"] for cell in cells)
    count = sum(cell["adopted"] for cell in cells)
    low, high = wilson(count, runs)
    share = 1 - count / runs if missed else count / runs
    return f"{100 * share:.1f} ±{50 * (high - low):.1f}"


def large(cell: Cell) -> bool:
    """A gain that the demand speaks of: ten points or more."""
    return bool(cell["change"] >= 0.0999)


def wrong(cells: Sequence[Cell]) -> str:
    """Percentage of wrong decisions if nulls, losses and gains of ten points or more come equally often."""
    nulls, losses = ([cell for cell in cells if cell["kind"].startswith(kind)] for kind in ("null", "loss"))
    rates = [sum(cell["adopted"] for cell in some) / sum(cell["runs"] for cell in some) for some in (nulls, losses)]
    gains = [cell for cell in cells if large(cell)]
    rates.append(1 - sum(cell["adopted"] for cell in gains) / sum(cell["runs"] for cell in gains))
    return f"{100 * sum(rates) / len(rates):.1f}"


def tables(cells: Sequence[Cell], columns: Sequence[str], *, worst: bool) -> str:
    """A table for every n: false adoptions (of all cases, or of the worst one), missed gains, mean number of items."""
    text = []
    for n in dict.fromkeys(cell["n"] for cell in cells):
        heads = [f"{kind}: {'missed' if 'gain' in kind else 'adopted'}" for kind in columns]
        heads = ["rule", *heads, "wrong, on average", "items: null", "items: gain of 10 or more"]
        text += [f"\nn = {n}\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for rule in RULES:
            mine = [cell for cell in cells if cell["n"] == n and cell["rule"] == rule]
            row = [rule]
            for kind in columns:
                these = [cell for cell in mine if cell["kind"] == kind]
                if worst and "gain" not in kind:
                    these = [max(these, key=lambda cell: int(cell["adopted"]))]
                row.append(rate(these, missed="gain" in kind))
            row.append(wrong(mine))
            nulls, gains = [cell for cell in mine if cell["kind"] == "null"], [cell for cell in mine if large(cell)]
            row += [f"{np.mean([cell['items'] for cell in these]):.0f}" for these in (nulls, gains)]
            text.append(f"| {' | '.join(row)} |")
    return "\n".join(text)


def whole_tasks(tasks: Sequence[Task], orders: int, randomness: Randomness) -> list[Cell]:
    """Our gate on all recorded items of a task, in many orders."""
    cells = []
    for task in tasks:
        adopted, items = preceptor(reordered(task, randomness, orders))
        fixed, broken = int((task.differences > 0).sum()), int((task.differences < 0).sum())
        p = float(stats.binomtest(fixed, fixed + broken).pvalue)
        cell = {"task": task.name, "n": len(task.differences), "direct": task.direct, "fixed": fixed, "broken": broken}
        truth = "undecided" if p > 0.05 else "better" if fixed > broken else "worse"
        counted = {"runs": orders, "adopted": int(adopted.sum()), "items": float(items.mean())}
        cells.append(cell | {"p_two_sided": p, "truth": truth} | counted)
    return sorted(cells, key=lambda cell: float(cell["fixed"] - cell["broken"]) / cell["n"])


def whole_table(cells: Sequence[Cell]) -> str:
    text = ["| task | n | right, direct | change in points | pairs that differ | p, two-sided | adopted | items |"]
    text.append("|---" * 8 + "|")
    for cell in cells:
        n, fixed, broken = cell["n"], cell["fixed"], cell["broken"]
        text.append(
            f"| {cell['task']} | {n} | {cell['direct']:.0%} | {100 * (fixed - broken) / n:+.1f} |"
            f" {(fixed + broken) / n:.0%} | {cell['p_two_sided']:.2g} | {rate([cell])} | {cell['items']:.0f} |"
        )
    better = [cell for cell in cells if cell["truth"] == "better"]
    mostly = sum(cell["adopted"] > cell["runs"] / 2 for cell in better)
    text.append(f"\n{len(better)} tasks are better (p at most 5%, two-sided): {mostly} of them adopted in most orders.")
    return "\n".join(text)


def best_of_ten(sizes: Sequence[int], runs: int, randomness: Randomness) -> list[Cell]:
    """Ten candidates, none of them better: the best by its mean on n items, then our gate on that one, on n fresh ones.

    Incumbent and candidates are right half the time; 20% of the pairs differ.
    """
    cells = []
    for name, change in (("ten equal to the incumbent", 0.0), ("ten that lose 4 points", -0.04)):
        fixes, breaks = 0.2 + change, 0.2 - change
        for n in sizes:
            promised, fresh = [], np.zeros((runs, n), np.int8)
            for run in range(runs):
                incumbent = randomness.random(n) < 0.5
                chance = randomness.random((CANDIDATES, n))
                gains = (~incumbent & (chance < fixes)).sum(axis=1) - (incumbent & (chance < breaks)).sum(axis=1)
                promised.append(gains.max() / n)
                again, luck = randomness.random(n) < 0.5, randomness.random(n)
                fresh[run] = (~again & (luck < fixes)).astype(np.int8) - (again & (luck < breaks)).astype(np.int8)
            chosen = np.array(promised) > 0
            confirmed, _ = preceptor(fresh)
            cell = {"case": name, "n": n, "runs": runs, "true_change": change, "promised": float(np.mean(promised))}
            cells.append(cell | {"best_mean": int(chosen.sum()), "ours": int((chosen & confirmed).sum())})
    return cells


def best_table(cells: Sequence[Cell]) -> str:
    text = [
        "| candidates | n | the best one's gain on the n items | adopted by it | adopted by our gate on n fresh items |"
    ]
    text.append("|---" * 5 + "|")
    for cell in cells:
        adopted = [rate([{"runs": cell["runs"], "adopted": cell[rule]}]) for rule in ("best_mean", "ours")]
        text.append(f"| {cell['case']} | {cell['n']} | {100 * cell['promised']:+.1f} points | {' | '.join(adopted)} |")
    return "\n".join(text)


def nulls_exactly() -> list[Cell]:
    """The highest chance to adopt a null over all planned sizes from 10 on, without the help of futility."""
    cells = []
    shares = [(step + 1) / 40 for step in range(40)]
    sizes = (*range(10, 61), *range(70, 151, 10), 175, *range(200, 301, 50), 400)
    rates = {(n, d): theory.adoption_rate(n, d / 2, d / 2, futility=False) for n in sizes for d in shares}
    for limit in (0.2, 0.4, 0.6, 0.8, 1.0):
        (n, share), highest = max(
            ((key, found) for key, found in rates.items() if key[1] <= limit), key=lambda at: at[1]
        )
        cells.append({"differ_at_most": limit, "adopted": highest, "at_n": n, "at_share": share})
    return cells


def attainable(sizes: Sequence[int]) -> list[Cell]:
    """Up to which share of pairs that differ a gain is found as often as demanded: by us, by the best rule at all."""
    cells = []
    for gain in (0.1, 0.15, 0.2):
        for n in sizes:
            ours = best = None
            for share in (step / 100 for step in range(round(100 * gain), 101)):
                chances = ((share + gain) / 2, max(0.0, (share - gain) / 2))
                wanted = theory.chance_that_the_mean_goes_up(n, *chances) - TOLERANCE
                best = share if theory.most_that_can_be_found(n, *chances) >= wanted else best
                ours = share if theory.adoption_rate(n, *chances) >= wanted else ours
            cells.append({"gain": gain, "n": n, "ours_up_to": ours, "any_rule_up_to": best})
    return cells


def attainable_recorded(tasks: Sequence[Task], sizes: Sequence[int]) -> list[Cell]:
    """The same for the recorded tasks with a gain of ten points and more."""
    helped = [task for task in tasks if task.fixed - task.broken >= 0.0999]
    cells = []
    for n in sizes:
        rows: dict[str, dict[str, float]] = {}
        for task in helped:
            chances = (task.fixed, task.broken)
            rows[task.name] = {
                "wanted": theory.chance_that_the_mean_goes_up(n, *chances) - TOLERANCE,
                "ours": theory.adoption_rate(n, *chances),
                "any_rule": theory.most_that_can_be_found(n, *chances),
            }
        mean = {who: float(np.mean([row[who] for row in rows.values()])) for who in ("wanted", "ours", "any_rule")}
        met, could = (sum(row[who] >= row["wanted"] for row in rows.values()) for who in ("ours", "any_rule"))
        counted = {"tasks": len(helped), "met_by_ours": met, "met_by_any_rule": could}
        cells.append({"n": n, **counted, "mean": mean, "rows": rows})
    return cells


def exact_tables(result: Cell) -> str:
    """What was computed rather than drawn."""
    text = [
        "\n## Computed exactly\n",
        "| pairs that differ, at most | nulls adopted, at most | at n |",
        "|---|---|---|",
    ]
    text += [f"| {cell['differ_at_most']:.0%} | {cell['adopted']:.2%} | {cell['at_n']} |" for cell in result["nulls"]]
    text += ["\n| gain | n | ours meets the demand up to | any rule could up to |", "|---|---|---|---|"]
    for cell in result["attainable"]:
        shares = [
            "never" if cell[who] is None else f"{cell[who]:.0%} differ" for who in ("ours_up_to", "any_rule_up_to")
        ]
        text.append(f"| {cell['gain']:.0%} | {cell['n']} | {' | '.join(shares)} |")
    if "attainable_recorded" in result:
        text.append(
            "\n| n | recorded gains of 10 or more | demand met by ours | could be met | wanted | ours | any rule |"
        )
        text.append("|---" * 7 + "|")
        for cell in result["attainable_recorded"]:
            means = " | ".join(f"{share:.1%}" for share in cell["mean"].values())
            text.append(
                f"| {cell['n']} | {cell['tasks']} | {cell['met_by_ours']} | {cell['met_by_any_rule']} | {means} |"
            )
    return "\n".join(text)


def report(result: Cell) -> str:
    gains = [f"gain of {points}" for points in (5, 10, 15, 20)]
    text = [", ".join(f"{name} {version}" for name, version in result["versions"].items())]
    text.append(f"seed {result['seed']}, {result['runs']} comparisons a cell, percentages with 95% intervals")
    text += ["\n## Synthetic", tables(result["synthetic"], ["null", "loss of 4", *gains], worst=True)]
    text += ["\n## Best of ten\n", best_table(result["best_of_ten"])]
    if "recorded" in result:
        kinds = ["null", "loss of under 10", "loss of 10 or more", "gain of under 10", "gain of 10 or more"]
        text += ["\n## Recorded", tables(result["recorded"], kinds, worst=False)]
        text += ["\n## Recorded, all items\n", whole_table(result["whole"])]
    text.append(exact_tables(result))
    return "\n".join(text)


@click.command()
@click.option("--runs", default=40_000, show_default=True, help="Comparisons a cell.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--data", type=click.Path(path_type=Path), default=RECORDED, help="Recorded outcomes.  [default: ../shared]"
)
@click.option("--json", "as_json", is_flag=True, help="One object with every cell instead of tables.")
def main(runs: int, seed: int, data: Path, as_json: bool) -> None:
    """Replay, compute, and print."""
    randomness = np.random.default_rng(seed)
    versions = {"preceptor": __version__, "Python": platform.python_version()}
    result: Cell = {"versions": versions | {"numpy": np.__version__, "scipy": scipy.__version__}}
    result |= {"seed": seed, "runs": runs, "synthetic": replay(synthetic(), SIZES, runs, randomness)}
    result["best_of_ten"] = best_of_ten(SIZES, max(1, runs // 5), randomness)
    result |= {"nulls": nulls_exactly(), "attainable": attainable(SIZES)}
    if data.is_file():
        tasks = read(data)
        result["recorded"] = replay(recorded(tasks), SIZES, max(1, runs // 5), randomness)
        result["whole"] = whole_tasks(tasks, max(1, runs // 10), randomness)
        result["attainable_recorded"] = attainable_recorded(tasks, SIZES)
    else:
        click.echo(f"no recorded outcomes at {data}: that part is left out", err=True)
    click.echo(json.dumps(result) if as_json else report(result))


if __name__ == "__main__":
    main()
