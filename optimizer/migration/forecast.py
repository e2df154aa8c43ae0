"""Estimate the cost and the resolution of a run before anything is spent. The cost is a guess and is labelled so."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist

from gateway.domain import Usage, Value
from gateway.settings import Model, Task
from optimizer.dataset.items import Item
from optimizer.dataset.split import Split
from optimizer.distillation.induction.sample import ENOUGH
from optimizer.distillation.selection.ablation import MIN_ITEMS
from optimizer.distillation.selection.race import MOST_RACED
from optimizer.evaluation import noise
from optimizer.evaluation.bounded_request import BYTES_PER_TOKEN
from optimizer.evaluation.budget import ModelUsage
from optimizer.grading.graders import grader_for
from optimizer.migration.money import cost_of

REPLY = 50
"""Output tokens of a reply, if the log has no replies to learn their length from."""
WORKING = 150
"""Output tokens of a candidate's working (docs/experiments.md: 119 to 214)."""
INDUCTION = Usage(prompt_tokens=2500, output_tokens=600)
"""One call of induction: at most 6,000 characters of examples, and a list of rules."""
JUDGED = Usage(prompt_tokens=350, output_tokens=80)
"""One verdict of a judge: its instructions beside the request and the two answers, and its reply."""
_NORMAL = NormalDist()


class Expected(Value, frozen=True):
    """Estimated answers and tokens by model."""

    used: Mapping[str, ModelUsage]
    usd: float | None
    """``None`` if no model has a price."""
    more: int = 0
    """Most further answers of the weak model (and a judge's verdicts on them), if several rules are tried one by one.
    They depend on the rules, so ``used`` does not count them."""

    @property
    def answers(self) -> int:
        return sum(used.answers for used in self.used.values())

    @property
    def tokens(self) -> int:
        return sum(used.usage.prompt_tokens + used.usage.output_tokens for used in self.used.values())


def expected(
    parts: Split,
    untouched: Iterable[Item],
    section: Task,
    models: Mapping[str, Model],
    *,
    reply_tokens: float | None = None,
    strong: Sequence[Item] = (),
) -> Expected:
    """Estimate the needs of distillation on ``parts`` and of a comparison of three arms on ``untouched``.

    ``reply_tokens`` is the mean output of a reply in the log. ``strong`` holds the questions for the strong model:
    labels, and its arm of the comparison. A judge is asked twice about each reply.
    """
    left = list(untouched)
    sampled, ranked, tested = list(parts.induction), list(parts.selection), list(parts.confirmation)
    reply = reply_tokens or REPLY
    again = ranked[: noise.ITEMS] if noise.is_random(ranked, section.grader) else []
    plain = [*sampled, *ranked, *again, *tested, *left]
    with_rules = [*ranked * (MOST_RACED - 1), *tested, *left]
    asked = list(strong)
    groups = round(math.sqrt(ENOUGH)) if sampled else 0
    induction = Usage(prompt_tokens=groups * INDUCTION.prompt_tokens, output_tokens=groups * INDUCTION.output_tokens)
    weak = _used(plain, reply) + _used(with_rules, reply + WORKING)
    parties = [
        (section.weak, ModelUsage(answers=len(plain) + len(with_rules), usage=weak)),
        (section.strong, ModelUsage(answers=len(asked) + groups, usage=_used(asked, reply) + induction)),
    ]
    more = 2 * 2 * len(tested) if len(ranked) >= MIN_ITEMS else 0
    grader = grader_for(section.grader)
    if grader.is_judged:
        more += 2 * more
        graded = 2 * [*plain, *with_rules, *asked]
        prompt = JUDGED.prompt_tokens + round(2 * reply)
        usage = _used(graded, JUDGED.output_tokens) + Usage(prompt_tokens=prompt * len(graded))
        parties.append((grader.judge or section.strong, ModelUsage(answers=len(graded), usage=usage)))
    used: dict[str, ModelUsage] = {}
    for name, share in parties:
        before = used.get(name, ModelUsage())
        used[name] = ModelUsage(answers=before.answers + share.answers, usage=before.usage + share.usage)
    return Expected(used=used, usd=cost_of(used, models), more=more)


def excludable(n: int, *, discordant: float = 0.2, power: float = 0.8) -> float:
    """Return the smallest loss (0..1) that ``n`` items can rule out at 95% if the true loss is 0.

    By default a fifth of the pairs differ. Normal approximation of the difference: (z_0.975 + z_power) sqrt(d / n).
    """
    if not n:
        return 1.0
    return min(1.0, (_NORMAL.inv_cdf(0.975) + _NORMAL.inv_cdf(power)) * math.sqrt(discordant / n))


def _used(items: Iterable[Item], output_tokens: float) -> Usage:
    lengths = [len(item.request) // BYTES_PER_TOKEN for item in items]
    return Usage(prompt_tokens=sum(lengths), output_tokens=round(len(lengths) * output_tokens))
