"""The report of a distillation, and the parts shared with the report of a migration: rules, candidates, refusals."""

from collections.abc import Sequence

from gateway.domain import Measured, RuleRecord
from gateway.forms import FORMS
from optimizer.distillation.outcome import ChangedItem, Outcome
from optimizer.grading.graders.ungradable import text_of
from optimizer.report.charts import Bar, Interval, Point
from optimizer.report.view import (
    Candidate,
    Changed,
    Column,
    ExampleSection,
    Fact,
    Report,
    RuleLine,
    ShownReply,
    change,
    seconds,
    sentence,
)
from optimizer.statistics.paired_test import LEVEL, wilson

_DOTS = {"incumbent": "weak", "chosen": "rules", "other": "other"}


def distilled(outcome: Outcome, facts: Sequence[Fact]) -> Report:
    """Return the report of ``distill``: the incumbent and the candidate on the confirmation examples."""
    arms = [
        ("before", "without rules" if outcome.against is None else f"rules {outcome.against}", "weak", outcome.before),
        ("after", learnt(outcome), "rules", outcome.after),
    ]
    arms = arms if outcome.items_used else []
    return Report(
        title=f"Rules for {outcome.task}",
        answer=f"{outcome.verdict.capitalize()}: {outcome.note}",
        notes=caveats_of(outcome),
        measures=("right", "95% interval", "examples", "output tokens per call", "latency, mean"),
        columns=tuple(
            Column(title=name, subtitle=what, kind=kind, cells=_cells(measured)) for name, what, kind, measured in arms
        ),
        quality=tuple(_interval(name, kind, measured) for name, _, kind, measured in arms),
        tokens=tuple(
            Bar(
                label=name,
                amount=measured.output_tokens,
                shown=f"{measured.output_tokens:,.0f} output tokens per call",
                kind=kind,
            )
            for name, _, kind, measured in arms
        ),
        money=(),
        verdicts=(gate_of(outcome),),
        form=FORMS[outcome.scratchpad].description,
        rules=rules_of(outcome),
        blocks=(
            _pairs("Fixed: right with the rules, wrong before", outcome.fixed, outcome.fixed_examples, right="after"),
            _pairs(
                "Broken: right before, wrong with the rules", outcome.broken, outcome.broken_examples, right="before"
            ),
        ),
        tried=candidates_of(outcome),
        refused=refused_by(outcome),
        facts=tuple(facts),
    )


def learnt(outcome: Outcome) -> str:
    """Return the parts of the confirmed candidate in a few words."""
    parts = [f"{len(outcome.rules)} rules", FORMS[outcome.scratchpad].description]
    if outcome.examples:
        parts.append(f"{outcome.examples} examples")
    if outcome.worksheet is not None:
        parts.append(f"a worksheet with {len(outcome.worksheet.decisions)} decisions")
    return ", ".join(parts)


def gate_of(outcome: Outcome) -> Fact:
    """Return the gate's question and its verdict."""
    question = "Do the rules help the weak model? (the gate, on examples that only confirm)"
    if not outcome.items_used:
        return question, f"{outcome.verdict.capitalize()}: {outcome.note}"
    return question, (
        f"{outcome.verdict.capitalize()}: {outcome.before.accuracy:.0%} to {outcome.after.accuracy:.0%} on"
        f" {outcome.items_used} examples, {outcome.fixed} fixed, {outcome.broken} broken, p = {outcome.p_value:.2g};"
        f" {change(outcome.interval, outcome.promised)}. {sentence(outcome.note)}"
    )


def caveats_of(outcome: Outcome) -> tuple[str, ...]:
    """Return the caveats of the gate's numbers: its level, pure chance, and changes outside the answer."""
    caveats = []
    if outcome.level is not None:
        many = "" if outcome.level >= LEVEL else f", not {LEVEL:.0%}, because it is one of many scheduled tests"
        caveats.append(f"Of changes without effect, the gate's test adopts at most {100 * outcome.level:.2g}%{many}.")
    if (noise := outcome.noise) is not None:
        low, high = noise.interval
        caveats.append(
            f"Asked twice, the incumbent was right once and wrong once on {noise.differing} of {noise.items} examples"
            f" (95% interval {low:.0%} to {high:.0%}). That much is chance; the gate can show gains from"
            f" {outcome.detectable:.0%} up."
        )
    for change_ in outcome.outside:
        whose = f" for {change_.of}" if change_.of else ""
        mark = f" ({change_.example!r})" if change_.example else ""
        caveats.append(
            f"Outside the answer{whose}: {change_.gained} of {change_.items} replies gained a new {change_.kind}{mark},"
            f" {change_.lost} lost one{'; this speaks against the rules' if change_.refused else ''}."
        )
    return tuple(caveats)


def rules_of(outcome: Outcome) -> tuple[RuleLine, ...]:
    """Return the rules of the confirmed candidate, each with its own measured effect."""
    books = {record.id: record for record in outcome.records}
    return tuple(
        _rule_line(books[rule.id])
        if rule.id in books
        else RuleLine(text=rule.text, reason=rule.reason, evidence="", effect="not measured by itself")
        for rule in outcome.rules
    ) + _decisions_of(outcome)


def _decisions_of(outcome: Outcome) -> tuple[RuleLine, ...]:
    """The decision list of the confirmed candidate; its effect is that of the whole worksheet."""
    if outcome.worksheet is None:
        return ()
    return tuple(
        RuleLine(
            text=f"{f'If {line.when}' if line.when else 'Otherwise'}: {line.result}", reason=line.reason,
            evidence="decided by the gateway: the first true condition counts",
            effect="measured with the whole worksheet",
        )
        for line in outcome.worksheet.decisions
    )  # fmt: skip


def _rule_line(record: RuleRecord) -> RuleLine:
    effect = record.effect
    sources = _count(len(record.mistakes), "mistake") + f" in {_count(record.groups, 'group')}"
    return RuleLine(
        text=record.text,
        reason=record.reason,
        evidence=(f"learnt from {sources}" if record.mistakes else "not from this run")
        + f"; adds about {record.tokens} tokens to each prompt",
        effect="not measured by itself"
        if effect is None
        else f"{100 * effect.change:+.1f} points ({100 * effect.interval[0]:+.0f} to {100 * effect.interval[1]:+.0f}),"
        f" {effect.tokens:+.0f} tokens per call against {effect.against}, on {effect.items} selection examples"
        + (f"; {record.why}" if record.why else ""),
    )


def candidates_of(outcome: Outcome) -> tuple[Candidate, ...]:
    """Return all candidates, numbered, the fewest tokens first."""
    return tuple(
        Candidate(
            point=Point(
                label=str(number), tokens=tried.tokens, quality=tried.measured.accuracy, kind=_DOTS[tried.role],
                frontier=tried.frontier,
            ),
            what=f"{'' if tried.role == 'other' else tried.role + ': '}{_count(len(tried.rules), 'rule')},"
            f" {FORMS[tried.scratchpad].description}",
            examples=tried.measured.n,
        )
        for number, tried in enumerate(outcome.tried, start=1)
    )  # fmt: skip


def refused_by(outcome: Outcome) -> tuple[Fact, ...]:
    """Return the rejected rules and candidates, with the reason."""
    return tuple((rejected.what, rejected.why) for rejected in outcome.rejected)


def _cells(measured: Measured) -> tuple[str, ...]:
    low, high = _bounds(measured)
    return (
        f"{measured.accuracy:.1%}",
        f"{low:.1%} to {high:.1%}",
        f"{measured.n}",
        f"{measured.output_tokens:,.0f}",
        seconds(measured.latency_s),
    )


def _interval(label: str, kind: str, measured: Measured) -> Interval:
    low, high = _bounds(measured)
    return Interval(label=label, value=measured.accuracy, low=low, high=high, kind=kind)


def _bounds(measured: Measured) -> tuple[float, float]:
    return wilson(round(measured.accuracy * measured.n), measured.n)


def _pairs(title: str, count: int, examples: Sequence[ChangedItem], *, right: str) -> ExampleSection:
    return ExampleSection(
        title=title,
        count=count,
        examples=tuple(
            Changed(
                input=example.input,
                expected=text_of(example.expected),
                replies=(
                    ShownReply(who="before", text=example.before, right=right == "before"),
                    ShownReply(who="after", text=example.after, right=right == "after"),
                ),
            )
            for example in examples
        ),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
