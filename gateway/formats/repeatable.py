"""Requests whose reply may serve again: the model would give the same answer the next time. Pure.

Decides by a list of known fields: an unknown field may ask for chance, for state or for the web.
"""

from typing import Any

from msgspec import Raw

from gateway.errors import BadRequest
from gateway.formats.envelope import Conversation, decoded


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KNOWN = _names("""
    model messages input instructions system metadata user safety_identifier temperature top_p top_k min_p typical_p
    n seed stream stream_options stop stop_sequences stop_token_ids include_stop_str_in_output max_tokens
    max_completion_tokens max_output_tokens min_tokens presence_penalty frequency_penalty repetition_penalty
    repeat_penalty logit_bias logprobs top_logprobs response_format text structured_outputs guided_json guided_regex
    guided_choice guided_grammar grammar json_schema include truncation tools tool_choice parallel_tool_calls functions
    function_call verbosity service_tier prompt_cache_key prompt_cache_options prompt_cache_retention cache_prompt
    cache_salt cache_control keep_alive skip_special_tokens spaces_between_special_tokens add_generation_prompt
    continue_final_message add_special_tokens
""")
"""Fields that leave the reply to the request. None is about reasoning: a model that reasons chooses the temperature."""
_OFF = (b"null", b"false")
_SWITCHES = frozenset({"store", "background", "conversation", "previous_response_id"})
"""Fields that keep something at the upstream, or go on from it, unless they are off."""
_CHANGING = (b'"url"', b'_url"', b'"file_id"', b'"item_reference"')
"""Keys of a content that lies elsewhere, and may be another tomorrow. Inside a text the quotes are escaped."""
_CALLERS = (None, "function", "custom")
"""Kinds of tools that the caller runs; every other kind runs at the upstream."""

COMPLETE = frozenset({"stop", "tool_calls", "function_call"})
"""Reasons for the end of a whole reply. Cut off (``length``) or filtered, it is none."""


def is_repeatable(request: Conversation) -> bool:
    """Decide whether a request states temperature 0, wants a single reply, and keeps or reads nothing elsewhere."""
    fields = request.fields
    if not _is_zero(fields.get("temperature")) or bytes(fields.get("n", b"1")) not in (b"1", b"null"):
        return False
    for name, value in fields.items():
        if name not in _KNOWN and not (name in _SWITCHES and bytes(value) in _OFF):
            return False
    if request.path == "/responses" and "store" not in fields:
        return False  # without a word of the client the upstream stores the reply
    for name in request.content_fields:
        content = bytes(fields.get(name, b""))
        if any(mark in content for mark in _CHANGING):
            return False
    return "tools" not in fields or _are_callers(fields["tools"])


def _is_zero(given: Raw | None) -> bool:
    value = _value(given)
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _are_callers(given: Raw) -> bool:
    tools = _value(given)
    if tools is None:
        return True
    return isinstance(tools, list) and all(isinstance(tool, dict) and tool.get("type") in _CALLERS for tool in tools)


def _value(given: Raw | None) -> Any:
    try:
        return None if given is None else decoded(given)
    except BadRequest:
        return None
