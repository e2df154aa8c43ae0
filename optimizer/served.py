"""A configured model as the optimizer sees it: asked through the gateway's own request path, so that what is verified
is what will serve."""

import msgspec

from gateway.domain import RuleSet
from gateway.pipeline.chat import open_chat
from gateway.pipeline.envelope import decode_object, raw
from gateway.pipeline.inject import compile_rules
from gateway.pipeline.route import plan_for
from gateway.services import Services
from optimizer.evaluations import Answer

_EXCHANGE_ID = "chatcmpl-evaluation"


class ServedModel:
    """Implements ``evaluate.Model`` over a gateway's services."""

    def __init__(self, name: str, services: Services) -> None:
        model = services.settings.models[name]
        upstream = services.settings.upstreams[model.upstream]
        self.name = name
        self.identity = f"{upstream.kind} {upstream.base_url or ''} {model.model}"
        self._services = services

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        services = self._services
        body = msgspec.json.encode({**decode_object(request), "model": raw(self.name)})
        injection = compile_rules(rule_set) if rule_set is not None else None
        plan = plan_for(open_chat(body), self.name, services.settings, injection=injection)
        tally = services.serving.completions.tally()
        began = services.clock()
        await services.serving.completions.whole(plan, _EXCHANGE_ID, tally)
        return Answer(
            text=tally.text,
            usage=tally.usage,
            latency_s=services.clock() - began,
            finish_reason=tally.finish_reason,
            tool_calls=tally.tool_calls,
        )
