"""Token counts as upstreams report them. Nothing is estimated: an unreported or unreadable count is zero."""

from typing import Any

import msgspec

from gateway.domain import Usage


def counted(reported: Any, *, prompt: str = "prompt_tokens", output: str = "completion_tokens") -> Usage:
    """Read a usage object, decoded. A reply is never refused for its accounting: odd counts are zero."""
    if not isinstance(reported, dict):
        return Usage()
    return Usage(
        prompt_tokens=_count(reported.get(prompt)),
        output_tokens=_count(reported.get(output)),
        cached_tokens=_detail(reported, prompt, "cached_tokens"),
        reasoning_tokens=_detail(reported, output, "reasoning_tokens"),
    )


def recounted(
    reported: msgspec.Raw | None, usage: Usage, *, prompt: str = "prompt_tokens", output: str = "completion_tokens"
) -> dict[str, Any]:
    """Return an upstream's usage object with the counts of every pass; its other details stay."""
    read = msgspec.json.decode(reported) if reported is not None else None
    fields: dict[str, Any] = read if isinstance(read, dict) else {}
    fields = {
        **fields,
        prompt: usage.prompt_tokens,
        output: usage.output_tokens,
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
    }
    for name, detail, count in (
        (prompt, "cached_tokens", usage.cached_tokens),
        (output, "reasoning_tokens", usage.reasoning_tokens),
    ):
        details = fields.get(f"{name}_details")
        if count or (isinstance(details, dict) and detail in details):
            fields[f"{name}_details"] = {**(details if isinstance(details, dict) else {}), detail: count}
    return fields


def _detail(reported: dict[str, Any], name: str, detail: str) -> int:
    details = reported.get(f"{name}_details")
    return _count(details.get(detail)) if isinstance(details, dict) else 0


def _count(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value < 2**53 else 0
