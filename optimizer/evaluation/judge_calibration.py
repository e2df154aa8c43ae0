"""The calibration of a judge: its agreement with people, its dependence on the order of two answers, and the gains
hidden by its errors. Changes no judge.
"""

from collections.abc import Sequence
from pathlib import Path

from gateway.domain import Value
from gateway.errors import PreceptorError
from gateway.settings.graders import JudgeGrader
from gateway.store.base import Graded
from optimizer.dataset.data_file import example_of, read_records
from optimizer.dataset.graded_exchanges import correctness
from optimizer.dataset.items import BadData, Item, item_of_request, parse_object
from optimizer.evaluation.evaluator import Evaluator
from optimizer.grading.graders import GraderFailed, Submission
from optimizer.grading.graders.judge import JudgedReply
from optimizer.statistics.judge_agreement import LEAST_KAPPA, JudgeAgreement, detectable
from optimizer.statistics.paired_test import smallest_detectable, wilson

LEAST_EACH = 10
"""Least number of right replies, and of wrong replies; with fewer the interval would hold everything."""


class RatedReply(Value, frozen=True):
    """A reply to an item, called right or wrong by a person."""

    item: Item
    reply: str
    correct: bool


class Ratings(Value, frozen=True):
    """The usable part of a source of rated replies, and complaints about the rest."""

    rated: tuple[RatedReply, ...]
    complaints: tuple[str, ...]


class Calibration(Value, frozen=True):
    """The worth of a judge on these labels."""

    n: int
    agreement: JudgeAgreement
    kappa: float
    interval: tuple[float, float]
    """95% interval of kappa."""
    asked: int
    """Replies with a verdict of the judge in both orders."""
    flipped: int
    """Verdicts that changed with the order; in use they count as wrong."""
    ungraded: int
    """Replies without a clear verdict; in use they count as wrong."""
    items: int
    """Items of the planned test behind the detectable gains."""
    detectable: float
    """Smallest true gain in accuracy (0..1) in reach of such a test with this judge, at 80% power."""
    detectable_without_error: float
    """Smallest true gain with a judge without errors."""

    @property
    def trusted(self) -> bool:
        """True if kappa is high enough to decide by this judge."""
        return self.kappa >= LEAST_KAPPA

    @property
    def note(self) -> str:
        """The calibration in plain words."""
        low, high = self.interval
        least, most = wilson(self.flipped, self.asked) if self.asked else (0.0, 1.0)
        verdict = "it can be used" if self.trusted else f"below {LEAST_KAPPA}, do not decide by it"
        flips = f"{self.flipped} of {self.asked} verdicts changed with the order ({least:.0%} to {most:.0%})"
        unclear = f", {self.ungraded} were unclear" if self.ungraded else ""
        gains = (
            f"on {self.items} items it shows true gains from {self.detectable:.0%} up,"
            f" a judge without error from {self.detectable_without_error:.0%}"
            if self.detectable < 1.0
            else f"no true gain can be shown with it on {self.items} items"
        )
        return (
            f"the judge agrees with people on {self.agreement.observed:.0%} of {self.n} replies, kappa {self.kappa:.2f}"
            f" (95% interval {low:.2f} to {high:.2f}): {verdict}; {flips}{unclear}; {gains}"
        )


def load_ratings(path: Path, grader: JudgeGrader) -> Ratings:
    """Read rated replies from a data file: an example's keys with ``reply`` and ``correct``. Raises ``BadData``."""

    def read(line: bytes) -> RatedReply:
        body = parse_object(line)
        reply, correct = body.get("reply"), body.get("correct")
        if not isinstance(reply, str) or not isinstance(correct, bool):
            raise BadData("'reply' (a text) and 'correct' (true or false) are needed")
        return RatedReply(item=example_of(line, grader), reply=reply, correct=correct)

    parsed, complaints = read_records(path, read)
    return Ratings(rated=tuple(rated for _, rated in parsed), complaints=tuple(complaints))


def ratings_from(graded: Sequence[Graded], grader: JudgeGrader) -> Ratings:
    """Return rated replies from exchanges with a client's judgement of the reply and the right answer."""
    rated: list[RatedReply] = []
    complaints: list[str] = []
    for pair in graded:
        correct, expected, reply = correctness(pair.feedback), pair.feedback.expected, pair.exchange.reply
        if correct is None or expected is None or reply is None or pair.feedback.source != "client":
            continue
        try:
            JudgedReply(grader).examine(expected)
            item = item_of_request(pair.exchange.request, expected)
        except PreceptorError as error:
            complaints.append(f"exchange {pair.exchange.id}: {error}")
        else:
            rated.append(RatedReply(item=item, reply=reply, correct=correct))
    return Ratings(rated=tuple(rated), complaints=tuple(complaints))


async def calibrate(
    evaluator: Evaluator, grader: JudgeGrader, rated: Sequence[RatedReply], *, items: int
) -> Calibration:
    """Have the judge grade every reply in both orders, and compare. ``items`` is the size of a planned test.

    Raises ``BadData`` before any payment for too few labels of either kind, and the errors of ``JudgedReply.as_good``
    except ``GraderFailed``.
    """
    right = sum(reply.correct for reply in rated)
    if min(right, len(rated) - right) < LEAST_EACH:
        raise BadData(
            f"{right} replies that people called right and {len(rated) - right} that they called wrong are too few to"
            f" calibrate a judge: {LEAST_EACH} of each are needed"
        )

    judge = JudgedReply(grader)

    async def verdicts(rating: RatedReply) -> tuple[bool, ...]:
        """Return the verdicts in both orders; a single obvious verdict, or none of an unclear judge."""
        submission, expected = Submission(text=rating.reply, request=rating.item.request), rating.item.expected
        known = judge.obvious(submission, expected)
        if known is not None:
            return (known,)
        try:
            return tuple([
                await judge.as_good(submission, expected, evaluator.ask_judge, reply_first=first)
                for first in (True, False)
            ])  # fmt: skip
        except GraderFailed:
            return ()

    verdicts_given = await evaluator.each(verdicts, rated, stage="calibration")
    pairs = [(bool(given) and all(given), rating.correct) for given, rating in zip(verdicts_given, rated, strict=True)]
    agreement = JudgeAgreement(
        both=pairs.count((True, True)),
        judge_only=pairs.count((True, False)),
        person_only=pairs.count((False, True)),
        neither=pairs.count((False, False)),
    )
    return Calibration(
        n=agreement.n,
        agreement=agreement,
        kappa=agreement.kappa,
        interval=agreement.interval,
        asked=sum(len(given) == 2 for given in verdicts_given),
        flipped=sum(len(set(given)) == 2 for given in verdicts_given),
        ungraded=verdicts_given.count(()),
        items=items,
        detectable=detectable(agreement, items),
        detectable_without_error=smallest_detectable(items),
    )
