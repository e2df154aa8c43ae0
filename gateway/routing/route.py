"""The route of a request: its model, its rule set and its form. Every decision is a single look-up."""

from collections.abc import Mapping
from typing import Literal

from gateway.domain import Arm, Value
from gateway.errors import ModelNotFound
from gateway.formats.envelope import Conversation, Envelope, Obstacle
from gateway.forms import NONE, Form, Guidance
from gateway.routing.conversation import bucket, conversation_key
from gateway.routing.inject import Injection
from gateway.settings import Settings, Task

Why = Literal["", "switched_off", "worksheet"] | Obstacle
"""A reason for sending a request without its task's rules.

``switched_off``: injection is switched off. ``worksheet``: the model could not fill in the form. Else an obstacle.
"""
_NO_GUIDANCE = Guidance()


class RoutePlan(Value, frozen=True):
    """All decisions about a request; fixed while the request runs."""

    envelope: Envelope
    task: str | None
    arm: Arm
    model: str
    """The configured model, or the client's own name where it passes through."""
    upstream: str
    upstream_model: str | None
    """The upstream's own name of the model; ``None`` leaves the body untouched."""
    injection: Injection | None = None
    form: Form = NONE
    """The form in which the rules are sent."""
    guidance: Guidance = _NO_GUIDANCE
    why: Why = ""
    """The reason for sending a request without the rules of its task; empty if there are none."""
    fallbacks: "tuple[RoutePlan, ...]" = ()
    """Plans that are tried in turn if this plan gets no answer; never after the first byte of a reply."""

    @property
    def rules_version(self) -> int | None:
        return self.injection.rule_set.version if self.injection else None


class CompiledSplit(Value, frozen=True):
    """The rule sets of a task, ready to be injected; see ``domain.TrafficSplit``."""

    live: Injection | None = None
    canary: Injection | None = None
    canary_share: float = 0.0
    weak_share: float | None = None
    holdback: float | None = None
    audit_rate: float | None = None


class RuleSnapshot(Value, frozen=True):
    """Every task's splits at one moment."""

    splits: Mapping[str, CompiledSplit] = {}
    injecting: bool = True
    """``False`` while rule sets are switched off."""
    revision: int = -1
    """The store's revision of this state; -1 before the first reading."""


_NO_RULES = CompiledSplit()


def route(
    envelope: Envelope, task: str | None, snapshot: RuleSnapshot, settings: Settings, *, key: str | None = None
) -> RoutePlan:
    """Decide about a request of a key. Raises ``ModelNotFound`` for an unknown model."""
    if task is not None:
        assert isinstance(envelope, Conversation), "only conversations have a task"
        section = settings.tasks[task]
        arm, injection = choose_arm(envelope, task, section, snapshot.splits.get(task, _NO_RULES))
        why: Why = ""
        if injection is not None and not (settings.injection and snapshot.injecting):
            injection, why = None, "switched_off"
        fallbacks = tuple(plan_for(envelope, other, settings, task=task, arm="fallback") for other in section.fallback)
        name = section.strong if arm == "strong" else section.weak
        return plan_for(
            envelope, name, settings, task=task, arm=arm, injection=injection, why=why, key=key, fallbacks=fallbacks
        )
    if envelope.model in settings.models:
        return plan_for(envelope, envelope.model, settings)
    if settings.server.default_upstream is None:
        raise ModelNotFound(envelope.model)
    return RoutePlan(
        envelope=envelope,
        task=None,
        arm="direct",
        model=envelope.model,
        upstream=settings.server.default_upstream,
        upstream_model=None,
    )


def choose_arm(envelope: Conversation, task: str, section: Task, split: CompiledSplit) -> tuple[Arm, Injection | None]:
    """Choose the arm of a conversation. Only the weak model gets rules: they were verified on it.

    A conversation stays on its arm while a share grows. A trial of another version draws anew.
    """
    if section.serve in ("strong", "shadow"):
        return "strong", None
    configured = section.rollout.holdback if split.holdback is None else split.holdback
    holdback = configured if split.live is not None else 0.0
    if section.serve == "weak" and split.canary is None and holdback == 0.0:
        return "weak", split.live
    key = conversation_key(envelope)
    if section.serve == "canary":
        share = split.weak_share if split.weak_share is not None else section.rollout.steps[0]
        if bucket(key, f"{task} share") >= share:
            return "strong", None
    if holdback and bucket(key, f"{task} holdback") < holdback:
        return "holdback", None
    if split.canary is not None and bucket(key, f"{task} {split.canary.rule_set.version}") < split.canary_share:
        return "canary", split.canary
    return "weak", split.live


def plan_for(
    envelope: Envelope,
    name: str,
    settings: Settings,
    *,
    task: str | None = None,
    arm: Arm = "direct",
    injection: Injection | None = None,
    why: Why = "",
    key: str | None = None,
    fallbacks: tuple[RoutePlan, ...] = (),
) -> RoutePlan:
    """Return a plan for a configured model.

    Rules are sent in their own form or not at all: without its scratchpad a rule would ask for working in the open.
    """
    model = settings.models[name]
    form: Form = NONE
    guidance = _NO_GUIDANCE
    if injection is not None:
        assert isinstance(envelope, Conversation), "rules are injected into conversations only"
        obstacle = injection.form.obstacle(envelope)
        if obstacle is not None:
            injection, why = None, obstacle
        else:
            form, guidance = injection.form.for_request(envelope), injection.guidance(envelope, key)
    return RoutePlan(
        envelope=envelope,
        task=task,
        arm=arm,
        model=name,
        upstream=model.upstream,
        upstream_model=model.model,
        injection=injection,
        form=form,
        guidance=guidance,
        why=why,
        fallbacks=fallbacks,
    )
