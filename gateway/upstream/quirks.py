"""A model's quirks: read from its refusals, applied to requests. Pure.

Models differ in the fields that they accept. A reasoning model refuses ``max_tokens`` and takes
``max_completion_tokens``, or takes no ``temperature``; an older server refuses ``stream_options``. A refusal blames a
field by ``param`` or in its message. Only fields without which the reply keeps its meaning are renamed or left out:
without ``tools``, ``stop`` or ``response_format`` the caller would receive another reply than requested, so those
refusals stay the caller's. ``Call.optional`` names fields added by the gateway, which may be left out as well.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from gateway.formats.upstream_error import ErrorWords
from gateway.settings import Quirks

REFUSED = frozenset({400, 415, 422, 501})
"""Statuses of a refused field; others are about something else."""

LIMITS = ("max_tokens", "max_completion_tokens")
_SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "repeat_penalty", "seed",
)  # fmt: skip
"""Fields that tune the choice of words. A model without them chooses in its own way."""
_ADVISORY = (
    "stream_options", "parallel_tool_calls", "reasoning_effort", "verbosity", "service_tier", "store", "metadata",
    "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prediction",
    "think", "keep_alive", "options",
)  # fmt: skip
"""Fields about cost, accounting and effort; the last three are Ollama's."""
_REASONING = "reasoning_content"
"""The field of a message with the model's own reasoning: some models want it back, some refuse it."""
_SHAPES = ("response_format", "output_config")
"""The format of a reply, as OpenAI and as Anthropic name it."""
_FACTS = (*_SHAPES, "logprobs", "top_logprobs")
"""Fields with a meaning for the reply, and with a quirk of their own."""
_KNOWN = (*LIMITS, *_SAMPLING, *_ADVISORY, *_FACTS)
_EVERYDAY = frozenset({"user", "store", "seed", "metadata", "prediction", "verbosity"})
"""Names that are words of the language, too: a message means the field only if it quotes the name."""

_UNSUPPORTED_CODES = frozenset({
    "unsupported_parameter", "unknown_parameter", "unsupported_value", "extra_forbidden", "value_error.extra",
})  # fmt: skip
_UNSUPPORTED = re.compile(
    r"unsupported|(?:not|n't) (?:currently |yet )?(?:be )?"
    r"(?:support(?:ed)?|accept(?:ed)?|allowed|permitted|available|implemented)\b|unknown|unrecogni[sz]ed|unexpected"
    r"|extra (?:inputs?|fields?)|no longer|deprecated|only the default",
    re.IGNORECASE,
)
_ADVICE = re.compile(
    r",? expected one of|\bsupported (?:values|parameters|fields)\b|[.,;:] (?:please )?use\b", re.IGNORECASE
)
"""The part of a message that lists other fields than the refused."""
_CONTEXT = re.compile(r"(?:maximum|max|available) context (?:length|size|window)\D{0,40}?(\d{3,9})", re.IGNORECASE)
_MARKS = "'\"`"


def merged(stated: Quirks, learnt: Quirks) -> Quirks:
    """Combine the configuration with the learnt quirks; the configuration comes first."""
    return Quirks(
        output_limit=stated.output_limit or learnt.output_limit,
        without=tuple(dict.fromkeys((*stated.without, *learnt.without))),
        json_schema=learnt.json_schema if stated.json_schema is None else stated.json_schema,
        logprobs=learnt.logprobs if stated.logprobs is None else stated.logprobs,
        context=stated.context or learnt.context,
    )


def learnt_from(words: ErrorWords, sent: Mapping[str, Raw], known: Quirks) -> Quirks | None:
    """Return the known quirks and the one shown by a refusal of these fields; ``None`` if it shows nothing new."""
    context = _CONTEXT.search(words.message)
    learnt = known
    if context is not None:
        learnt = msgspec.structs.replace(learnt, context=int(context[1]))
    elif words.code in _UNSUPPORTED_CODES or _UNSUPPORTED.search(words.message):
        for name in _blamed(words, sent):
            learnt = _with(learnt, name, sent)
        if _REASONING in words.message and _REASONING.encode() in bytes(sent.get("messages", b"")):
            learnt = msgspec.structs.replace(learnt, without=tuple(dict.fromkeys((*learnt.without, _REASONING))))
    return None if learnt == known else learnt


def _with(known: Quirks, name: str, sent: Mapping[str, Raw]) -> Quirks:
    if name in _SHAPES:
        return msgspec.structs.replace(known, json_schema=False) if b"json_schema" in bytes(sent[name]) else known
    if name in _FACTS:
        return msgspec.structs.replace(known, logprobs=False)
    if name in LIMITS and known.output_limit is None:
        (other,) = (limit for limit in LIMITS if limit != name)
        return msgspec.structs.replace(known, output_limit=other)
    names = LIMITS if name in LIMITS else (name,)
    return msgspec.structs.replace(known, without=tuple(dict.fromkeys((*known.without, *names))))


def _blamed(words: ErrorWords, sent: Mapping[str, Raw]) -> Sequence[str]:
    """Return the refused fields among those sent; by ``param``, else by the message."""
    roots = [re.split(r"[.\[]", param, maxsplit=1)[0] for param in words.params]
    blamed = [root for root in dict.fromkeys(roots) if root in sent and root in _KNOWN]
    if not blamed and not any(root in sent for root in roots):
        text = _ADVICE.split(words.message, maxsplit=1)[0]
        blamed = [name for name in _KNOWN if name in sent and _names(text, name)]
    if words.code == "unsupported_value":
        # A refused value says little about the field, except in sampling: such models take the default only.
        return [name for name in blamed if name in _SAMPLING]
    # Both limits at once are a mistake of the caller, not a quirk of the model.
    return [] if set(LIMITS) <= {*blamed} else blamed


def _names(text: str, name: str) -> bool:
    """Decide whether a message names a field."""
    if name not in _EVERYDAY:
        return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) is not None
    return any(f"{mark}{name}{mark}" in text for mark in _MARKS)


class Adaptation:
    """Quirks, ready to be applied to bodies."""

    def __init__(self, quirks: Quirks) -> None:
        self.quirks = quirks
        self._renamed = next((limit for limit in LIMITS if limit != quirks.output_limit), "")
        names = {*quirks.without, *([self._renamed] if quirks.output_limit else [])}
        self._marks = tuple(f'"{name}"'.encode() for name in sorted(names))

    def apply(self, body: bytes, optional: Sequence[str] = ()) -> bytes:
        """Return the body as the model takes it: unchanged, byte for byte, if no field of it is concerned."""
        dropped = [*self.quirks.without, *(name for name in optional if self._refuses(name))]
        if not any(mark in body for mark in self._marks) and not dropped[len(self.quirks.without) :]:
            return body
        fields = msgspec.json.decode(body, type=dict[str, Raw])
        limit = self.quirks.output_limit
        if limit is not None and self._renamed in fields:
            value = fields.pop(self._renamed)
            fields.setdefault(limit, value)
        for name in dropped:
            fields.pop(name, None)
        if _REASONING in dropped and "messages" in fields:
            fields["messages"] = _without_reasoning(fields["messages"])
        return msgspec.json.encode(fields)

    def _refuses(self, name: str) -> bool:
        return (name in _SHAPES and self.quirks.json_schema is False) or (
            name in ("logprobs", "top_logprobs") and self.quirks.logprobs is False
        )


def _without_reasoning(messages: Raw) -> Raw:
    """Return messages without the model's reasoning; those without any keep their bytes."""
    kept = []
    for message in msgspec.json.decode(messages, type=list[Raw]):
        if _REASONING.encode() in bytes(message):
            fields = msgspec.json.decode(message, type=dict[str, Raw])
            fields.pop(_REASONING, None)
            kept.append(Raw(msgspec.json.encode(fields)))
        else:
            kept.append(message)
    return Raw(msgspec.json.encode(kept))


def described(quirks: Quirks) -> str:
    """Describe quirks as a person would state them in the configuration; empty without any."""
    given = {name: value for name, value in msgspec.to_builtins(quirks).items() if value not in (None, (), [])}
    return ", ".join(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in given.items())
