"""The route of a request: its model, its rule set and its form. Every decision is a single look-up."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from gateway.domain import Arm, Value
from gateway.errors import ModelNotFound
from gateway.formats.envelope import Conversation, Envelope, Obstacle, no_model
from gateway.forms import NONE, Form, Guidance
from gateway.routing.chains import Link
from gateway.routing.classify import TASK_PREFIX
from gateway.routing.conversation import bucket, conversation_key
from gateway.routing.deployments import deployment_key, ordered
from gateway.routing.inject import Injection
from gateway.settings import Model, Settings, Task

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
    conversation: bytes = b""
    """The key of the conversation; empty without a task."""
    fallbacks: "tuple[RoutePlan, ...]" = ()
    """Plans that are tried in turn if this plan gets no answer; never after the first byte of a reply."""

    @property
    def rules_version(self) -> int | None:
        return self.injection.rule_set.version if self.injection else None

    @property
    def instructions(self) -> str:
        """The rules of the request; empty for none."""
        return self.guidance.instructions if self.injection else ""


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
    envelope: Envelope,
    task: str | None,
    snapshot: RuleSnapshot,
    settings: Settings,
    *,
    key: str | None = None,
    link: Link | None = None,
) -> RoutePlan:
    """Decide about a request of a key. ``link`` is the way of the response that it goes on from.

    Raises ``ModelNotFound`` for an unknown model, ``BadRequest`` for none.
    """
    if task is not None:
        assert isinstance(envelope, Conversation), "only conversations have a task"
        section = settings.tasks[task]
        split = snapshot.splits.get(task, _NO_RULES)
        linked = link is not None and link.task == task and link.model in settings.models
        conversation = conversation_key(envelope)
        arm, injection = continued(link, split) if link and linked else choose_arm(conversation, task, section, split)
        why: Why = ""
        if injection is not None and not (settings.injection and snapshot.injecting):
            injection, why = None, "switched_off"
        fallbacks: tuple[RoutePlan, ...] = ()
        if section.fallback:
            fallbacks = tuple(
                plan_for(envelope, to, settings, task=task, arm="fallback", conversation=conversation)
                for to in section.fallback
            )
        name = link.model if link and linked else section.strong if arm == "strong" else section.weak
        return plan_for(
            envelope, name, settings, task=task, arm=arm, injection=injection, why=why, key=key,
            conversation=conversation, fallbacks=fallbacks,
        )  # fmt: skip
    name = envelope.model
    if name.startswith(TASK_PREFIX):  # a completion or an embedding: no task, but the task's model
        section_named = settings.tasks.get(name.removeprefix(TASK_PREFIX))
        if section_named is None:
            raise ModelNotFound(name)
        name = section_named.weak
    if name in settings.models:
        return plan_for(envelope, name, settings)
    if settings.server.default_upstream is None:
        raise ModelNotFound(envelope.model) if envelope.model else no_model()
    return RoutePlan(
        envelope=envelope,
        task=None,
        arm="direct",
        model=envelope.model,
        upstream=settings.server.default_upstream,
        upstream_model=None,
    )


def spread(plan: RoutePlan, model: Model, cluster: str | None = None) -> RoutePlan:
    """Return the plan for one of its model's equal deployments. The others come before any other fallback.

    ``cluster`` is the conversation of the response that the request goes on from.
    """
    key = deployment_key(plan.envelope, plan.conversation, cluster)
    first, *others = ordered(plan.model, model.upstreams, model.weights, key)
    deployments = [msgspec.structs.replace(plan, upstream=other, fallbacks=()) for other in others]
    return msgspec.structs.replace(plan, upstream=first, fallbacks=(*deployments, *plan.fallbacks))


def route_response(
    envelope: Envelope,
    task: str | None,
    snapshot: RuleSnapshot,
    settings: Settings,
    *,
    key: str | None = None,
    link: Link | None = None,
) -> RoutePlan:
    """Decide about a request that may go on from a response: only the deployment of that one knows it."""
    plan = route(envelope, task, snapshot, settings, key=key, link=link)
    if link is None and "conversation" in envelope.fields:
        return _at_its_upstream(plan, settings)
    model = settings.models.get(plan.model)
    if link is None or link.cluster is None or model is None or not model.upstreams:
        return plan
    others = tuple(fallback for fallback in plan.fallbacks if fallback.model != plan.model)
    return spread(msgspec.structs.replace(plan, fallbacks=others), model, link.cluster)


def _at_its_upstream(plan: RoutePlan, settings: Settings) -> RoutePlan:
    """Return the plan of a request in a stored conversation: it was made at the default upstream.

    The task's other model serves if only that one is there. Its replies are no evidence about an arm.
    """
    at, section = settings.server.default_upstream, settings.tasks.get(plan.task or "")
    if section is None or at is None or plan.upstream == at:
        return plan
    other = section.weak if plan.model == section.strong else section.strong
    if settings.models[other].upstream != at:
        return plan
    return plan_for(plan.envelope, other, settings, task=plan.task, arm="fallback", conversation=plan.conversation)


def continued(link: Link, split: CompiledSplit) -> tuple[Arm, Injection | None]:
    """Return the arm of an earlier response. Its version is kept while it is on the air."""
    canary = split.canary
    if link.rules is not None and canary is not None and canary.rule_set.version == link.rules:
        return "canary", canary
    if link.arm in ("weak", "canary"):
        return "weak", split.live
    return link.arm, None


def choose_arm(key: bytes, task: str, section: Task, split: CompiledSplit) -> tuple[Arm, Injection | None]:
    """Choose the arm of a conversation by its key. Only the weak model gets rules: they were verified on it.

    A conversation stays on its arm while a share grows. A trial of another version draws anew.
    """
    if section.serve in ("strong", "shadow"):
        return "strong", None
    configured = section.rollout.holdback if split.holdback is None else split.holdback
    holdback = configured if split.live is not None else 0.0
    if section.serve == "weak" and split.canary is None and holdback == 0.0:
        return "weak", split.live
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
    conversation: bytes = b"",
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
    plan = RoutePlan(
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
        conversation=conversation,
        fallbacks=fallbacks,
    )
    return spread(plan, model) if model.upstreams else plan
