"""The seam to models: answers through cache, ledger and bounded concurrency, graded as the caller would see them.

The only module of the optimizer that calls a model. A failing upstream never counts as a wrong answer: it raises, and
the cycle ends without a decision. That holds for a judge as well, which is asked here like any other model.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, TypeVar

import msgspec

from gateway.domain import Measured, RuleSet, Value
from gateway.errors import ConfigurationError, PreceptorError, UpstreamError, UpstreamRefused
from gateway.forms import FORMS
from gateway.settings import Grader
from optimizer.dataset.items import Item
from optimizer.evaluation.answer_cache import Answer, AnswerCache, key_of
from optimizer.evaluation.budget import Ledger
from optimizer.evaluation.structured_output import shaped_or_free
from optimizer.grading.graders import GraderFailed, Submission, grader_for

__all__ = ["Answer", "Evaluator", "ModelClient", "Progress", "Trial", "measured", "no_progress"]

TRIES = 2
"""Calls per answer before the upstream counts as failing."""
RETRY_AFTER_S = 1.0
BYTES_PER_TOKEN = 3
"""A cautious guess, for reservations only; what is settled is what the upstream counted."""

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
        """The upstream's address and its own name for the model: what must change for a cached answer to be void."""

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        """Answer a chat body without ``model``, the rule set injected with its scratchpad.

        ``text`` is what the caller would receive. Raises ``PreceptorError``.
        """


class Progress(Protocol):
    """Told how far a stage has come; ``total`` is the most that it may take."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def no_progress(stage: str, done: int, total: int) -> None:
    """A ``Progress`` that tells nobody."""


class Trial(Value, frozen=True):
    """One item answered and graded."""

    item: Item
    answer: Answer
    correct: bool
    ungraded: str = ""
    """Why the grader could not say; the answer then counts as wrong, in both arms alike."""


class Evaluator:
    """Where models are put to work: what a run may spend, remember and do at once."""

    def __init__(
        self,
        evaluations: AnswerCache,
        ledger: Ledger,
        *,
        concurrency: int,
        max_output_tokens: int,
        progress: Progress = no_progress,
        retry_after_s: float = RETRY_AFTER_S,
        models: Mapping[str, ModelClient] = MappingProxyType({}),
        pace_s: float = 0.0,
    ) -> None:
        """``models`` are those that graders may ask, by configured name; no answer counts as there in less than
        ``pace_s`` seconds."""
        self.ledger = ledger
        self.progress = progress
        self.evaluations = evaluations
        self._concurrency = concurrency
        self._max_output_tokens = max_output_tokens
        self._retry_after_s = retry_after_s
        self._models = models
        self._pace_s = pace_s

    async def trials(
        self, model: ModelClient, items: Sequence[Item], rule_set: RuleSet | None, grader: Grader, *, stage: str
    ) -> list[Trial]:
        """Have the model answer every item, in the items' order.

        Raises ``BudgetSpent``, what an upstream raised on its last try, and ``NoSandbox``. Answers that were paid for
        are kept.
        """

        async def one(item: Item) -> Trial:
            answer = await self.ask(model, item.request, rule_set, purpose="answer")
            return await self.graded(grader, item, answer)

        trials = await self.each(one, items, stage=stage)
        ungraded = [trial.ungraded for trial in trials if trial.ungraded]
        if ungraded:
            log.warning(
                "%d of %d answers could not be graded: %s", len(ungraded), len(trials), ungraded[0],
                extra={"action": "grader.failed", "stage": stage},
            )  # fmt: skip
        return trials

    async def each(self, work: Callable[[In], Awaitable[Out]], inputs: Sequence[In], *, stage: str) -> list[Out]:
        """Do the same work for every input, as many at once as allowed.

        After the first error nothing new is begun; what is under way is finished, so that it is not paid for in vain.
        """
        results: dict[int, Out] = {}
        errors: list[PreceptorError] = []
        waiting = iter(enumerate(inputs))

        now = asyncio.get_running_loop().time

        async def worker() -> None:
            for index, one in waiting:
                due = now() + self._pace_s
                try:
                    results[index] = await work(one)
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
        """An answer with the grader's word on it. Raises what ``trials`` raises."""

        submission = Submission(text=answer.text, tool_calls=answer.tool_calls, request=item.request)
        try:
            score = await grader_for(grader).score(submission, item.expected, self.ask_judge)
        except GraderFailed as error:
            return Trial(item=item, answer=answer, correct=False, ungraded=error.message)
        return Trial(item=item, answer=answer, correct=score == 1.0)

    async def ask_judge(self, name: str, structured: bytes, plain: bytes) -> str:
        """Ask the model ``name`` for a verdict. Raises the errors of ``ask``, and ``ConfigurationError`` for a model
        that graders may not ask."""
        model = self._models.get(name)
        if model is None:
            raise ConfigurationError("grader", [f"model: there is no model {name!r} to judge"])
        return (await self.ask_shaped(model, structured, plain, purpose="judge")).text

    async def ask_shaped(self, model: ModelClient, shaped: bytes, free: bytes, *, purpose: str) -> Answer:
        """One answer to ``shaped``, or to ``free`` where the upstream takes no ``response_format``."""
        return await shaped_or_free(
            lambda body: self.ask(model, body, None, purpose=purpose), shaped, free,
            identity=model.identity, evaluations=self.evaluations,
        )  # fmt: skip

    async def ask(self, model: ModelClient, request: bytes, rule_set: RuleSet | None, *, purpose: str) -> Answer:
        """One answer, from the cache or paid for."""
        rules = rule_set if rule_set is not None and changes_anything(rule_set) else None
        body = self._prepared(request)
        key = key_of(model.identity, body, rules, purpose)
        async with self.evaluations.exclusive(key):
            answer = self.evaluations.get(key)
            if answer is None:
                answer = await self._pay(model, body, rules)
                self.evaluations.put(key, answer)
            self.ledger.note(model.name, key, answer.usage)
            return answer

    async def _pay(self, model: ModelClient, body: bytes, rules: RuleSet | None) -> Answer:
        failures = 0
        while True:
            with self.ledger.reserve(self._worst_case(body, rules)) as reservation:
                try:
                    answer = await model.answer(body, rules)
                except (UpstreamError, UpstreamRefused) as error:
                    failures += 1
                    refused = isinstance(error, UpstreamRefused) and error.status < 500 and error.status != 429
                    if refused or failures == TRIES:
                        raise
                else:
                    reservation.settle(answer.usage)
                    return answer
            await asyncio.sleep(self._retry_after_s)

    def _prepared(self, request: bytes) -> bytes:
        """The request as it is sent: repeatable, and of bounded length, unless it says otherwise itself."""
        body = msgspec.json.decode(request, type=dict[str, msgspec.Raw])
        body.setdefault("temperature", msgspec.Raw(b"0"))
        if "max_completion_tokens" not in body:
            body.setdefault("max_tokens", msgspec.Raw(str(self._max_output_tokens).encode()))
        return msgspec.json.encode(body)

    def _worst_case(self, body: bytes, rules: RuleSet | None) -> int:
        passes = FORMS[rules.scratchpad].most_passes if rules is not None else 1
        injected = sum(len(rule.text) for rule in rules.rules) if rules else 0
        return passes * ((len(body) + injected) // BYTES_PER_TOKEN + self._max_output_tokens)


def changes_anything(rule_set: RuleSet) -> bool:
    """Whether a request with this rule set differs from one without."""
    return bool(rule_set.rules or rule_set.examples or rule_set.worksheet) or FORMS[rule_set.scratchpad].works


def measured(trials: Sequence[Trial]) -> Measured:
    """Means over trials; of none, zeros."""
    n = len(trials)
    if not n:
        return Measured(accuracy=0.0, n=0)
    return Measured(
        accuracy=sum(trial.correct for trial in trials) / n,
        n=n,
        output_tokens=sum(trial.answer.usage.output_tokens for trial in trials) / n,
        latency_s=sum(trial.answer.latency_s for trial in trials) / n,
        ungraded=sum(bool(trial.ungraded) for trial in trials),
    )
