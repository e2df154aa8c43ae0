"""One look at all traffic: read new exchanges, grade new labels, compare a share, review every task's roll-out.

The leading process calls ``tick`` every ``optimizer.sweep_s`` seconds. An error of one step stops no other step. Each
step goes by the store, so a later tick does the rest. Decides nothing itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from gateway.context import LearnerContext
from gateway.errors import PreceptorError, StoreError
from gateway.store.notes import SWEEP_ERRORS
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.monitoring.bookkeeping import Bookkeeper
from optimizer.monitoring.observe import Observer
from optimizer.monitoring.rollout.watch import review
from optimizer.monitoring.shadow.paired_answers import PairedAnswers
from optimizer.monitoring.shadow.shadows import Shadows
from optimizer.monitoring.verdicts import Verdicts

log = logging.getLogger(__name__)


class Sweep:
    """The live loop of one process. Close it before the models' upstreams close."""

    def __init__(
        self, context: LearnerContext, *, evaluator: Callable[[], Evaluator], model: Callable[[str], ModelClient]
    ) -> None:
        """``evaluator`` makes an evaluator with a fresh budget, ``model`` a configured model by name."""
        self._context = context
        self._shadows = Shadows(context, evaluator=evaluator, model=model)
        self._books = Bookkeeper(context)
        self._observer = Observer(context, self._shadows, self._books)
        verdicts = Verdicts(context, evaluator=evaluator)
        pairs = PairedAnswers(context, evaluator=evaluator, model=model)
        self._slow: Mapping[str, Callable[[], Awaitable[None]]] = {
            "grade": verdicts.work, "shadow": self._shadows.work, "pairs": pairs.work,
        }  # fmt: skip
        """Steps that may wait for models."""
        self._working: dict[str, asyncio.Task[None]] = {}
        self._wrong: dict[str, str] = {}
        self._noted: dict[str, str] | None = None

    async def tick(self) -> None:
        """Observe, grade, compare, review. Raises nothing but ``CancelledError``.

        Models and graders may be slow, and a harmful rule set must not wait for them: after ``optimizer.sweep_s``
        seconds both go on beside the next steps and later ticks.
        """
        await self._step("observe", self._observer.observe())
        await self._step("books", self._books.work())
        for name, work in self._slow.items():
            if name not in self._working:
                self._working[name] = asyncio.create_task(self._step(name, work()))
        await asyncio.wait(self._working.values(), timeout=self._context.settings.optimizer.sweep_s)
        self._working = {name: task for name, task in self._working.items() if not task.done()}
        reviews = {f"review {task}": task for task in self._context.settings.tasks}
        for step, task in reviews.items():
            await self._step(step, review(self._context, task))
        for step in self._wrong.keys() - reviews.keys() - self._slow.keys() - {"observe", "books"}:
            del self._wrong[step]  # its task is not configured any more
        await self._note()

    async def aclose(self) -> None:
        """Stop the work under way; the store has the position to go on from."""
        working, self._working = list(self._working.values()), {}
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def _step(self, name: str, work: Awaitable[None]) -> None:
        """Do one step; its errors are logged once, until it works again."""
        try:
            await work
        except PreceptorError as error:
            if name not in self._wrong:
                log.warning("%s failed: %s", name, error.for_log(), extra={"action": "sweep.failed", "step": name})
            self._wrong[name] = str(error)
        except Exception as error:
            if name not in self._wrong:
                log.exception("%s failed", name, extra={"action": "sweep.bug", "step": name})
            self._wrong[name] = f"internal error: {type(error).__name__}"
        else:
            if self._wrong.pop(name, None) is not None:
                log.info("%s works again", name, extra={"action": "sweep.recovered", "step": name})

    async def _note(self) -> None:
        if self._wrong == self._noted:
            return
        wrong = dict(self._wrong)
        with contextlib.suppress(StoreError):  # logged by the steps; the next tick tries again
            await asyncio.to_thread(SWEEP_ERRORS.write, self._context.store, wrong)
            self._noted = wrong
