"""A town of callers for roll-outs: seeded exchanges on an injected clock, shared out as ``gateway.routing.route``
does, looked at by the pure half of the watch every few seconds."""

import random
from collections.abc import Callable, Sequence

import msgspec

from gateway.domain import Activation, Arm, RuleSet, Source, Usage
from gateway.settings import Rollout, Task
from gateway.store.base import Observed
from gateway.store.history import active_decisions
from optimizer.monitoring.rollout.decide import Assessment, decide, weak_share
from optimizer.monitoring.rollout.state import RolloutState

Chance = Callable[[Arm, int | None, float], float]
"""Arm, rule set and time -> chance of a bad reply."""

LOOK_S = 5.0
START = 1_000_000.0


def observed(
    number: int, created: float, arm: Arm = "weak", rules: int | None = None, *, bad: bool | None = None,
    source: Source = "outcome", latency_ms: float = 500.0, tokens: int = 20, model: str = "small", **fields: object,
) -> Observed:  # fmt: skip
    """One row; ``bad=None``: nobody knows."""
    given = {"correct": not bad, "source": source} if bad is not None else {}
    row = Observed(
        id=f"x{number:08d}", created=created, model=model, arm=arm, rules=rules, status="ok", latency_ms=latency_ms,
        usage=Usage(prompt_tokens=10, output_tokens=tokens),
    )  # fmt: skip
    return msgspec.structs.replace(row, **given, **fields)


def section(serve: str = "weak", **rollout: object) -> Task:
    """A task between two models."""
    return Task(weak="small", strong="large", serve=serve, rollout=Rollout(**rollout))  # type: ignore[arg-type]


def entry(
    kind: str, version: int | None, created: float = START, *, share: float = 1.0, by: str = "cycle"
) -> Activation:
    return Activation(task="t", version=version, created=created, by=by, kind=kind, share=share)  # type: ignore[arg-type]


class Town:
    """A task's traffic and the watch over it."""

    def __init__(
        self, task: Task, history: Sequence[Activation], chance: Chance, *, seed: int, per_second: float = 4.0,
        labelled: bool = False, tokens: Callable[[Arm, int | None], float] = lambda arm, rules: 20.0,
        known: Callable[[int], RuleSet | None] = lambda version: None, agrees: float | None = None,
        look_s: float = LOOK_S,
    ) -> None:  # fmt: skip
        self.task, self.history, self.now = task, list(history), START
        self.memory, self.course = RolloutState(), Assessment()
        self.rows = list[Observed]()
        self.harmed = 0
        """Replies that only the rules made bad."""
        self._chance, self._labelled, self._tokens, self._agrees = chance, labelled, tokens, agrees
        self._look_s = look_s
        self._per_second, self._randomness, self._known = per_second, random.Random(seed), known

    def live_through(self, seconds: float) -> None:
        """Traffic with a look every few seconds."""
        for _ in range(round(seconds / self._look_s)):
            self.traffic(self._look_s)
            self.look()

    def until(self, holds: Callable[[], bool], *, at_most_s: float) -> bool:
        """Whether it came to hold."""
        for _ in range(round(at_most_s / self._look_s)):
            if holds():
                return True
            self.traffic(self._look_s)
            self.look()
        return holds()

    def traffic(self, seconds: float) -> None:
        """Exchanges, evenly spread."""
        count = round(seconds * self._per_second)
        for at in range(count):
            self.rows.append(self._exchange(self.now + seconds * at / count))
        self.now += seconds
        del self.rows[:-1000]

    def look(self) -> None:
        """What ``watch.look`` does, without a store."""
        self.memory = self.memory.after(self.task, self.history, self._known, self.rows, full=False, now=self.now)
        self.course = decide(
            "t", self.task, self.history, self.memory.comparisons, self.memory.steps, self.memory.agreement, self.now
        )
        if self.course.decision is not None:
            self.history.append(self.course.decision)

    def kill(self) -> None:
        """The process forgets nothing that was noted."""
        self.memory = msgspec.json.decode(msgspec.json.encode(self.memory), type=RolloutState)

    def _exchange(self, created: float) -> Observed:
        arm, rules = self._arm()
        chance, luck = self._chance(arm, rules, created), self._randomness.random()
        bad = luck < chance
        plain: Arm = "strong" if arm == "strong" else "weak"
        self.harmed += bad and luck >= self._chance(plain, None, created)
        agrees = self._agrees is not None and arm == "weak" and self._randomness.random() < 0.5
        known = None if not (bad or self._labelled) else bad
        source: Source = "client" if self._labelled else "outcome"
        if agrees:
            known, source = self._randomness.random() >= (self._agrees or 0.0), "shadow"
        return observed(
            self._randomness.getrandbits(63), created, arm, rules, bad=known, source=source,
            latency_ms=self._randomness.lognormvariate(6, 0.5), model="large" if arm == "strong" else "small",
            tokens=max(round(self._tokens(arm, rules) * self._randomness.lognormvariate(0, 0.5)), 1),
        )  # fmt: skip

    def _arm(self) -> tuple[Arm, int | None]:
        now, draw = active_decisions(self.history), self._randomness.random
        live = now.live.version if now.live is not None else None
        if draw() >= weak_share(self.task, now):
            return "strong", None
        if live is not None and draw() < self.task.rollout.holdback:
            return "holdback", None
        if now.canary is not None and draw() < now.canary.share:
            return "canary", now.canary.version
        return "weak", live
