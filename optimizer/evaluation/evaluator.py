"""The seam to models: answers through cache, ledger and bounded concurrency, graded as the caller would see them.

No other module of the optimizer calls a model. A failing upstream never counts as a wrong answer: it raises, and the
cycle ends without a decision. A failing judge is a failing upstream, too.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol, TypeVar

import msgspec

from gateway.domain import Measured, RuleSet, Usage, Value
from gateway.errors import (
    ConfigurationError,
    Overloaded,
    PreceptorError,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.forms import FORMS, composed
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.evaluation.answer_cache import Answer, AnswerCache, key_of
from optimizer.evaluation.bill import LearningBill, nobody_pays
from optimizer.evaluation.bounded_request import bounded, most_output, most_usage
from optimizer.evaluation.budget import Ledger
from optimizer.evaluation.grader_health import GraderHealth
from optimizer.evaluation.patience import Patience
from optimizer.evaluation.reasoning import without_reasoning
from optimizer.evaluation.set_aside import SetAside
from optimizer.evaluation.structured_output import shaped_or_free
from optimizer.grading.graders import GraderFailed, Submission, grader_for

__all__ = ["Answer", "Evaluator", "ModelClient", "Progress", "Trial", "measured", "no_progress"]

RETRY_AFTER_S = 1.0
"""Seconds until a failed call is repeated; the upstream may ask for more."""
RETRY_AFTER_CAP_S = 120.0
"""Longest pause, in seconds, for which an upstream may ask."""
TEACHER_OUTPUT_TOKENS = 8192
"""Output tokens of a teacher whose reasoning left no room for its answer."""
LEAST_TEACHER_TOKENS = 1024
"""Output tokens of a teacher or a judge at first, however short an evaluated reply is."""

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")


class ModelClient(Protocol):
    """A configured model that answers as the gateway would live."""

    @property
    def name(self) -> str:
        """Its configured name."""

    @property
    def identity(self) -> str:
        """The model behind the name, such as an upstream's address and model: another identity voids cached answers."""

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        """Answer a chat body without ``model``, the rule set injected with its scratchpad.

        ``text`` is what the caller would receive. Raises ``PreceptorError``.
        """


VIEWS = 256
"""Views of rule sets by single end users that are kept."""


class Progress(Protocol):
    """A listener to the progress of a stage; ``total`` is an upper bound."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore the progress."""


class Trial(Value, frozen=True):
    """One item answered and graded."""

    item: Item
    answer: Answer
    correct: bool
    """True for the full score."""
    ungraded: str = ""
    """The reason for a missing verdict; the answer then counts as wrong, in both arms alike."""
    remark: str = ""
    """The grader's words about a reply that is not right."""
    partial: float | None = None
    """The grader's score (0..1) between wrong and right; ``None`` for a score at either end."""

    @property
    def score(self) -> float:
        """The grader's score (0..1)."""
        return float(self.correct) if self.partial is None else self.partial


class Evaluator:
    """Models at work within the budget, the cache and the concurrency of a run."""

    def __init__(
        self,
        evaluations: AnswerCache,
        ledger: Ledger,
        *,
        concurrency: int,
        max_output_tokens: int,
        progress: Progress = no_progress,
        teacher_output_tokens: int = TEACHER_OUTPUT_TOKENS,
        retry_after_s: float = RETRY_AFTER_S,
        retry_after_cap_s: float = RETRY_AFTER_CAP_S,
        models: Mapping[str, ModelClient] = MappingProxyType({}),
        pace_s: float = 0.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``models`` are the judges, by configured name. Every answer takes at least ``pace_s`` seconds."""
        self.ledger = ledger
        self.bill: LearningBill | None = None
        """The money of the task that is learnt; ``None``: nobody counts it."""
        self.progress = progress
        self.evaluations = evaluations
        self._concurrency = concurrency
        self._max_output_tokens = max_output_tokens
        self._views: dict[tuple[int, str | None, str | None], tuple[RuleSet, RuleSet]] = {}
        self._teacher_output_tokens = teacher_output_tokens
        self._patience = Patience(pause_s=retry_after_s, cap_s=retry_after_cap_s, wall_clock=wall_clock)
        self.set_aside = SetAside()
        self._health = GraderHealth()
        self.pauses: dict[str, tuple[int, float]] = {}
        """By model: refusals with ``Retry-After`` that were waited for, and the longest wait in seconds."""
        self._models = models
        self._pace_s = pace_s

    async def trials(
        self, model: ModelClient, items: Sequence[Item], rule_set: RuleSet | None, grader: Grader, *, stage: str
    ) -> list[Trial]:
        """Have the model answer every item, in the items' order.

        Raises ``BudgetSpent``, ``CannotGrade``, ``NoSandbox``, and the error of an upstream's last try. Paid answers
        are kept.
        """
        return (await self.trials_of_each(model, items, [rule_set], grader, stage=stage))[0]

    async def trials_of_each(
        self, model: ModelClient, items: Sequence[Item], rule_sets: Sequence[RuleSet | None], grader: Grader, *,
        stage: str,
    ) -> list[list[Trial]]:  # fmt: skip
        """Have the model answer every item with each rule set; return the trials of each. Raises as ``trials``.

        One queue for all: while a slow answer of one rule set is waited for, the next ones are at work.
        """

        async def trial_of(asked: tuple[RuleSet | None, Item]) -> Trial:
            rule_set, item = asked
            reason = self.set_aside.reason(item.id)
            if not reason:
                try:
                    answer = await self.ask(model, item.request, self._seen_by(item, rule_set), purpose="answer")
                    trial = await self.graded(grader, item, answer)
                except (UpstreamRefused, UpstreamTimeout) as error:
                    reason = self.set_aside.add(item.id, error, len(items))
                    log.warning(
                        "example %s is set aside: %s", item.id, error.for_log(),
                        extra={"action": "item.set_aside", "stage": stage},
                    )  # fmt: skip
                else:
                    self.set_aside.answered()
                    return trial
            return Trial(item=item, answer=Answer(text="", calls=0), correct=False, ungraded=reason)

        asked = [(rule_set, item) for rule_set in rule_sets for item in items]
        trials = await self.each(trial_of, asked, stage=stage)
        ungraded = sum(bool(trial.ungraded) for trial in trials)
        if ungraded:
            log.warning(
                "%d of %d answers could not be graded", ungraded, len(trials),
                extra={"action": "grader.failed", "stage": stage},
            )  # fmt: skip
        n = len(items)
        return [trials[place * n : (place + 1) * n] for place in range(len(rule_sets))]

    async def each(self, work: Callable[[In], Awaitable[Out]], inputs: Sequence[In], *, stage: str) -> list[Out]:
        """Do the work for every input, with bounded concurrency.

        After the first error nothing new begins. Work under way is finished: its answers are paid for.
        """
        results: dict[int, Out] = {}
        errors: list[PreceptorError] = []
        waiting = iter(enumerate(inputs))

        now = asyncio.get_running_loop().time

        async def worker() -> None:
            for index, given in waiting:
                due = now() + self._pace_s
                try:
                    results[index] = await work(given)
                except PreceptorError as error:
                    errors.append(error)
                if errors:
                    return
                self.progress(stage, len(results), len(inputs))
                if now() < due:
                    await asyncio.sleep(due - now())

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._concurrency, len(inputs))):
                group.create_task(worker())
        if errors:
            raise errors[0]
        return [results[index] for index in range(len(inputs))]

    async def graded(self, grader: Grader, item: Item, answer: Answer) -> Trial:
        """Return an answer with its grade. Raises the errors of ``trials``."""
        submission = Submission(text=answer.text, tool_calls=answer.tool_calls, request=item.request)
        judged = grader_for(grader)
        try:
            grade = await judged.decide(submission, item.expected, self.ask_judge)
        except GraderFailed as error:
            self._health.failed(error.message)
            return Trial(item=item, answer=answer, correct=False, ungraded=error.message)
        if not (judged.is_judged and judged.obvious(submission, item.expected) is not None):
            self._health.graded()
        partial = grade.score if 0.0 < grade.score < 1.0 else None
        return Trial(item=item, answer=answer, correct=grade.score == 1.0, partial=partial, remark=grade.remark)

    async def ask_judge(self, name: str, structured: bytes, plain: bytes) -> str:
        """Ask the model ``name`` for a verdict. Raises the errors of ``ask``, and ``ConfigurationError`` for a model
        that graders may not ask."""
        model = self._models.get(name)
        if model is None:
            raise ConfigurationError("grader", [f"model: there is no model {name!r} to judge"])
        return (await self.ask_shaped(model, structured, plain, purpose="judge")).text

    async def ask_shaped(
        self, model: ModelClient, shaped: bytes, free: bytes, *, purpose: str, whole: bool = False
    ) -> Answer:
        """Consult a model with ``shaped``, or with ``free`` where the upstream takes no ``response_format``."""
        return await shaped_or_free(
            lambda body: self.consult(model, body, purpose=purpose, whole=whole), shaped, free,
            identity=model.identity, evaluations=self.evaluations,
        )  # fmt: skip

    async def consult(self, model: ModelClient, request: bytes, *, purpose: str, whole: bool = False) -> Answer:
        """Ask a teacher or a judge for its words, without its reasoning.

        Reasoning may use up the limit before the answer begins: then the model is asked again with a larger limit. A
        ``whole`` answer is wanted of a model that would not loop: then also if the answer itself was cut off.
        """
        limit = max(self._max_output_tokens, LEAST_TEACHER_TOKENS)
        answer = await self._ask(model, bounded(request, limit), None, purpose)
        text = without_reasoning(answer.text)
        if answer.finish_reason == "length" and (whole or not text.strip()):
            with suppress(UpstreamRefused):  # it may take no such limit
                answer = await self._ask(model, bounded(request, self._teacher_output_tokens), None, purpose)
                text = without_reasoning(answer.text)
        return msgspec.structs.replace(answer, text=text)

    async def ask(self, model: ModelClient, request: bytes, rule_set: RuleSet | None, *, purpose: str) -> Answer:
        """Return an answer, from the cache or paid for."""
        rules = rule_set if rule_set is not None and changes_anything(rule_set) else None
        return await self._ask(model, bounded(request, most_output(rules, self._max_output_tokens)), rules, purpose)

    async def _ask(self, model: ModelClient, body: bytes, rules: RuleSet | None, purpose: str) -> Answer:
        key = key_of(model.identity, body, rules, purpose)
        async with self.evaluations.exclusive(key):
            answer = self.evaluations.get(key)
            if answer is None:
                answer = await self._pay(model, body, rules)
                self.evaluations.put(key, answer)
            self.ledger.note(model.name, key, answer.usage)
            return answer

    async def _pay(self, model: ModelClient, body: bytes, rules: RuleSet | None) -> Answer:
        """Have the model answer, with pauses and further tries as its upstream asks for them."""
        passes = composed(rules).most_passes if rules is not None else 1
        failures = 0
        while True:
            await self._patience.wait(model.identity)
            worst = self.worst_case(body, rules, passes)
            async with nobody_pays() if self.bill is None else self.bill.place(model.name, worst) as pay:
                with self.ledger.reserve(worst.prompt_tokens + worst.output_tokens, passes) as reservation:
                    try:
                        answer = await model.answer(body, rules)
                    except (UpstreamError, UpstreamRefused, Overloaded) as error:
                        failures += 1
                        asked = self._patience.pause(model.identity, error, failures)
                        if asked > 0:
                            count, longest = self.pauses.get(model.name, (0, 0.0))
                            self.pauses[model.name] = (count + 1, max(longest, asked))
                    else:
                        self._patience.answered(model.identity)
                        reservation.settle(answer.usage, answer.calls)
                        if answer.calls:
                            pay(answer.usage)
                        return answer

    def _seen_by(self, item: Item, rule_set: RuleSet | None) -> RuleSet | None:
        """Return the rule set with the examples that the item's own key and end user may see."""
        if rule_set is None or all(example.shared for example in rule_set.examples):
            return rule_set
        place = (id(rule_set), item.key, item.tenant)
        kept = self._views.get(place)
        if kept is None or kept[0] is not rule_set:
            if len(self._views) >= VIEWS:
                self._views.clear()
            kept = self._views[place] = (rule_set, rule_set.seen_by(item.key, item.tenant))
        return kept[1]

    def worst_case(self, request: bytes, rules: RuleSet | None, passes: int = 1) -> Usage:
        """Return the most tokens that an answer to a request may take, whether its limit is stated in it or ours."""
        return most_usage(request, rules, passes=passes, max_output_tokens=self._max_output_tokens)


def changes_anything(rule_set: RuleSet) -> bool:
    """Decide whether a request with this rule set differs from the plain request."""
    return bool(rule_set.rules or rule_set.examples or rule_set.worksheet) or FORMS[rule_set.scratchpad].works


def measured(trials: Sequence[Trial]) -> Measured:
    """Return means over trials; zeros without trials."""
    n = len(trials)
    if not n:
        return Measured(accuracy=0.0, n=0)
    return Measured(
        accuracy=sum(trial.correct for trial in trials) / n,
        n=n,
        output_tokens=sum(trial.answer.usage.output_tokens for trial in trials) / n,
        latency_s=sum(trial.answer.latency_s for trial in trials) / n,
        ungraded=sum(bool(trial.ungraded) for trial in trials),
        score=sum(trial.score for trial in trials) / n,
    )
