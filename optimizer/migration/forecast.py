"""What a run may cost and what it can show, before anything is spent. A guess of the cost, and said to be one."""

import math
from collections.abc import Iterable, Mapping
from statistics import NormalDist

from gateway.domain import Usage, Value
from gateway.settings import Model, Task
from gateway.settings.graders import JudgeGrader
from optimizer.dataset.items import Item, Split
from optimizer.distillation.induction.sample import ENOUGH
from optimizer.distillation.selection.ablation import MIN_ITEMS
from optimizer.distillation.selection.race import MOST_RACED
from optimizer.evaluation import noise
from optimizer.evaluation.budget import ModelUsage
from optimizer.evaluation.evaluator import BYTES_PER_TOKEN
from optimizer.migration.money import cost_of

REPLY = 50
"""Output tokens of a reply where no log says how long they are."""
WORKING = 150
"""Output tokens that a candidate's working may add (docs/experiments.md: 119 to 214)."""
INDUCTION = Usage(prompt_tokens=2500, output_tokens=600)
"""One call of induction: at most 6,000 characters of examples, and a list of rules."""
JUDGED = Usage(prompt_tokens=350, output_tokens=80)
"""One verdict of a judge: what it is told beside the request and the two answers, and what it says."""
_NORMAL = NormalDist()


class Expected(Value, frozen=True):
    """Answers and tokens by model, about."""

    used: Mapping[str, ModelUsage]
    usd: float | None
    """``None`` where no model has a price."""
    more: int = 0
    """Answers that come on top at most, where several rules are worth trying alone and leaving out: of the weak model,
    and a judge's of them. ``used`` does not hold them, because they depend on what is found."""

    @property
    def answers(self) -> int:
        return sum(one.answers for one in self.used.values())

    @property
    def tokens(self) -> int:
        return sum(one.usage.prompt_tokens + one.usage.output_tokens for one in self.used.values())


def expected(
    parts: Split,
    untouched: Iterable[Item],
    section: Task,
    models: Mapping[str, Model],
    *,
    reply_tokens: float | None = None,
    recorded: int = 0,
) -> Expected:
    """What distillation on ``parts`` and a comparison of three arms on ``untouched`` may need.

    ``reply_tokens`` is what a reply of the task has been seen to take, ``recorded`` how many untouched items the strong
    model has answered already. A judge is counted as asked twice about each reply: no more than it is.
    """
    left = list(untouched)
    sampled, ranked, tested = list(parts.induction), list(parts.selection), list(parts.confirmation)
    reply = reply_tokens or REPLY
    again = ranked[: noise.ITEMS] if noise.is_random(ranked, section.grader) else []
    plain = [*sampled, *ranked, *again, *tested, *left]
    with_rules = [*ranked * (MOST_RACED - 1), *tested, *left]
    asked = left[recorded:]
    groups = round(math.sqrt(ENOUGH)) if sampled else 0
    induction = Usage(prompt_tokens=groups * INDUCTION.prompt_tokens, output_tokens=groups * INDUCTION.output_tokens)
    weak = _used(plain, reply) + _used(with_rules, reply + WORKING)
    parties = [
        (section.weak, ModelUsage(answers=len(plain) + len(with_rules), usage=weak)),
        (section.strong, ModelUsage(answers=len(asked) + groups, usage=_used(asked, reply) + induction)),
    ]
    more = 2 * 2 * len(tested) if len(ranked) >= MIN_ITEMS else 0
    if isinstance(section.grader, JudgeGrader):
        more += 2 * more
        graded = 2 * [*plain, *with_rules, *asked]
        told = JUDGED.prompt_tokens + round(2 * reply)
        usage = _used(graded, JUDGED.output_tokens) + Usage(prompt_tokens=told * len(graded))
        parties.append((section.grader.model or section.strong, ModelUsage(answers=len(graded), usage=usage)))
    used: dict[str, ModelUsage] = {}
    for name, one in parties:
        before = used.get(name, ModelUsage())
        used[name] = ModelUsage(answers=before.answers + one.answers, usage=before.usage + one.usage)
    return Expected(used=used, usd=cost_of(used, models), more=more)


def excludable(n: int, *, discordant: float = 0.2, power: float = 0.8) -> float:
    """The smallest loss (0..1) that ``n`` items can rule out, at 95%, if there is none and a fifth of the pairs differ.

    The normal approximation of the paired difference: (z_0.975 + z_power) sqrt(d / n).
    """
    if not n:
        return 1.0
    return min(1.0, (_NORMAL.inv_cdf(0.975) + _NORMAL.inv_cdf(power)) * math.sqrt(discordant / n))


def _used(items: Iterable[Item], output_tokens: float) -> Usage:
    lengths = [len(item.request) // BYTES_PER_TOKEN for item in items]
    return Usage(prompt_tokens=sum(lengths), output_tokens=round(len(lengths) * output_tokens))
