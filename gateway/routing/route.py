"""Where a request goes: which model answers, with which rule set and in which form. One look-up per decision."""

from collections.abc import Mapping

from gateway.domain import Arm, Value
from gateway.errors import ModelNotFound
from gateway.formats.envelope import Conversation, Envelope
from gateway.forms import FORMS, NONE, Form
from gateway.routing.conversation import key_of, place
from gateway.routing.inject import Injection
from gateway.settings import Settings, Task


class RoutePlan(Value, frozen=True):
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
    form: Form = NONE
    """The form in which the rules are sent."""
    fallbacks: "tuple[RoutePlan, ...]" = ()
    """Asked in turn, before the first byte, when this one cannot answer."""

    @property
    def rules_version(self) -> int | None:
        return self.injection.rule_set.version if self.injection else None


class Lane(Value, frozen=True):
    """What may serve a task, ready to be injected; see ``domain.Lanes``."""

    live: Injection | None = None
    canary: Injection | None = None
    canary_share: float = 0.0
    weak_share: float | None = None
    audit_rate: float | None = None


class RuleSnapshot(Value, frozen=True):
    """Every task's lanes at one moment."""

    lanes: Mapping[str, Lane] = {}
    injecting: bool = True
    """``False`` while rule sets are switched off."""
    revision: int = -1
    """The store's revision that it was read at; -1 before the first reading."""


_NOTHING = Lane()


def route(envelope: Envelope, task: str | None, snapshot: RuleSnapshot, settings: Settings) -> RoutePlan:
    """Decide about a request. Raises ``ModelNotFound`` if nothing answers to its model."""
    if task is not None:
        assert isinstance(envelope, Conversation), "only conversations have a task"
        section = settings.tasks[task]
        arm, injection = choose(envelope, task, section, snapshot.lanes.get(task, _NOTHING))
        if not (settings.injection and snapshot.injecting):
            injection = None
        fallbacks = tuple(plan_for(envelope, other, settings, task=task, arm="fallback") for other in section.fallback)
        name = section.strong if arm == "strong" else section.weak
        return plan_for(envelope, name, settings, task=task, arm=arm, injection=injection, fallbacks=fallbacks)
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


def choose(envelope: Conversation, task: str, section: Task, lane: Lane) -> tuple[Arm, Injection | None]:
    """Which arm a conversation is on. Rules are made for the weak model and verified on it: the strong one gets none.

    A conversation stays on its arm while a share grows. A trial of another version is another draw.
    """
    if section.serve in ("strong", "shadow"):
        return "strong", None
    holdback = section.rollout.holdback if lane.live is not None else 0.0
    if section.serve == "weak" and lane.canary is None and holdback == 0.0:
        return "weak", lane.live
    key = key_of(envelope)
    if section.serve == "canary":
        share = lane.weak_share if lane.weak_share is not None else section.rollout.steps[0]
        if place(key, f"{task} share") >= share:
            return "strong", None
    if holdback and place(key, f"{task} holdback") < holdback:
        return "holdback", None
    if lane.canary is not None and place(key, f"{task} {lane.canary.rule_set.version}") < lane.canary_share:
        return "canary", lane.canary
    return "weak", lane.live


def plan_for(
    envelope: Envelope,
    name: str,
    settings: Settings,
    *,
    task: str | None = None,
    arm: Arm = "direct",
    injection: Injection | None = None,
    fallbacks: tuple[RoutePlan, ...] = (),
) -> RoutePlan:
    """A plan for a configured model.

    Rules that were verified with a scratchpad are not injected into a request that has no room for one: without it
    they would ask for working in the open.
    """
    form: Form | None = None
    if injection is not None:
        assert isinstance(envelope, Conversation), "rules are injected into conversations only"
        form = FORMS[injection.rule_set.scratchpad].for_request(envelope)
    model = settings.models[name]
    return RoutePlan(
        envelope=envelope,
        task=task,
        arm=arm,
        model=name,
        upstream=model.upstream,
        upstream_model=model.model,
        injection=injection if form is not None else None,
        form=form if form is not None else NONE,
        fallbacks=fallbacks,
    )
