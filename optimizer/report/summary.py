"""An outcome in plain words first: the change, its meaning, the state of the version; statistics apart.

Used by every command that ends with an outcome or lists outcomes. Prints nothing.
"""

from optimizer.distillation.outcome import Outcome
from optimizer.report.distilled import caveats_of
from optimizer.report.view import change

_MEANING = {
    "better": "the change helps",
    "non-inferior": "no gain is shown, and a relevant loss is ruled out",
    "worse": "the change does harm",
    "cannot tell": "neither a gain nor a loss is shown",
}


def headline(outcome: Outcome) -> str:
    """Return the outcome in one line: right answers before and after, and the conclusion.

    Example: "right answers 33% -> 100% on 21 unseen examples (14 fixed, 0 broken); version 1 published, live". An
    outcome without a test is its note.
    """
    if not outcome.items_used:
        return outcome.note
    return (
        f"right answers {outcome.before.accuracy:.0%} -> {outcome.after.accuracy:.0%} on {outcome.items_used} unseen"
        f" examples ({outcome.fixed} fixed, {outcome.broken} broken); {_conclusion(outcome)}"
    )


def _conclusion(outcome: Outcome) -> str:
    if outcome.version is not None:
        return outcome.note.partition(";")[0]
    if outcome.verdict == "better" and outcome.by and not outcome.adopted:
        return outcome.note  # the gate agreed and something else objected: only the note has the reason
    return _MEANING[outcome.verdict]


def effects(outcome: Outcome) -> str:
    """Return the effect of each part on ranking items, such as ``examples +40 points (+20 to +60)``; empty for none."""
    return ", ".join(
        f"{name} {100 * effect.change:+.0f} points ({100 * effect.interval[0]:+.0f} to {100 * effect.interval[1]:+.0f})"
        for name, effect in outcome.effects.items()
    )


def statistics(outcome: Outcome) -> list[str]:
    """Return the statistics behind the headline, one line each; empty without a test."""
    if not outcome.items_used:
        return []
    return [
        f"{outcome.verdict}: {change(outcome.interval)}, p = {outcome.p_value:.2g}",
        *([outcome.note] if outcome.note else []),
        *caveats_of(outcome),
    ]
