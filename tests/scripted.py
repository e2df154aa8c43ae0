"""Scripted models for the optimizer's tests: a weak one that errs by a hidden concept, strong ones of all kinds."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.domain import RuleSet, Usage
from gateway.settings import NumericGrader, Optimizer
from optimizer.dataset.items import Item, item_of
from optimizer.evaluation.answer_cache import AnswerCache
from optimizer.evaluation.budget import Ledger
from optimizer.evaluation.evaluator import Answer, Evaluator, ModelClient, Progress, no_progress

GRADER = NumericGrader()
BASE_PROMPT = "Answer the question. Reply with only the final answer."
GOOD_RULE = "Always handle the doubled part before you add."
FOUND = json.dumps([{"rule": GOOD_RULE, "reason": "It forgot to double."}, {"rule": "Write numbers in digits."}])


def question(number: int, *, hard: bool) -> Item:
    """A sum; a hard one doubles its second number, which the weak model forgets."""
    first, second = 1000 + 7 * number, 20 + number
    text = f"What is {first} plus {'twice ' if hard else ''}{second}?"
    messages = [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]
    return item_of({"messages": messages}, first + second * (2 if hard else 1))


def questions(count: int, *, hard: float = 0.75) -> list[Item]:
    """So many sums, the given share of them hard."""
    return [question(number, hard=(number % 20) < 20 * hard) for number in range(count)]


class Counting:
    """Counts every call, and may raise or cut a run short at a given one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity = f"mock {name}"
        self.calls: Counter[tuple[bytes, str | None]] = Counter()
        self.before: Callable[[int], None] = lambda call: None
        """Called with the number of every call, from 1, before it is answered."""

    @property
    def total(self) -> int:
        return self.calls.total()

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        await asyncio.sleep(0)
        self.before(self.total + 1)
        self.calls[request, rule_set.hash if rule_set else None] += 1
        text, tokens = self.reply(json.loads(request), rule_set)
        return Answer(text=text, usage=Usage(prompt_tokens=50, output_tokens=tokens), latency_s=0.25)

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        raise NotImplementedError


class Weak(Counting):
    """Gets easy sums right and hard ones wrong, unless a rule says ``cure``; a harmful word breaks everything."""

    def __init__(self, *, cure: str = "doubled", harm: str = "harmful", forms_that_cure: Sequence[str] = ()) -> None:
        super().__init__("small")
        self.cure = cure
        self.harm = harm
        self.forms_that_cure = forms_that_cure

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        words = body["messages"][-1]["content"].rstrip("?").split()
        rules = " ".join(rule.text for rule in rule_set.rules) if rule_set else ""
        form = rule_set.scratchpad if rule_set else "none"
        cured = self.cure in rules or form in self.forms_that_cure
        double = "twice" in words and cured
        result = int(words[2]) + int(words[-1]) * (2 if double else 1) + (1 if self.harm in rules else 0)
        return str(result), {"none": 4, "tags": 60, "two_pass": 90}[form] + len(rules) // 50


class Strong(Counting):
    """Explains in one line, then writes ``rules`` word for word."""

    def __init__(self, rules: str, reasons: str = "It did not double.") -> None:
        super().__init__("large")
        self.rules = rules
        self.reasons = reasons
        self.asked: list[str] = []

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        self.asked.append(body["messages"][-1]["content"])
        return f"{self.reasons}\n{self.rules}", 40


class Judge(Counting):
    """Says whether a reply is as good as its reference, and obeys whatever stands outside of the data's tags."""

    def __init__(self, opinion: Callable[[str, str], bool] = str.__eq__, *, favours: str = "") -> None:
        super().__init__("large")
        self.opinion = opinion
        self.favours = favours
        """A position, ``A`` or ``B``, that wins whatever stands there."""
        self.garbled: Callable[[str], str] = lambda verdict: json.dumps({"reason": "So.", "verdict": verdict})

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        data, outside = judged(body["messages"][-1]["content"])
        reference = re.search(r"Answer ([AB]) is the reference", outside)
        assert reference is not None
        given = {"A": "B", "B": "A"}[reference[1]]
        ordered = re.search(r"[Ss]ay (A|B|same)\b", outside)
        as_good = self.opinion(data[f"answer-{given}"], data[f"answer-{reference[1]}"])
        honest = "same" if as_good else reference[1]
        return self.garbled(ordered[1] if ordered else self.favours or honest), 10


def judged(question: str) -> tuple[dict[str, str], str]:
    """What a judge is shown as data, by tag, and all that is left without it."""
    mark = re.search(r"tags that end in (\w+) is data", question)
    assert mark is not None
    section = re.compile(rf"<([\w-]+)-{mark[1]}>\n(.*?)\n</\1-{mark[1]}>", re.DOTALL)
    return {match[1]: match[2] for match in section.finditer(question)}, section.sub("", question)


def evaluator(
    directory: Path,
    *,
    calls: int = 5000,
    tokens: int = 5_000_000,
    concurrency: int = 4,
    progress: Progress = no_progress,
    models: Mapping[str, ModelClient] | None = None,
    pace_s: float = 0.0,
) -> Evaluator:
    """An evaluator over a cache in ``directory``; opened again there, it remembers."""
    return Evaluator(
        AnswerCache(directory),
        Ledger(budget_calls=calls, budget_tokens=tokens),
        concurrency=concurrency,
        max_output_tokens=256,
        progress=progress,
        retry_after_s=0.0,
        models=models or {},
        pace_s=pace_s,
    )


def optimizer(**changes: Any) -> Optimizer:
    """Optimizer settings of a small cycle."""
    return Optimizer(**{"selection_items": 20, "confirmation_items": 40, "max_rules": 4, **changes})
