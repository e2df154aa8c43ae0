"""What a judge is asked, and how its reply is read. Asks nobody: ``evaluation.evaluator`` does, and pays.

The judge knows which answer is the reference: told so, judges err less often where one answer is right (Zheng et al.,
arXiv 2306.05685, section 3.4). It is asked in both orders, because judges favour positions (section 3.3 there).

What it compares was written by others and may speak to it. Each text stands between tags that carry a digest of all
of them: no text can close its own tags, because it would have to hold the digest of itself.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from gateway.domain import Value
from gateway.formats.chat import open_message
from gateway.settings.graders import JudgeGrader
from optimizer import prompts
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable, text_of

RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"reason": {"type": "string"}, "verdict": {"enum": ["A", "B", "same"], "type": "string"}},
            "required": ["reason", "verdict"],
            "additionalProperties": False,
        },
    },
}
"""Asked for where the upstream can; whoever cannot is asked in words only."""
_DIGITS = 16
"""Of the digest, hexadecimal: finding a text that holds its own would take 2^64 attempts."""
_SHOWN = 80  # characters of a judge's reply in a message
_VERDICTS = {"a": "A", "b": "B", "same": "same"}
# In broken JSON and in prose; "A" and "B" in capitals with nothing behind them, for "a tie" is no verdict for A.
_SPOKEN = re.compile(
    r"\b(?i:verdict)\b\W{0,8}(?i:is\b\W{1,4})?(?i:answer\W{1,4})?(?P<verdict>A|B|(?i:same))\b(?![ \t]*\w)"
)
_DECORATION = " \t\n.*_`\"'"


class _JudgedRequest(Value, frozen=True):
    messages: list[msgspec.Raw]


def examine(expected: Any) -> None:
    """Raise ``Ungradable`` if ``expected`` is nothing to compare with."""
    if expected is None or not text_of(expected):
        raise Ungradable(expected, "a reference answer")


def label(reply: str) -> str:
    """The reply itself: one that was called right is a reference for others."""
    examine(reply)
    return reply.strip()


def obvious(reply: str, expected: Any) -> bool | None:
    """What needs no judge: the reference itself is right, nothing at all is wrong."""
    if not reply.strip():
        return False
    return True if reply.strip() == text_of(expected) else None


def question(
    grader: JudgeGrader, request: bytes, expected: Any, reply: str, *, reply_first: bool, structured: bool
) -> bytes:
    """A chat body that asks for a verdict, with the reply as answer A (``reply_first``) or B."""
    examine(expected)
    texts = (_conversation(request), reply, text_of(expected))
    mark = hashlib.sha256(msgspec.json.encode(texts)).hexdigest()[:_DIGITS]
    first, second = (texts[1], texts[2]) if reply_first else (texts[2], texts[1])
    content = _prompt().filled(
        mark=mark,
        request=texts[0],
        a=first,
        b=second,
        reference="B" if reply_first else "A",
        criteria=f"\nWhat matters here: {grader.criteria.strip()}\n" if grader.criteria else "",
    )
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}]}
    return msgspec.json.encode({**body, "response_format": RESPONSE_FORMAT} if structured else body)


def parse_verdict(written: str, *, reply_first: bool) -> bool:
    """Whether a judge that wrote this finds the reply at least as good as the reference.

    Raises ``GraderFailed`` unless it gave one verdict: none, or two that contradict each other, are none.
    """
    found = set(_verdicts(written))
    if len(found) != 1 or not (verdict := found.pop()):
        shown = written if len(written) <= _SHOWN else written[:_SHOWN] + "..."
        raise GraderFailed(f"the judge gave no clear verdict: {shown!r}")
    return verdict in ("same", "A" if reply_first else "B")


def _verdicts(written: str) -> Iterator[str]:
    """Every verdict in a reply: of its JSON objects or, without one, as it is spoken; a strange one is empty."""
    values = [value["verdict"] for value in _objects(written) if "verdict" in value]
    if values:
        yield from (_VERDICTS.get(str(value).strip(_DECORATION).casefold(), "") for value in values)
    elif (bare := written.strip(_DECORATION).casefold().removeprefix("answer ")) in _VERDICTS:
        yield _VERDICTS[bare]
    else:
        yield from (_VERDICTS[match["verdict"].casefold()] for match in _SPOKEN.finditer(written))


def _objects(written: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, outermost only: what is quoted inside one is no verdict."""
    decoder, position = json.JSONDecoder(), written.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(written, position)
            yield value
        except (ValueError, RecursionError):
            end = position + 1
        position = written.find("{", end)


def _conversation(request: bytes) -> str:
    messages = map(open_message, msgspec.json.decode(request, type=_JudgedRequest).messages)
    return "\n\n".join(f"({one.role}) {one.text() or ''}" for one in messages)


@cache
def _prompt() -> prompts.Prompt:
    return prompts.load("judge", "mark", "request", "a", "b", "reference", "criteria")
