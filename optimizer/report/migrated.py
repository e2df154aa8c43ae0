"""The report of a migration: three arms on examples that chose nothing, and what moving the task saves."""

from collections.abc import Sequence

from optimizer.grading.graders.ungradable import text_of
from optimizer.migration.arms import ArmSummary, ModelComparison, Shown
from optimizer.migration.money import Savings, usd
from optimizer.migration.run import Migration
from optimizer.report.charts import Bar, Interval
from optimizer.report.distilled import candidates_of, caveats_of, gate_of, refused_by, rules_of
from optimizer.report.view import (
    FORMS,
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


def migrated(found: Migration, facts: Sequence[Fact]) -> Report:
    """The report of ``migrate``: three arms on examples that chose nothing."""
    outcome, arms = found.outcome, found.arms
    priced = [arm for arm in arms if arm.usd_per_thousand is not None]
    return Report(
        title=f"Can {arms[-1].model} serve {found.task}?",
        answer=found.answer,
        notes=_notes(found),
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
        verdicts=(gate_of(outcome), _against_strong(found.comparison, arms), *_saved(found.savings)),
        form=FORMS[outcome.scratchpad],
        rules=rules_of(outcome),
        blocks=(
            ExampleSection(title="Fixed: wrong without the rules, right with them", count=found.fixed_items.count,
                  examples=tuple(map(_changed, found.fixed_items.shown))),
            ExampleSection(title="Broken: right without the rules, wrong with them", count=found.broken_items.count,
                  examples=tuple(map(_changed, found.broken_items.shown))),
            ExampleSection(title="Lost: the strong model is right, the candidate is not", count=found.lost_items.count,
                  examples=tuple(map(_changed, found.lost_items.shown))),
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


def _saved(found: Savings) -> list[Fact]:
    question = "What does it save?"
    if found.per_thousand_usd is None:
        return [(question, "Not known: the strong model has no price in the configuration.")]
    if found.per_thousand_usd <= 0:
        return [(question, f"Nothing: it costs {usd(-found.per_thousand_usd)} more per 1,000 calls.")]
    told = f"{usd(found.per_thousand_usd)} per 1,000 calls"
    if found.per_month_usd is not None:
        told += f", {usd(found.per_month_usd)} per month at {found.calls_per_month:,.0f} calls"
    if found.one_time_usd is not None and found.break_even_calls is not None:
        told += f". Learning took {usd(found.one_time_usd)}: earned back after {found.break_even_calls:,} calls"
        if found.break_even_days is not None:
            told += f", {found.break_even_days:,.1f} days" if found.break_even_days >= 1 else ", within a day"
    return [(question, told + ".")]


def _notes(found: Migration) -> tuple[str, ...]:
    notes = []
    if found.labels.reference:
        notes.append(
            f"For {found.labels.reference} of {found.labels.given + found.labels.reference} examples nobody said what"
            f" is right, so the answer of {found.arms[0].model} stands for it: there, quality means agreement with"
            f" {found.arms[0].model}, its own 100% is by definition, and its errors count as right."
        )
    if found.arms[0].recorded:
        notes.append(
            f"{found.arms[0].recorded} answers of {found.arms[0].model} are from the log: their latency is what it was"
            " then, with whatever temperature and length the clients asked for."
        )
    if any(arm.usd_per_thousand is None for arm in found.arms):
        notes.append("A model without a price in the configuration counts as free.")
    if found.savings.calls_per_month is None:
        notes.append("Calls per month are not known: give --calls-per-month, or let the log span a day.")
    return (*notes, *caveats_of(found.outcome))


def _changed(one: Shown) -> Changed:
    return Changed(
        input=one.input,
        expected=text_of(one.expected),
        replies=tuple(ShownReply(who=who, text=text, right=who in one.right) for who, text in one.replies.items()),
    )


def _money(amount: float | None) -> str:
    return "not known" if amount is None else usd(amount)
