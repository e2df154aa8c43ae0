"""Token counts as upstreams report them. Nothing is estimated: an unreported or unreadable count is zero."""

from typing import Any

import msgspec

from gateway.domain import NO_USAGE, Usage

_DETAILS = {name: f"{name}_details" for name in ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")}
"""The fields with the details of a count."""
_NONE: dict[str, Any] = {}


def counted(reported: Any, *, prompt: str = "prompt_tokens", output: str = "completion_tokens") -> Usage:
    """Read a usage object, decoded. A reply is never refused for its accounting: odd counts are zero."""
    if not isinstance(reported, dict):
        return NO_USAGE
    prompts, outputs = reported.get(_DETAILS[prompt]), reported.get(_DETAILS[output])
    if not isinstance(prompts, dict):
        prompts = _NONE
    return Usage(
        prompt_tokens=count_of(reported.get(prompt)),
        output_tokens=count_of(reported.get(output)),
        cached_tokens=count_of(prompts["cached_tokens"]) if "cached_tokens" in prompts else 0,
        reasoning_tokens=count_of(outputs.get("reasoning_tokens")) if isinstance(outputs, dict) else 0,
        written_tokens=count_of(prompts["cache_write_tokens"]) if "cache_write_tokens" in prompts else 0,
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
        (prompt, "cache_write_tokens", usage.written_tokens),
        (output, "reasoning_tokens", usage.reasoning_tokens),
    ):
        details = fields.get(_DETAILS[name])
        if count or (isinstance(details, dict) and detail in details):
            fields[_DETAILS[name]] = {**(details if isinstance(details, dict) else {}), detail: count}
    return fields


def count_of(value: Any) -> int:
    """Return a reported count; an odd one is zero."""
    if type(value) is int and 0 <= value < 2**53:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value < 2**53 else 0
