"""Where a request goes: which model answers, with which rule set and in which form. One look-up per decision."""

from collections.abc import Mapping

from gateway.domain import Arm, Scratchpad, Value
from gateway.errors import ModelNotFound
from gateway.pipeline.envelope import Conversation, Envelope
from gateway.pipeline.inject import Injection
from gateway.pipeline.scratchpad import form_for
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
    form: Scratchpad = "none"
    fallbacks: "tuple[Plan, ...]" = ()
    """Asked in turn, before the first byte, when this one cannot answer."""

    @property
    def rules_version(self) -> int | None:
        return self.injection.rule_set.version if self.injection else None


def route(envelope: Envelope, task: str | None, injections: Mapping[str, Injection], settings: Settings) -> Plan:
    """Decide about a request. Raises ``ModelNotFound`` if nothing answers to its model."""
    if task is not None:
        section = settings.tasks[task]
        name = section.weak if section.serve == "weak" else section.strong
        # Rules are made for the weak model and verified on it: every other one gets none.
        injection = injections.get(task) if section.serve == "weak" and settings.injection else None
        fallbacks = tuple(plan_for(envelope, other, settings, task=task, arm="fallback") for other in section.fallback)
        return plan_for(
            envelope, name, settings, task=task, arm=section.serve, injection=injection, fallbacks=fallbacks
        )
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
    fallbacks: tuple[Plan, ...] = (),
) -> Plan:
    """A plan for a configured model.

    Rules that were verified with a scratchpad are not injected into a request that has no room for one: without it
    they would ask for working in the open.
    """
    form: Scratchpad = "none"
    if injection is not None and injection.rule_set.scratchpad != "none":
        assert isinstance(envelope, Conversation), "rules are injected into conversations only"
        form = form_for(envelope, injection.rule_set.scratchpad)
        injection = injection if form != "none" else None
    model = settings.models[name]
    return Plan(
        envelope=envelope,
        task=task,
        arm=arm,
        model=name,
        upstream=model.upstream,
        upstream_model=model.model,
        injection=injection,
        form=form,
        fallbacks=fallbacks,
    )
