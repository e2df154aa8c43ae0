"""A migration as a run might leave it, with texts that mean harm where models and users write."""

import msgspec

from gateway.domain import Effect, Measured, Rule, RuleRecord, Usage
from gateway.settings.models import Price
from optimizer.dataset.items import item_of
from optimizer.distillation.outcome import ChangedItem, Outcome
from optimizer.distillation.rejected import Rejected
from optimizer.evaluation.candidate_score import TriedCandidate
from optimizer.evaluation.evaluator import Answer, Trial
from optimizer.migration.arms import ArmName, ArmResult, arm_result, compare, differing
from optimizer.migration.money import savings
from optimizer.migration.run import Labels, Migration

HOSTILE = (
    """</p></style><script>alert(1)</script><img src=x onerror=alert(1)>" onload="alert(1) '&amp; \u202egnp.exe \x00"""
)
"""Markup, an attribute, an entity, a turned direction and a control character."""
RULE = Rule(text=f"Always write out the working. {HOSTILE}", reason=f"It guessed. {HOSTILE}")
FACTS = (("Command", f"preceptor migrate {HOSTILE}"), ("Preceptor", "0.1.0"))


def outcome() -> Outcome:
    """A distillation that published."""
    tried = [
        TriedCandidate(
            role="incumbent",
            scratchpad="none",
            rules=(),
            measured=Measured(accuracy=0.2, n=20),
            tokens=60,
            frontier=True,
        ),
        TriedCandidate(
            role="chosen",
            scratchpad="two_pass",
            rules=(RULE.id,),
            measured=Measured(accuracy=0.8, n=20),
            tokens=310,
            frontier=True,
        ),
        TriedCandidate(
            role="other",
            scratchpad="tags",
            rules=(RULE.id, "x"),
            measured=Measured(accuracy=0.5, n=6),
            tokens=240,
            frontier=False,
        ),
    ]
    record = RuleRecord(
        id=RULE.id,
        text=RULE.text,
        reason=RULE.reason,
        status="kept",
        mistakes=("a", "b"),
        groups=1,
        tokens=12,
        effect=Effect(change=0.3, interval=(0.1, 0.5), tokens=40, items=20, against="the set without it"),
    )
    example = ChangedItem(id="a", input=HOSTILE, expected=HOSTILE, before=HOSTILE, after=HOSTILE)
    return Outcome(
        task="sums",
        note=f"version 1 published {HOSTILE}",
        verdict="better",
        adopted=True,
        version=1,
        fixed=14,
        broken=1,
        items_used=24,
        p_value=0.0005,
        interval=(0.3, 0.7),
        before=Measured(accuracy=0.2, n=24, output_tokens=4),
        after=Measured(accuracy=0.75, n=24, output_tokens=190),
        rules=(RULE, Rule(text="Check the sign.")),
        scratchpad="two_pass",
        records=(record,),
        tried=tuple(tried),
        rejected=(Rejected(what=HOSTILE, why=HOSTILE),),
        fixed_examples=(example,),
        broken_examples=(example,),
    )


def run(name: ArmName, model: str, right: int, tokens: int, price: Price, *, references: int = 0) -> ArmResult:
    """An arm that got the first so many of forty right; the first ``references`` have no label but *large*'s."""
    trials = [
        Trial(
            item=msgspec.structs.replace(
                item_of({"messages": [{"role": "user", "content": f"{number} {HOSTILE}"}]}, HOSTILE),
                labelled_by="large" if number < references else "",
            ),
            answer=Answer(text=f"{name} {HOSTILE}", usage=Usage(prompt_tokens=60, output_tokens=tokens), latency_s=0.5),
            correct=number < right,
        )
        for number in range(40)
    ]
    return arm_result(name, model, None, trials, price, calls_per_month=100_000)


def migration(*, references: int = 0, prices: bool = True, strong: int = 36) -> Migration:
    """Three arms: the strong model right in ``strong`` of 40, the weak one with rules in 34, without in 8."""
    dear, cheap = (Price(input=2.5, output=10), Price(input=0.1, output=0.4)) if prices else (Price(), Price())
    runs = [
        run("strong", "large", strong, 5, dear, references=references),
        run("weak", "small", 8, 5, cheap),
        run("weak + rules", "small", 34, 190, cheap),
    ]
    arms = tuple(entry.arm for entry in runs)
    return Migration(
        task="sums",
        serve=None,
        answer=f"Not shown. {HOSTILE}",
        labels=Labels(given=40 - references, reference=references),
        outcome=outcome(),
        arms=arms,
        comparison=compare(runs[0], runs[2], margin=0.05),
        savings=savings(arms[0].usd_per_thousand, arms[2].usd_per_thousand, one_time=0.2, calls_per_month=100_000),
        fixed_items=differing(runs, right="weak + rules", wrong="weak"),
        broken_items=differing(runs, right="weak", wrong="weak + rules"),
        lost_items=differing(runs, right="strong", wrong="weak + rules"),
    )
