"""A judge held against people: how far it agrees with their labels, how often its verdict depends on the order in which
it is shown two answers, and which gains its errors hide. Changes no judge; whoever has one decides whether to use it.
"""

from collections.abc import Sequence
from pathlib import Path

from gateway.domain import Value
from gateway.errors import PreceptorError
from gateway.settings.graders import JudgeGrader
from gateway.store.base import Graded
from optimizer.dataset.data_file import example_of, read_lines
from optimizer.dataset.graded_exchanges import correctness
from optimizer.dataset.items import BadData, Item, item_of_request, parse_object
from optimizer.evaluation.evaluator import Evaluator
from optimizer.grading.graders import GraderFailed, Submission
from optimizer.grading.graders.judge import JudgedReply
from optimizer.statistics.judge_agreement import LEAST_KAPPA, JudgeAgreement, detectable
from optimizer.statistics.paired_test import smallest_detectable, wilson

LEAST_EACH = 10
"""Right replies, and wrong ones, without which a calibration is not begun: its interval would hold everything."""


class RatedReply(Value, frozen=True):
    """A reply to an item that a person called right or wrong."""

    item: Item
    reply: str
    correct: bool


class Ratings(Value, frozen=True):
    """What a source of rated replies held, and what of it could not be used."""

    rated: tuple[RatedReply, ...]
    complaints: tuple[str, ...]


class Calibration(Value, frozen=True):
    """What a judge is worth on these labels."""

    n: int
    agreement: JudgeAgreement
    kappa: float
    interval: tuple[float, float]
    """95% interval of kappa."""
    asked: int
    """Replies on which the judge had to be asked and gave a verdict in both orders."""
    flipped: int
    """Those of them whose verdict depended on the order; in use they count as wrong."""
    ungraded: int
    """Replies on which it gave no clear verdict; in use they count as wrong."""
    items: int
    """Items of the test for which the detectable gains are given."""
    detectable: float
    """Smallest true gain in accuracy (0..1) that the judge lets such a test find with 80% power."""
    detectable_without_error: float
    """The same for a judge who never errs."""

    @property
    def trusted(self) -> bool:
        """Whether kappa is high enough to decide anything by this judge."""
        return self.kappa >= LEAST_KAPPA

    @property
    def note(self) -> str:
        """All of it in plain words."""
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
    """Rated replies from a data file: an example's keys with ``reply`` and ``correct``. Raises ``BadData``."""

    def read(line: bytes) -> RatedReply:
        body = parse_object(line)
        reply, correct = body.get("reply"), body.get("correct")
        if not isinstance(reply, str) or not isinstance(correct, bool):
            raise BadData("'reply' (a text) and 'correct' (true or false) are needed")
        return RatedReply(item=example_of(line, grader), reply=reply, correct=correct)

    found, complaints = read_lines(path, read)
    return Ratings(rated=tuple(rated for _, rated in found), complaints=tuple(complaints))


def ratings_from(graded: Sequence[Graded], grader: JudgeGrader) -> Ratings:
    """Rated replies from exchanges of which a client said both whether the reply was right and what is right."""
    rated: list[RatedReply] = []
    complaints: list[str] = []
    for one in graded:
        correct, expected, reply = correctness(one.feedback), one.feedback.expected, one.exchange.reply
        if correct is None or expected is None or reply is None or one.feedback.source != "client":
            continue
        try:
            JudgedReply(grader).examine(expected)
            item = item_of_request(one.exchange.request, expected)
        except PreceptorError as error:
            complaints.append(f"exchange {one.exchange.id}: {error}")
        else:
            rated.append(RatedReply(item=item, reply=reply, correct=correct))
    return Ratings(rated=tuple(rated), complaints=tuple(complaints))


async def calibrate(
    evaluator: Evaluator, grader: JudgeGrader, rated: Sequence[RatedReply], *, items: int
) -> Calibration:
    """Have the judge grade every reply, always in both orders, and compare. ``items`` are those of a planned test.

    Raises ``BadData`` before anything is paid for if there are too few labels of either kind, and what
    ``JudgedReply.as_good`` raises except ``GraderFailed``.
    """
    right = sum(one.correct for one in rated)
    if min(right, len(rated) - right) < LEAST_EACH:
        raise BadData(
            f"{right} replies that people called right and {len(rated) - right} that they called wrong are too few to"
            f" calibrate a judge: {LEAST_EACH} of each are needed"
        )

    judge = JudgedReply(grader)

    async def verdicts(one: RatedReply) -> tuple[bool, ...]:
        """In both orders; one if there is nothing to ask, none if the judge was not clear."""
        submission, expected = Submission(text=one.reply, request=one.item.request), one.item.expected
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

    found = await evaluator.each(verdicts, rated, stage="calibration")
    pairs = [(bool(given) and all(given), one.correct) for given, one in zip(found, rated, strict=True)]
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
        asked=sum(len(given) == 2 for given in found),
        flipped=sum(len(set(given)) == 2 for given in found),
        ungraded=found.count(()),
        items=items,
        detectable=detectable(agreement, items),
        detectable_without_error=smallest_detectable(items),
    )
