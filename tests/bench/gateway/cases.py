"""What is measured: the cases of each scenario, how they are loaded, and by which number a round is judged."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway.domain import Value
from tests.bench.gateway import load
from tests.bench.gateway.load import Values
from tests.bench.gateway.targets import Target
from tests.bench.gateway.upstreams import FIXED, MODELS

PROMPT_BYTES: Final = 100_000
HELD: Final = 2000
BURST: Final = 1000
RAMP_S: Final = 5.0


class Case(Value, frozen=True):
    """One row of a table."""

    scenario: str
    model: str
    connections: int
    prompt_bytes: int = 0

    @property
    def name(self) -> str:
        return f"{self.scenario} {self.model} {self.connections}"


Measure = Callable[[Case, Target, Path, float], Values]
"""Loads a target for so many seconds."""


class Scenario(Value, frozen=True):
    """Cases of one kind."""

    name: str
    title: str
    cases: Sequence[Case]
    measure: Measure
    steady: str
    """The number of the direct run by which a round is judged."""
    floor: float
    """By how much that number may wander, whatever its share: what is below the resolution tells nothing."""
    added: Sequence[str]
    """Numbers of which the direct run's is subtracted."""
    variants: bool = False
    """Measures our gateway's variants instead of everybody."""
    rounds: int = 1000
    """At most so many rounds."""


def requests(case: Case, target: Target, folder: Path, seconds: float) -> Values:
    request = target.request(case.model, prompt_bytes=case.prompt_bytes)
    return load.wrk(target, request, folder, case.connections, seconds, ramp_ms=MODELS[case.model].after_ms)


def streams(case: Case, target: Target, folder: Path, seconds: float) -> Values:
    """Streams that begin one after the other: events of all at the same moment would wait for each other."""
    behaviour = MODELS[case.model]
    once = behaviour.chunks * behaviour.every_ms / 1000
    request = target.request(case.model, stream=True)
    return load.client(target, request, case.connections, seconds + once, ramp_s=once)


def held(case: Case, target: Target, folder: Path, seconds: float) -> Values:
    """Streams that say little and stay."""
    request = target.request(case.model, stream=True)
    return load.client(target, request, case.connections, RAMP_S + 3 * seconds, ramp_s=RAMP_S)


def burst(case: Case, target: Target, folder: Path, seconds: float) -> Values:
    """Everybody connects and asks once, at the same moment."""
    return load.client(target, target.request(case.model), case.connections, 60, again=False)


def _cases(scenario: str, model: str, connections: Sequence[int], prompt_bytes: int = 0) -> list[Case]:
    return [Case(scenario=scenario, model=model, connections=count, prompt_bytes=prompt_bytes) for count in connections]


SCENARIOS: Final[Sequence[Scenario]] = (
    Scenario(
        name="throughput", title="Requests, model server answers at once", measure=requests,
        cases=_cases("throughput", FIXED, (1, 16, 64, 256)), steady="rps", floor=0, added=("p50", "p99"),
    ),
    Scenario(
        name="latency", title="Requests, model server takes its time", measure=requests,
        cases=[*_cases("latency", "after-50", (1, 64)), *_cases("latency", "after-500", (64, 256))],
        steady="p50", floor=1, added=("p50", "p99"),
    ),
    Scenario(
        name="prompts", title=f"Requests of {PROMPT_BYTES // 1000} KB", measure=requests,
        cases=_cases("prompts", FIXED, (1, 16, 64), PROMPT_BYTES), steady="rps", floor=0, added=("p50", "p99"),
    ),
    Scenario(
        name="features", title="What each part costs", measure=requests, variants=True,
        cases=_cases("features", FIXED, (1, 64)), steady="rps", floor=0, added=("p50", "p99"),
    ),
    Scenario(
        name="streaming", title="Streams of 50 events, one every 20 ms", measure=streams,
        cases=_cases("streaming", "stream", (1, 16, 64)), steady="first_p50", floor=0.2,
        added=("first_p50", "first_p99", "event_p50", "event_p99"),
    ),
    Scenario(
        name="held", title=f"{HELD:,} streams at once, an event every 2 s", measure=held,
        cases=_cases("held", "held", (HELD,)), steady="first_p50", floor=1,
        added=("first_p50", "first_p99", "event_p50", "event_p99"), rounds=1,
    ),
    Scenario(
        name="burst", title=f"A burst: {BURST:,} clients connect and ask at the same moment", measure=burst,
        cases=_cases("burst", FIXED, (BURST,)), steady="first_max", floor=50,
        added=("first_p50", "first_max"), rounds=3,
    ),
)  # fmt: skip
