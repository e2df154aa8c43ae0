"""Token counts as upstreams report them. Nothing is estimated: an unreported count is zero."""

from typing import Any

import msgspec

from gateway.domain import Usage


class UsageFields(msgspec.Struct):
    """The two counts that the gateway reads of a usage object."""

    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0

    def counted(self) -> Usage:
        return Usage(prompt_tokens=self.prompt_tokens or 0, output_tokens=self.completion_tokens or 0)


def recounted(reported: msgspec.Raw | None, usage: Usage) -> dict[str, Any]:
    """Return an upstream's usage object with the counts of every pass; its details stay."""
    return {
        **((msgspec.json.decode(reported) if reported is not None else None) or {}),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
    }
