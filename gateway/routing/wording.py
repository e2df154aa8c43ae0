"""Plans for requests that upstreams may take in two wordings: Anthropic's own, or as a chat.

The route is decided once, by the client's own words; then each attempt gets the wording of its upstream.
"""

import msgspec

from gateway.errors import BadRequest
from gateway.formats.anthropic_request import AnthropicRequest
from gateway.routing.route import RoutePlan, plan_for
from gateway.settings import AnthropicSettings, Settings


def worded(plan: RoutePlan, settings: Settings, *, key: str | None = None) -> RoutePlan:
    """Return the plan in the wording of its upstream, and its fallbacks in theirs.

    A fallback that cannot take the request in its own wording is left out. Raises ``BadRequest`` where the first
    upstream cannot.
    """
    fallbacks = []
    for fallback in plan.fallbacks:
        try:
            fallbacks.append(_worded(fallback, settings, key))
        except BadRequest:
            continue
    return msgspec.structs.replace(_worded(plan, settings, key), fallbacks=tuple(fallbacks))


def _worded(plan: RoutePlan, settings: Settings, key: str | None) -> RoutePlan:
    envelope, section = plan.envelope, settings.upstreams[plan.upstream]
    assert isinstance(envelope, AnthropicRequest), "the route of a message is decided by its own words"
    if isinstance(section, AnthropicSettings):
        own = envelope if plan.upstream_model is None else envelope.signed()
        if not section.cache_rules:
            own = msgspec.structs.replace(own, cache_rules=False)
        return plan if own is envelope else msgspec.structs.replace(plan, envelope=own)
    chat = envelope.translated()
    if plan.upstream_model is None:
        return msgspec.structs.replace(plan, envelope=chat)
    made = plan_for(
        chat, plan.model, settings, task=plan.task, arm=plan.arm, injection=plan.injection, why=plan.why, key=key
    )
    return made if made.upstream == plan.upstream else msgspec.structs.replace(made, upstream=plan.upstream)
