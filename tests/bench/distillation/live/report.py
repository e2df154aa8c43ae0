"""The live benchmark's table: each row beside the base prompt, item by item."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.teaching import Worksheet
from optimizer.statistics.paired_test import Pairs, mcnemar, paired_interval, smallest_detectable, wilson
from tests.bench.distillation.live.data import Questions, right
from tests.bench.distillation.live.rows import Row
from tests.bench.distillation.live.tasks import true_policy
from tests.bench.distillation.policy_score import RuleScore, score_list, score_texts

HEADS = (
    "row", "right, as promised", "95%", "change from base in points (95%)", "fixed, broken", "p, one-sided",
    "right by the last number", "output, prompt tokens per reply", "seconds per reply", "cut off", "search: tokens",
    "calls", "minutes", "strong model: calls, characters",
)  # fmt: skip
CHANGED = "changed"
"""The row that is measured on the test items after a change of policy."""


def graded(questions: Questions, row: Row, *, lenient: bool = False) -> list[bool]:
    """Whether each reply is right."""
    asked = questions.later if row.name == CHANGED and questions.later is not None else questions
    return [
        right(reply, one.expected, grader=asked.grader, lenient=lenient)
        for reply, one in zip(row.replies, asked.test, strict=True)
    ]


def pairs(before: Sequence[bool], after: Sequence[bool]) -> Pairs:
    """Both rows on the same items."""
    outcomes = list(zip(before, after, strict=True))
    return Pairs(
        both=outcomes.count((True, True)), fixed=outcomes.count((False, True)),
        broken=outcomes.count((True, False)), neither=outcomes.count((False, False)),
    )  # fmt: skip


def table(questions: Questions, rows: Sequence[Row], models: str = "") -> str:
    """Markdown: the table, then what each search says of itself. The first row is what the others are compared with."""
    n = len(questions.test)
    heading = (
        f"{questions.task}, {models}, seed {questions.seed}: {n} test items, {len(questions.train)} to learn from; a"
        f" gain of {100 * smallest_detectable(n):.0f} points can be shown (20% of pairs differ, 80% power, one-sided"
        " 5%)\n"
    )
    text = [heading, f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    base = graded(questions, rows[0]) if rows else []
    text += [_line(questions, row, None if row is rows[0] else base) for row in rows]
    text += ["", *(f"- {row.name}: {words}" for row in rows if (words := found_in_words(questions, row)))]
    return "\n".join(text)


def overview(tasks: Sequence[tuple[Questions, Sequence[Row], str]]) -> str:
    """Markdown: every task in a line, every row in a column; right answers, and the 95% interval of their share."""
    names = list(dict.fromkeys(row.name for _, rows, _ in tasks for row in rows))
    text = [f"| task, weak model, items | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for questions, rows, models in tasks:
        shares = {row.name: _share(graded(questions, row)) for row in rows}
        head = f"{questions.task}, {models.partition('/')[0]}, {len(questions.test)}"
        text.append(f"| {head} | {' | '.join(shares.get(name, '') for name in names)} |")
    return "\n".join(text)


def _share(mine: Sequence[bool]) -> str:
    low, high = wilson(sum(mine), len(mine))
    return f"{sum(mine)}, {100 * low:.0f} to {100 * high:.0f}%"


def _line(questions: Questions, row: Row, base: Sequence[bool] | None) -> str:
    mine = graded(questions, row)
    n = len(mine)
    low, high = wilson(sum(mine), n)
    against = ["", "", ""]
    if base is not None and row.name != CHANGED:
        compared = pairs(base, mine)
        down, up = paired_interval(compared)
        change = 100 * (compared.fixed - compared.broken) / n
        against = [
            f"{change:+.0f} ({100 * down:+.0f} to {100 * up:+.0f})", f"{compared.fixed}, {compared.broken}",
            f"{mcnemar(compared.fixed, compared.broken):.2g}",
        ]  # fmt: skip
    numeric = questions.grader == "numeric"
    by_kind = f" ({row.taught.inexact} by kind)" if row.taught.inexact else ""
    cells = [
        row.name, f"{sum(mine)} of {n} ({100 * sum(mine) / n:.0f}%)", f"{100 * low:.0f} to {100 * high:.0f}%", *against,
        f"{sum(graded(questions, row, lenient=True))} of {n}" if numeric else "",
        f"{row.test.output / n:.0f}, {row.test.prompt / n:.0f}", f"{row.test.seconds / n:.1f}", f"{row.test.cut}",
        f"{row.search.tokens:,}", f"{row.search.calls:,}", f"{row.search.seconds / 60:.0f}",
        f"{row.taught.calls}, {row.taught.characters:,}{by_kind}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def found_in_words(questions: Questions, row: Row) -> str:
    """What a search found, what each part brings on selection items, and how much of a known policy it is."""
    found = row.found if isinstance(row.found, dict) else {}
    parts = []
    if "verdict" in found:
        parts.append(f"verdict {found['verdict']}; {found['note']}")
        parts += [effect_in_words(part, effect) for part, effect in (found.get("effects") or {}).items()]
        parts.append(
            f"{len(found['rules'])} rules, form {found['scratchpad']}, {found['examples']} examples,"
            f" {'a' if found.get('worksheet') else 'no'} worksheet"
        )
    score = rule_score(questions, row)
    if score is not None:
        parts.append(score.words)
    if "stale" in found and questions.later is not None:
        old = [
            right(reply, one.expected, grader=questions.grader)
            for reply, one in zip(found["stale"], questions.later.test, strict=True)
        ]
        parts.append(f"right after the change before it learnt again: {sum(old)} of {len(old)}")
    return "; ".join(parts)


def effect_in_words(part: str, effect: Mapping[str, Any]) -> str:
    """An effect as a sentence."""
    low, high = effect["interval"]
    return (
        f"the {part} {100 * effect['change']:+.0f} points ({100 * low:+.0f} to {100 * high:+.0f}, on"
        f" {effect['items']} selection items)"
    )


def rule_score(questions: Questions, row: Row) -> RuleScore | None:
    """How many of the true rules a row found; ``None`` where nobody knows them, or it has no rules."""
    policy = true_policy(questions, changed=row.name == CHANGED)
    found = row.found if isinstance(row.found, dict) else {}
    if policy is None:
        return None
    if sheet := found.get("worksheet"):
        return score_list(policy, msgspec.convert(sheet, Worksheet))
    rules = found.get("rules")
    return score_texts(policy, [rule["text"] for rule in rules]) if rules else None
