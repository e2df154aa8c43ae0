"""The report of a migration: three arms on untouched examples, and the savings."""

from collections.abc import Sequence

from gateway.forms import FORMS
from optimizer.grading.graders.ungradable import text_of
from optimizer.migration.arms import ArmSummary, Differing, ModelComparison, Shown
from optimizer.migration.money import usd
from optimizer.migration.run import MAY_SERVE, Migration
from optimizer.report.charts import Bar, Interval
from optimizer.report.distilled import candidates_of, caveats_of, gate_of, refused_by, rules_of
from optimizer.report.view import (
    Changed,
    Column,
    ExampleSection,
    Fact,
    Report,
    ShownReply,
    change,
    seconds,
    sentence,
)

_KINDS = {"strong": "strong", "weak": "weak", "weak + rules": "rules"}


def migrated(migration: Migration, facts: Sequence[Fact]) -> Report:
    """Return the report of ``migrate``: three arms on untouched examples."""
    outcome, arms = migration.outcome, migration.arms
    priced = [arm for arm in arms if arm.usd_per_thousand is not None]
    return Report(
        title=f"Can {arms[-1].model} serve {migration.task}?",
        answer=migration.answer,
        notes=_notes(migration),
        measures=(
            "right", "95% interval", "examples", "prompt tokens per call", "output tokens per call", "latency, median",
            "latency, 95th percentile", "cost per 1,000 calls", "cost per month",
        ),
        columns=tuple(_column(arm) for arm in arms),
        quality=tuple(
            Interval(label=arm.name, value=arm.accuracy, low=arm.interval[0], high=arm.interval[1],
                     kind=_KINDS[arm.name])
            for arm in arms
        ),
        tokens=tuple(
            Bar(label=arm.name, amount=arm.prompt_tokens + arm.output_tokens, kind=_KINDS[arm.name],
                shown=f"{arm.prompt_tokens:,.0f} in, {arm.output_tokens:,.0f} out")
            for arm in arms
        ),
        money=tuple(
            Bar(label=arm.name, amount=arm.usd_per_thousand or 0.0, shown=usd(arm.usd_per_thousand or 0.0),
                kind=_KINDS[arm.name])
            for arm in priced
        ),
        verdicts=(gate_of(outcome), _against_strong(migration.comparison, arms), _saved(migration)),
        form=FORMS[outcome.scratchpad].description,
        rules=rules_of(outcome),
        blocks=(
            _examples("Fixed: wrong without the rules, right with them", migration.fixed_items),
            _examples("Broken: right without the rules, wrong with them", migration.broken_items),
            _examples("Lost: the strong model is right, the candidate is not", migration.lost_items),
        ),
        tried=candidates_of(outcome),
        refused=refused_by(outcome),
        facts=tuple(facts),
    )  # fmt: skip


def _column(arm: ArmSummary) -> Column:
    low, high = arm.interval
    return Column(
        title=arm.name,
        subtitle=arm.model if arm.rules is None else f"{arm.model}, rules {arm.rules}",
        kind=_KINDS[arm.name],
        cells=(
            f"{arm.accuracy:.1%}", f"{low:.1%} to {high:.1%}", f"{arm.n}", f"{arm.prompt_tokens:,.0f}",
            f"{arm.output_tokens:,.0f}", seconds(arm.latency_s), seconds(arm.latency_p95_s),
            _money(arm.usd_per_thousand), _money(arm.usd_per_month),
        ),
    )  # fmt: skip


def _against_strong(comparison: ModelComparison, arms: Sequence[ArmSummary]) -> Fact:
    pairs = comparison.pairs
    return f"Is {comparison.candidate} as good as {arms[0].model}? (margin {comparison.margin:.0%})", (
        f"{comparison.verdict.capitalize()}: on {pairs.n} untouched examples both are right on {pairs.both}, only the"
        f" candidate on {pairs.fixed}, only {arms[0].model} on {pairs.broken}, neither on {pairs.neither};"
        f" {change(comparison.interval)}. {sentence(comparison.note)}."
    )


def _saved(migration: Migration) -> Fact:
    question, savings = "What does it save?", migration.savings
    spent = "" if savings.one_time_usd is None else f" This run took {usd(savings.one_time_usd)}."
    if migration.comparison.verdict not in MAY_SERVE:
        return question, f"Nothing is promised: that {migration.comparison.candidate} may serve is not shown.{spent}"
    if savings.per_thousand_usd is None:
        return question, f"Not known: the strong model has no price in the configuration.{spent}"
    if savings.per_thousand_usd <= 0:
        return question, f"Nothing: it costs {usd(-savings.per_thousand_usd)} more per 1,000 calls.{spent}"
    answer = f"{usd(savings.per_thousand_usd)} per 1,000 calls"
    if savings.per_month_usd is not None:
        answer += f", {usd(savings.per_month_usd)} per month at {savings.calls_per_month:,.0f} calls"
    if spent and savings.break_even_calls is not None:
        spent = f"{spent[:-1]}, earned back after {savings.break_even_calls:,} calls"
        if savings.break_even_days is not None:
            spent += f" ({savings.break_even_days:,.1f} days)" if savings.break_even_days >= 1 else " (within a day)"
        spent += "."
    return question, f"{answer}.{spent}"


def _notes(migration: Migration) -> tuple[str, ...]:
    notes = []
    labels, strong = migration.labels, migration.arms[0]
    if labels.reference:
        notes.append(
            f"For {labels.reference} of {labels.given + labels.reference} examples there is no label but an earlier"
            f" answer of {strong.model}: there, quality means agreement with that answer, and its errors count as"
            f" right. {strong.model} agrees with its own earlier answers on {strong.self_agreement} of them."
        )
    if strong.recorded:
        notes.append(
            f"{strong.recorded} answers of {strong.model} are from the log, with their latency of that time and with"
            " the clients' own temperature and length."
        )
    if any(arm.usd_per_thousand is None for arm in migration.arms):
        notes.append("A model without a price in the configuration counts as free.")
    if migration.savings.calls_per_month is None:
        notes.append("Calls per month are not known: give --calls-per-month, or let the log span a day.")
    return (*notes, *caveats_of(migration.outcome))


def _examples(title: str, differing: Differing) -> ExampleSection:
    return ExampleSection(title=title, count=differing.count, examples=tuple(map(_changed, differing.shown)))


def _changed(example: Shown) -> Changed:
    return Changed(
        input=example.input,
        expected=text_of(example.expected),
        replies=tuple(
            ShownReply(who=who, text=text, right=who in example.right) for who, text in example.replies.items()
        ),
    )


def _money(amount: float | None) -> str:
    return "not known" if amount is None else usd(amount)
