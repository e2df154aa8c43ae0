"""Where a request goes: which model answers, and with which rule set. One look-up per decision."""

from collections.abc import Mapping

from gateway.domain import Arm, Value
from gateway.errors import ModelNotFound
from gateway.pipeline.envelope import Envelope
from gateway.pipeline.inject import Injection
from gateway.settings import Settings


class Plan(Value, frozen=True):
    """Everything that was decided about a request; it does not change while the request runs."""

    envelope: Envelope
    task: str | None
    arm: Arm
    model: str
    """The configured model, or the client's own name where it passes through."""
    upstream: str
    upstream_model: str | None
    """The upstream's own name of the model; ``None`` leaves the body untouched."""
    injection: Injection | None = None

    @property
    def rules_version(self) -> int | None:
        return self.injection.rule_set.version if self.injection else None


def route(envelope: Envelope, task: str | None, injections: Mapping[str, Injection], settings: Settings) -> Plan:
    """Decide about a request. Raises ``ModelNotFound`` if nothing answers to its model."""
    if task is not None:
        serve = settings.tasks[task].serve
        name = settings.tasks[task].weak if serve == "weak" else settings.tasks[task].strong
        # Rules are made for the weak model and verified on it: the strong one gets none.
        injection = injections.get(task) if serve == "weak" and settings.injection else None
        return plan_for(envelope, name, settings, task=task, arm=serve, injection=injection)
    if envelope.model in settings.models:
        return plan_for(envelope, envelope.model, settings)
    if settings.server.default_upstream is None:
        raise ModelNotFound(envelope.model)
    return Plan(
        envelope=envelope,
        task=None,
        arm="direct",
        model=envelope.model,
        upstream=settings.server.default_upstream,
        upstream_model=None,
    )


def plan_for(
    envelope: Envelope,
    name: str,
    settings: Settings,
    *,
    task: str | None = None,
    arm: Arm = "direct",
    injection: Injection | None = None,
) -> Plan:
    """A plan for a configured model."""
    model = settings.models[name]
    return Plan(
        envelope=envelope,
        task=task,
        arm=arm,
        model=name,
        upstream=model.upstream,
        upstream_model=model.model,
        injection=injection,
    )
