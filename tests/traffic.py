"""A task's recorded traffic, and the two models that answer it in the background; in memory, on a clock of ours."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.domain import Exchange
from gateway.services import Services
from gateway.settings import Settings
from gateway.store.base import Store
from optimizer.evaluation.answer_cache import AnswerCache
from optimizer.evaluation.budget import Ledger
from optimizer.evaluation.evaluator import Evaluator
from optimizer.evaluation.gateway_model import GatewayModelClient
from optimizer.monitoring.shadow.shadows import Shadows
from optimizer.monitoring.sweep import Sweep
from optimizer.scheduling.learner import Learner
from tests.fakes import CONFIG, Answer, FakeUpstream, services, settings
from tests.learning import STRONG, sums, weak_reply

NOW = 1_800_000_000.0
TASK = "arithmetic"


class Clock:
    """Seconds since the epoch, as a test wants them."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def live(
    task: str = "", *, grader: str = '{ kind = "numeric" }', more: str = "", data_dir: Path = Path("./data")
) -> Settings:
    """The fakes' configuration with ``task`` among the settings of the task; every request is compared."""
    told = f"{task}\nshadow = {{ share = 1 }}" if "shadow = {" not in task else task
    config = CONFIG.replace("port = 0", f'port = 0\ndata_dir = "{data_dir}"')
    return settings(config.replace('grader = { kind = "numeric" }', f"grader = {grader}\n{told}") + more)


def right_reply(body: dict[str, Any]) -> str:
    """What the strong model answers."""
    words = body["messages"][-1]["content"].split("?")[0].split()
    return str(int(words[2]) + 2 * int(words[-1]))


def both(body: dict[str, Any]) -> Answer:
    """What the upstream answers, for both models."""
    return right_reply(body) if body["model"] == STRONG else weak_reply(body)


def asked(number: int, **fields: Any) -> dict[str, Any]:
    """The body of a request."""
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": sums(number)[0]}], **fields}


def exchange(number: int, *, body: dict[str, Any] | None = None, **changes: Any) -> Exchange:
    """One that the strong model served just now; with ``arm="weak"`` one of the weak model's, which is wrong."""
    body = asked(number) if body is None else body
    arm = changes.get("arm", "strong")
    plain = Exchange(
        id=f"x{number}", created=NOW, task=TASK, client_model="gpt-4o-mini",
        model="large" if arm == "strong" else "small", arm=arm, rules=None, stream=False, status="ok", http_status=200,
        audit_rate=1.0, request=json.dumps(body).encode(), finish_reason="stop", latency_ms=100.0,
    )  # fmt: skip
    if "reply" not in changes:
        changes["reply"] = str(sums(number)[1]) if arm == "strong" else weak_reply(asked(number))
    return msgspec.structs.replace(plain, **changes)


def gateway_of(
    upstream: FakeUpstream | None, store: Store, configured: Settings, clock: Callable[[], float] | None = None
) -> Services:
    """A gateway's services; without an upstream both models answer as they should."""
    return services(configured, {"mock": upstream or FakeUpstream(both)}, store, wall_clock=clock or Clock())


class Background:
    """Shadows with an evaluator that does not pause, over a cache on disk that outlives them."""

    def __init__(self, made: Services, evaluations: AnswerCache) -> None:
        self._services = made
        self._evaluations = evaluations
        self.shadows = Shadows(made.learner_context(), evaluator=self.evaluator, model=self.model)

    def model(self, name: str) -> GatewayModelClient:
        return GatewayModelClient(name, self._services.learner_context(), self._evaluations)

    def evaluator(self) -> Evaluator:
        return Evaluator(
            self._evaluations, Ledger(budget_calls=5000, budget_tokens=5_000_000), concurrency=4,
            max_output_tokens=256, retry_after_s=0.0,
            models={name: self.model(name) for name in self._services.settings.models},
        )  # fmt: skip

    def offer(self, exchanges: Sequence[Exchange]) -> None:
        """Record and offer, as an observer would."""
        self._services.store.record(exchanges)
        for position, one in enumerate(exchanges):
            self.shadows.offer(one, position)


@contextlib.contextmanager
def background(directory: Path, made: Services) -> Iterator[Background]:
    evaluations = AnswerCache(directory / "evaluations")
    try:
        yield Background(made, evaluations)
    finally:
        evaluations.close()


@contextlib.asynccontextmanager
async def sweep_of(made: Services, behind: Background | Learner) -> AsyncIterator[Sweep]:
    """A sweep in the background, which ends with the context."""
    sweep = Sweep(made.learner_context(), evaluator=behind.evaluator, model=behind.model)
    try:
        yield sweep
    finally:
        await sweep.aclose()
