"""The result of the demo: one JSON object for scripts, a page of text for people. Every number is measured."""

from typing import Any

import msgspec

from gateway.forms import composed
from optimizer.demo.play import MeasuredReplies, Played
from optimizer.report.summary import effects, headline, statistics
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
        "task": played.scenario.task,
        "models": played.scenario.models,
        "before": played.before.means(),
        "after": played.after.means(),
        "interval": paired_interval(counted),
        "rules": [rule.text for rule in rule_set.rules] if rule_set else [],
        "scratchpad": rule_set.scratchpad if rule_set else "none",
        "helped": {name: effect.change for name, effect in played.outcome.effects.items()},
        "version": rule_set.version if rule_set else None,
        "verdict": played.outcome.verdict,
        "fixed": counted.fixed,
        "broken": counted.broken,
        "minutes": played.minutes,
        "swap": {
            "dropped_requests": played.dropped,
            "restarts": played.restarts,
            "streams": played.streams,
            "versions_streamed": list(played.versions_streamed),
        },
        "cycle": msgspec.to_builtins(played.outcome),
    }


def as_text(played: Played) -> str:
    """Return the page for people."""
    counted = changes(played)
    low, high = paired_interval(counted)
    before, after = played.before.means(), played.after.means()
    lines = [
        "",
        f"{counted.n} untouched {played.scenario.noun}, asked before and after ({played.minutes:.1f} minutes in all):",
        f"                 {'before':>21}{'after':>21}",
        f"  right          {_share(played.before):>21}{_share(played.after):>21}",
        f"  output tokens  {before['output_tokens']:>21.0f}{after['output_tokens']:>21.0f}   hidden working included",
        f"  latency        {_time(before['latency_s']):>21}{_time(after['latency_s']):>21}",
        f"  95% interval of the change: {low:+.0%} to {high:+.0%}; {counted.fixed} fixed, {counted.broken} broken",
        f"  (right: {played.scenario.right})",
        "",
        *_decision(played),
        "",
        _swap(played),
        "",
        *_examples(played),
        *played.scenario.closing,
        "",
        "Point your own client at a gateway:  preceptor init && preceptor serve",
        '  openai.OpenAI(base_url="http://127.0.0.1:8100/v1", api_key="not-needed")',
    ]
    return "\n".join(lines)


def _share(arm: MeasuredReplies) -> str:
    low, high = wilson(sum(arm.right), len(arm.right))
    return f"{sum(arm.right)}/{len(arm.right)} ({low:.0%} to {high:.0%})"


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _swap(played: Played) -> str:
    versions = " -> ".join(played.versions_streamed)
    return (
        f"Swap: {played.streams} streams ran meanwhile, {played.dropped} dropped, {played.restarts} restarts;"
        f" their rules: {versions}"
    )


def _decision(played: Played) -> list[str]:
    rule_set, outcome = played.rule_set, played.outcome
    lines = [f"The cycle: {headline(outcome)}.", *(f"  {line}" for line in statistics(outcome))]
    if rule_set is None:
        return lines
    if outcome.effects:
        lines.append(f"  What helped, on items for the choice: {effects(outcome)}")
    lines.append(f"Rule set {rule_set.version}, {composed(rule_set).description}:")
    for rule in rule_set.rules:
        lines += [f"  - {rule.text}", f"      because: {rule.reason}"]
    refused = [record for record in outcome.records if record.status != "kept"]
    if refused:
        lines.append("Proposed and not taken:")
        lines += [f"  - {record.text} ({record.why or record.status})" for record in refused]
    return lines


def _examples(played: Played) -> list[str]:
    """Return one fixed and one broken problem, if there are any."""
    lines: list[str] = []
    for title, was, now in (("Fixed", False, True), ("Broken", True, False)):
        for problem, old, new, a, b in zip(
            played.scenario.measured, played.before.replies, played.after.replies,
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
