"""The grader ``judge``: right if a model finds the reply as good as the reference. The evaluator asks, and pays.

The judge knows the reference: with a reference, judges err less often on questions with a right answer (Zheng et al.,
arXiv 2306.05685, section 3.4). It is asked in both orders, because judges favour positions (section 3.3 there).

The compared texts come from strangers and may try to instruct the judge. Each text stands between tags with a digest of
all texts. No text can close its own tags: it would have to contain its own digest.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.domain import Value
from gateway.errors import ConfigurationError
from gateway.formats.chat import open_message
from gateway.settings.graders import JudgeGrader
from optimizer.grading.graders.base import AskJudge, Grade, ReplyGrader, Submission
from optimizer.grading.graders.tool_call import shown
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable, text_of
from optimizer.prompts import PromptFolder

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
"""For upstreams that support a ``response_format``; others are asked in words only."""
_DIGITS = 16
"""Hexadecimal digits of the digest: a text with its own digest inside would take 2^64 attempts."""
_SHOWN = 80  # characters of a judge's reply in a message
_SAME = ("same", "tie", "tied", "equal", "equally good", "both", "both are equally good", "draw")
_VERDICTS = {"a": "A", "b": "B"} | dict.fromkeys(_SAME, "same")
# In broken JSON and in prose; "A" and "B" in capitals with nothing behind them, for "a tie" is no verdict for A.
_SPOKEN = re.compile(
    r"\b(?i:verdict)\b\W{0,8}(?i:is\b\W{1,4})?(?i:answer\W{1,4}|an?[ \t]+(?=tie|draw))?"
    r"(?P<verdict>A|B|(?i:same|tie|tied|equal|draw))\b(?![ \t]*\w)"
)
_BRACKETED = re.compile(r"\[\[\s*(\w{1,5})\s*\]\]")
"""The verdict in the form of MT-Bench: ``[[A]]``, ``[[B]]``, and ``[[C]]`` or ``[[tie]]`` for equally good answers."""
_NAMED = re.compile(r"\b[Aa]nswer (A|B)\b")
_DECORATION = " \t\n.*_`\"'"


class _JudgedRequest(Value, frozen=True):
    messages: list[msgspec.Raw]


class JudgedReply(ReplyGrader):
    """Have a model compare the reply with the reference in ``expected``."""

    grades_records = False
    is_judged = True

    def __init__(self, settings: JudgeGrader) -> None:
        self._settings = settings
        self.judge = settings.model

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return the obvious verdict. Raises ``GraderFailed`` where the judge must be asked."""
        obvious = self.obvious(submission, expected)
        if obvious is None:
            raise GraderFailed("a judge is a model: only an evaluator can ask it")
        return float(obvious)

    async def decide(self, submission: Submission, expected: Any, ask: AskJudge) -> Grade:
        """Return 1.0 for a reply as good as the reference in both orders. A "no" in the first order ends the matter,
        and its reason is the remark.

        Raises ``GraderFailed`` for a judge without a clear verdict, and the errors of ``ask``.
        """
        self.examine(expected)
        obvious = self.obvious(submission, expected)
        if obvious is not None:
            return Grade(score=float(obvious))
        for reply_first in (True, False):
            written = await self._asked(submission, expected, ask, reply_first=reply_first)
            if not parse_verdict(written, reply_first=reply_first):
                return Grade(score=0.0, remark=reason_in(written, reply_first=reply_first))
        return Grade(score=1.0)

    async def as_good(self, submission: Submission, expected: Any, ask: AskJudge, *, reply_first: bool) -> bool:
        """Ask the judge in one order whether the reply is as good as the reference. Raises the errors of ``decide``."""
        written = await self._asked(submission, expected, ask, reply_first=reply_first)
        return parse_verdict(written, reply_first=reply_first)

    async def _asked(self, submission: Submission, expected: Any, ask: AskJudge, *, reply_first: bool) -> str:
        structured, plain = (
            question(self._settings, submission, expected, reply_first=reply_first, structured=structured)
            for structured in (True, False)
        )
        return await ask(self.judge or "", structured, plain)

    def obvious(self, submission: Submission, expected: Any) -> bool | None:
        """Accept the reference itself, and refuse an empty reply."""
        reply = shown(submission).strip()
        if not reply:
            return False
        return True if reply == text_of(expected) else None

    def examine(self, expected: Any) -> None:
        """Raise ``Ungradable`` without a reference."""
        if expected is None or not text_of(expected):
            raise Ungradable(expected, "a reference answer")

    def label(self, submission: Submission) -> str:
        """Return the reply itself: a right reply is a reference for others."""
        self.examine(submission.text)
        return submission.text.strip()

    def mistakes(self) -> list[str]:
        try:
            PromptFolder(folder=self._settings.prompts_dir).load("judge")
        except ConfigurationError as error:
            return [f"prompts_dir: {error.source}: {mistake}" for mistake in error.mistakes]
        return []

    def contradict(self, first: Any, second: Any) -> bool:
        """Accept any two references: they may differ in words."""
        return False


def question(
    settings: JudgeGrader, submission: Submission, expected: Any, *, reply_first: bool, structured: bool
) -> bytes:
    """Return a chat body that asks for a verdict, with the reply as answer A (``reply_first``) or B."""
    texts = (_conversation(submission.request), shown(submission), text_of(expected))
    mark = hashlib.sha256(msgspec.json.encode(texts)).hexdigest()[:_DIGITS]
    first, second = (texts[1], texts[2]) if reply_first else (texts[2], texts[1])
    content = (
        PromptFolder(folder=settings.prompts_dir)
        .load("judge")
        .filled(
            mark=mark,
            request=texts[0],
            a=first,
            b=second,
            reference="B" if reply_first else "A",
            criteria=f"\nWhat matters here: {settings.criteria.strip()}\n" if settings.criteria else "",
        )
    )
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}]}
    return msgspec.json.encode({**body, "response_format": RESPONSE_FORMAT} if structured else body)


def parse_verdict(written: str, *, reply_first: bool) -> bool:
    """Decide by a judge's words whether the reply is at least as good as the reference.

    Raises ``GraderFailed`` without a verdict, and for verdicts that contradict each other.
    """
    verdicts = set(_verdicts(written))
    if len(verdicts) != 1 or not (verdict := verdicts.pop()):
        shown = written if len(written) <= _SHOWN else written[:_SHOWN] + "..."
        raise GraderFailed(f"the judge gave no clear verdict: {shown!r}")
    return verdict in ("same", "A" if reply_first else "B")


def reason_in(written: str, *, reply_first: bool) -> str:
    """Return the reason in a judge's words, the answers under names that do not depend on the order; else empty."""
    reason = next((value["reason"] for value in _objects(written) if isinstance(value.get("reason"), str)), "")
    names = {"A": "the reply", "B": "the reference"} if reply_first else {"A": "the reference", "B": "the reply"}
    return _NAMED.sub(lambda match: names[match[1]], reason)


def _verdicts(written: str) -> Iterator[str]:
    """Yield every verdict in a judge's words, from JSON objects or else from prose; an unknown verdict is empty."""
    values = [value["verdict"] for value in _objects(written) if "verdict" in value] or list(_bracketed(written))
    if values:
        yield from (_VERDICTS.get(str(value).strip(_DECORATION).casefold(), "") for value in values)
    elif (bare := written.strip(_DECORATION).casefold().removeprefix("answer ")) in _VERDICTS:
        yield _VERDICTS[bare]
    else:
        yield from (_VERDICTS[match["verdict"].casefold()] for match in _SPOKEN.finditer(written))


def _bracketed(written: str) -> Iterator[str]:
    """Yield the verdicts in double brackets."""
    for verdict in _BRACKETED.findall(written):
        yield "same" if verdict.casefold() == "c" else verdict


def _objects(written: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects in a text; an object quoted inside another counts for nothing."""
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
    return "\n\n".join(f"({message.role}) {message.text() or ''}" for message in messages)
