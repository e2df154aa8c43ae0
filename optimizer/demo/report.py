"""The result of the demo: one JSON object for scripts, a page of text for people. Every number is measured."""

from typing import Any

from gateway.forms import FORMS
from optimizer.demo.play import TASK, MeasuredReplies, Played
from optimizer.statistics.paired_test import Pairs, paired_interval, wilson


def changes(played: Played) -> Pairs:
    """Count the measured problems by right or wrong before and after."""
    pairs = list(zip(played.before.right, played.after.right, strict=True))
    return Pairs(
        both=pairs.count((True, True)),
        fixed=pairs.count((False, True)),
        broken=pairs.count((True, False)),
        neither=pairs.count((False, False)),
    )


def as_json(played: Played) -> dict[str, Any]:
    """Return the last object of ``preceptor demo --json``."""
    counted = changes(played)
    rule_set = played.rule_set
    return {
        "task": TASK,
        "before": played.before.means(),
        "after": played.after.means(),
        "interval": paired_interval(counted),
        "rules": [rule.text for rule in rule_set.rules] if rule_set else [],
        "scratchpad": rule_set.scratchpad if rule_set else "none",
        "version": rule_set.version if rule_set else None,
        "verdict": played.outcome.get("verdict", "cannot tell"),
        "fixed": counted.fixed,
        "broken": counted.broken,
        "swap": {
            "dropped_requests": played.dropped,
            "restarts": played.restarts,
            "streams": played.streams,
            "versions_streamed": list(played.versions_streamed),
        },
        "cycle": played.outcome,
    }


def as_text(played: Played) -> str:
    """Return the page for people."""
    counted = changes(played)
    low, high = paired_interval(counted)
    before, after = played.before.means(), played.after.means()
    lines = [
        "",
        f"{counted.n} untouched problems, asked before and after:",
        f"                    {'before':>18}{'after':>18}",
        f"  right             {_share(played.before):>18}{_share(played.after):>18}",
        f"  output tokens     {before['output_tokens']:>18.0f}{after['output_tokens']:>18.0f}   unseen working counted",
        f"  latency           {before['latency_s']:>16.1f} s{after['latency_s']:>16.1f} s",
        f"  95% interval of the change: {low:+.0%} to {high:+.0%}; {counted.fixed} fixed, {counted.broken} broken",
        "  (right: the reply states the answer and no other number, as its prompt promises)",
        "",
        *_decision(played),
        "",
        _swap(played),
        "",
        *_examples(played),
        "One small model played both roles here: it served the task and taught itself. A stronger teacher is one line",
        "of the configuration: strong = ...",
        "",
        "Point your own client at a gateway:  preceptor init && preceptor serve",
        '  openai.OpenAI(base_url="http://127.0.0.1:8100/v1", api_key="not-needed")',
    ]
    return "\n".join(lines)


def _share(arm: MeasuredReplies) -> str:
    low, high = wilson(sum(arm.right), len(arm.right))
    return f"{sum(arm.right)}/{len(arm.right)} ({low:.0%} to {high:.0%})"


def _swap(played: Played) -> str:
    versions = " -> ".join(played.versions_streamed)
    return (
        f"Swap: {played.streams} streams ran meanwhile, {played.dropped} dropped, {played.restarts} restarts;"
        f" their rules: {versions}"
    )


def _decision(played: Played) -> list[str]:
    rule_set, outcome = played.rule_set, played.outcome
    lines = [f"The cycle's verdict: {outcome.get('verdict')} ({outcome.get('note')})"]
    if rule_set is None or rule_set.evidence is None:
        return lines
    evidence = rule_set.evidence
    low, high = evidence.interval
    form = FORMS[rule_set.scratchpad].description
    tested = (
        f"on {evidence.items_used} confirmation items {evidence.before.accuracy:.0%} -> {evidence.after.accuracy:.0%}"
        f" (95% interval of the change {low:+.0%} to {high:+.0%}, p = {evidence.p_value:.2g},"
        f" {evidence.fixed} fixed, {evidence.broken} broken)"
    )
    lines += [f"Rule set {rule_set.version}, {form};", f"  {tested}"]
    for rule in rule_set.rules:
        lines += [f"  - {rule.text}", f"      because: {rule.reason}"]
    return lines


def _examples(played: Played) -> list[str]:
    """Return one fixed and one broken problem, if there are any."""
    lines: list[str] = []
    for title, was, now in (("Fixed", False, True), ("Broken", True, False)):
        for problem, old, new, a, b in zip(
            played.measured, played.before.replies, played.after.replies,
            played.before.right, played.after.right, strict=True,
        ):  # fmt: skip
            if (a, b) == (was, now):
                lines += [
                    f"{title}: {problem.question}",
                    f"  before {_short(old.text)!r}, after {_short(new.text)!r}, right is {problem.answer}",
                    "",
                ]
                break
    return lines


def _short(text: str) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= 60 else folded[:57] + "..."
