"""Room in which the weak model works before it replies; the caller receives only the reply.

What to do in the room is for the rules to say; without rules the model is asked to go step by step. Two forms.
``two_pass``: the model answers under the rules first, unseen; a second request, the caller's own with that working
appended to the question, writes the reply, so the caller's prompt decides its shape. ``tags``: one request in which the
model works between tags that are cut out; if it never closes them, or writes nothing behind them, what it wrote becomes
the working of a second pass, so that working is never handed on as a reply.
"""

from collections.abc import Sequence

from msgspec import Raw

from gateway.domain import Scratchpad
from gateway.pipeline.envelope import Envelope, open_message, raw
from gateway.pipeline.inject import Injection, with_system_text

OPEN_TAG = "<working>"
CLOSE_TAG = "</working>"
WORKING_TOKENS = 1024
"""Output tokens that the working may have."""

# On 9 word problems of two to four steps, Qwen2.5-Coder-1.5B (Q4): one rule 105 -> 59 output tokens, 6 -> 5 right;
# eight rules 176 -> 68 tokens, 6 -> 4 right (docs/experiments.md). Without rules nothing is shortened.
_DRAFT = "This is a draft for yourself: keep it short."
_STEP_BY_STEP = "Work through the question step by step. Do not skip a step."
_TAGS = (
    f"Write all of your working, kept short, between {OPEN_TAG} and {CLOSE_TAG}. After {CLOSE_TAG}, reply exactly"
    " as told at first; the working is not part of the reply."
)
# A first pass is plain text of its own: what shapes, ends or measures the caller's reply does not belong there.
_REPLY_ONLY = (
    "stream", "stream_options", "response_format", "stop", "logprobs", "top_logprobs", "n",
    "max_tokens", "max_completion_tokens",
)  # fmt: skip


def form_for(envelope: Envelope, wanted: Scratchpad) -> Scratchpad:
    """The form that this request can have.

    Turns with tools, several choices, or a last message that is not a user's plain text are left alone. A reply that
    must have a format, a stop sequence or log-probabilities cannot hold tags: it gets two passes.
    """
    if wanted == "none" or envelope.value("tools") or envelope.value("functions"):
        return "none"
    if envelope.value("n") not in (None, 1):
        return "none"
    last = open_message(envelope.messages[-1])
    if last.role != "user" or not last.only_text():
        return "none"
    if wanted == "tags" and any(envelope.value(name) for name in ("response_format", "stop", "logprobs")):
        return "two_pass"
    return wanted


def working_request(envelope: Envelope, injection: Injection, model: str) -> bytes:
    """The first of two passes: the caller's request under the rules, as plain text with a bound of its own."""
    changes: dict[str, Raw | None] = dict.fromkeys(_REPLY_ONLY)
    changes["model"] = raw(model)
    told = f"{injection.text}\n{_DRAFT}" if injection.text else _STEP_BY_STEP
    changes["messages"] = raw(with_system_text(envelope.messages, told))
    changes["max_tokens"] = raw(WORKING_TOKENS)
    return envelope.sealed(changes)


def with_working(messages: Sequence[Raw], working: str) -> list[Raw]:
    """The second pass's messages: the caller's own, with the working appended to the question."""
    return [*messages[:-1], open_message(messages[-1]).extended("\n\nWorking:\n" + working)]


def tagged_messages(envelope: Envelope, injection: Injection) -> list[Raw]:
    """The messages of a request whose reply holds its working between tags."""
    return with_system_text(envelope.messages, f"{injection.text or _STEP_BY_STEP}\n\n{_TAGS}")


def tagged_limits(envelope: Envelope) -> dict[str, Raw | None]:
    """The caller's limits on output tokens, raised by what the working may have."""
    limits: dict[str, Raw | None] = {}
    for name in ("max_tokens", "max_completion_tokens"):
        limit = envelope.value(name)
        if isinstance(limit, int):
            limits[name] = raw(limit + WORKING_TOKENS)
    return limits


class TagFilter:
    """Takes a tagged reply piece by piece and lets through what follows the closing tag.

    ``working`` collects what came before it; ``replied`` says whether anything came behind it. Blank space between the
    tag and the reply is dropped.
    """

    def __init__(self) -> None:
        self.replied = False
        self._closed = False
        self._before = ""

    @property
    def working(self) -> str:
        return self._before.split(CLOSE_TAG)[0].replace(OPEN_TAG, "").strip()

    def feed(self, piece: str) -> str:
        """The part of the reply that this piece completes; empty while the model is still working."""
        if not self._closed:
            self._before += piece
            _, tag, piece = self._before.partition(CLOSE_TAG)
            if not tag:
                return ""
            self._closed = True
        if not self.replied:
            piece = piece.lstrip()
            self.replied = bool(piece)
        return piece
