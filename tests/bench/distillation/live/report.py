"""The live benchmark's table: each row beside the base prompt, item by item."""

from collections.abc import Sequence

from optimizer.statistics.paired_test import Pairs, mcnemar, paired_interval, smallest_detectable, wilson
from tests.bench.distillation.live.data import Questions, right
from tests.bench.distillation.live.rows import Row

HEADS = (
    "row", "right, as promised", "95%", "change from base in points (95%)", "fixed, broken", "p, one-sided",
    "right by the last number", "output, prompt tokens per reply", "cut off", "search: tokens", "calls", "minutes",
)  # fmt: skip


def graded(questions: Questions, row: Row, *, lenient: bool = False) -> list[bool]:
    """Whether each reply is right."""
    return [right(reply, one.expected, lenient=lenient) for reply, one in zip(row.replies, questions.test, strict=True)]


def pairs(before: Sequence[bool], after: Sequence[bool]) -> Pairs:
    """Both rows on the same items."""
    outcomes = list(zip(before, after, strict=True))
    return Pairs(
        both=outcomes.count((True, True)), fixed=outcomes.count((False, True)),
        broken=outcomes.count((True, False)), neither=outcomes.count((False, False)),
    )  # fmt: skip


def table(questions: Questions, rows: Sequence[Row]) -> str:
    """Markdown. The first row is what the others are compared with."""
    n = len(questions.test)
    heading = (
        f"{questions.task}, seed {questions.seed}: {n} test items, {len(questions.train)} to learn from; a gain of"
        f" {100 * smallest_detectable(n):.0f} points can be shown (20% of pairs differ, 80% power, one-sided 5%)\n"
    )
    text = [
        heading,
        f"| {' | '.join(HEADS)} |",
        "|---" * len(HEADS) + "|",
    ]
    base = graded(questions, rows[0]) if rows else []
    for row in rows:
        mine = graded(questions, row)
        low, high = wilson(sum(mine), n)
        compared = pairs(base, mine)
        down, up = paired_interval(compared)
        change = 100 * (compared.fixed - compared.broken) / n
        against = [f"{change:+.0f} ({100 * down:+.0f} to {100 * up:+.0f})", f"{compared.fixed}, {compared.broken}"]
        against.append(f"{mcnemar(compared.fixed, compared.broken):.2g}")
        cells = [
            row.name, f"{sum(mine)} of {n} ({100 * sum(mine) / n:.0f}%)", f"{100 * low:.0f} to {100 * high:.0f}%",
            *(against if row is not rows[0] else ["", "", ""]),
            f"{sum(graded(questions, row, lenient=True))} of {n}",
            f"{row.test.output / n:.0f}, {row.test.prompt / n:.0f}", f"{row.test.cut}",
            f"{row.search.tokens:,}", f"{row.search.calls:,}", f"{row.search.seconds / 60:.0f}",
        ]  # fmt: skip
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)
