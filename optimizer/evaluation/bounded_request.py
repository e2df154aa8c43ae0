"""A request made repeatable and bounded for an evaluation, and the most tokens that its answer may take."""

import msgspec

from gateway.domain import RuleSet, Usage
from gateway.forms.two_pass import WORKING_TOKENS

BYTES_PER_TOKEN = 3
"""A cautious guess, for reservations only; the upstream's own count is settled."""
_SETTINGS = ("temperature", "max_tokens", "max_completion_tokens")


class _Limits(msgspec.Struct):
    max_completion_tokens: object = None
    max_tokens: object = None


def bounded(request: bytes, output_tokens: int) -> bytes:
    """Return a chat body at temperature 0 with a limit on its reply, unless it has such settings of its own."""
    body = msgspec.json.decode(request, type=dict[str, msgspec.Raw])
    for name in _SETTINGS:
        if name in body and bytes(body[name]).strip() == b"null":  # no setting
            del body[name]
    body.setdefault("temperature", msgspec.Raw(b"0"))
    if "max_completion_tokens" not in body:
        body.setdefault("max_tokens", msgspec.Raw(str(output_tokens).encode()))
    return msgspec.json.encode(body)


def most_output(rules: RuleSet | None, max_output_tokens: int) -> int:
    """Return the output tokens that an evaluated answer may have, unless its request says otherwise."""
    if rules is not None and rules.scratchpad == "tags":
        # Callers without a limit of their own are served between tags: a short limit of ours would change the form.
        return max(max_output_tokens + WORKING_TOKENS, 2 * WORKING_TOKENS)
    return max_output_tokens


def most_usage(request: bytes, rules: RuleSet | None, *, passes: int, max_output_tokens: int) -> Usage:
    """Return the most tokens that an answer may take, whether its limit is stated in the request or comes from us."""
    injected = _longest_injection(rules) if rules is not None else 0
    prompt = passes * ((len(request) + injected) // BYTES_PER_TOKEN)
    last = _stated_limit(request) or most_output(rules, max_output_tokens)
    return Usage(prompt_tokens=prompt, output_tokens=last + (passes - 1) * max(last, WORKING_TOKENS))


def _stated_limit(request: bytes) -> int:
    """Return the output tokens that a chat body allows; 0 if it states no number."""
    limits = msgspec.json.decode(request, type=_Limits)
    stated = limits.max_tokens if limits.max_completion_tokens is None else limits.max_completion_tokens
    return stated if type(stated) is int and stated > 0 else 0


def _longest_injection(rules: RuleSet) -> int:
    """Return the most characters that a rule set adds to a request."""
    examples = sorted((len(example.question) + len(example.answer) for example in rules.examples), reverse=True)
    shown = examples[: rules.nearest] if rules.examples_mode == "nearest" else examples
    return sum(len(rule.text) for rule in rules.rules) + sum(shown)
