"""The budget of a run, in calls and in tokens, and the use of each model. Knows no prices.

A call reserves its worst case beforehand and settles its true use afterwards: concurrent calls cannot overspend
together. Everything runs on one event loop, and no method awaits, so each is atomic.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain import Usage, Value
from gateway.errors import PreceptorError


class BudgetSpent(PreceptorError):
    """The next call could exceed the budget: the cycle ends here, with the results so far."""

    status = 429
    type = "insufficient_quota"


class Stopped(PreceptorError):
    """The run was asked to end: no new call begins, and the same command continues later."""


class ModelUsage(Value, frozen=True):
    """A run's use of a model, paid for now or in an earlier run that was cut short."""

    answers: int = 0
    usage: Usage = Usage()


class Reservation:
    """The worst case of an answer under way."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.tokens = 0

    def settle(self, usage: Usage, calls: int = 1) -> None:
        """Report the tokens and calls that the answer took."""
        self.tokens = usage.prompt_tokens + usage.output_tokens
        self.calls = calls


class Ledger:
    """``calls`` and ``tokens`` count payments; a failed answer counts all its calls and no tokens."""

    def __init__(self, *, budget_calls: int, budget_tokens: int) -> None:
        self.budget_calls = budget_calls
        self.budget_tokens = budget_tokens
        self.calls = 0
        self.tokens = 0
        self.stopped = False
        self._reserved = 0
        self._used: dict[str, ModelUsage] = {}
        self._noted: set[bytes] = set()

    @property
    def used(self) -> dict[str, ModelUsage]:
        """The run's use of each model so far: every answer once, paid for or remembered."""
        return dict(self._used)

    def note(self, model: str, key: bytes, usage: Usage) -> None:
        """Count an answer of a model, each key once."""
        if key not in self._noted:
            self._noted.add(key)
            before = self._used.get(model, ModelUsage())
            self._used[model] = ModelUsage(answers=before.answers + 1, usage=before.usage + usage)

    def stop(self) -> None:
        """Let no new call begin; those under way may end."""
        self.stopped = True

    @contextmanager
    def reserve(self, tokens: int, calls: int = 1) -> Iterator[Reservation]:
        """Hold ``calls`` calls and ``tokens`` tokens while an answer is made. Raises ``BudgetSpent``, ``Stopped``."""
        if self.stopped:
            raise Stopped("stopped before the next call")
        if self.calls + calls > self.budget_calls:
            raise BudgetSpent(f"the budget of {self.budget_calls} calls is spent")
        if self.tokens + self._reserved + tokens > self.budget_tokens:
            raise BudgetSpent(
                f"the budget of {self.budget_tokens} tokens is spent: {self.tokens} are used,"
                f" {self._reserved} reserved, and the next call may need {tokens}"
            )
        self.calls += calls
        self._reserved += tokens
        reservation = Reservation(calls)
        try:
            yield reservation
        finally:
            self._reserved -= tokens
            self.calls += reservation.calls - calls
            self.tokens += reservation.tokens
