"""Remarks on a wrong reply for the strong model: the judge's comment, the grader's words, the form behind the reply.

A comment is data by users, like the reply itself: bounded here, redacted where it is shown (``induction.exhibit``), and
never a rule (``induction.lint``). Judges nothing.
"""

from collections.abc import Sequence

import msgspec

from gateway.domain import Feedback, Value

LONGEST = 500
"""Characters of a comment, and of a grader's words."""


class Remark(Value, frozen=True):
    """Words about a reply."""

    comment: str = ""
    """By a person or a client, through feedback."""
    check: str = ""
    """By the grader."""
    form: str = ""
    """The worksheet as the weak model filled it in."""

    @property
    def text(self) -> str:
        """The remark with a line for each author; empty without any words."""
        return "\n".join(
            f"{author}: {text}"
            for author, text in (("comment", self.comment), ("check", self.check), ("form", self.form))
            if text
        )


SILENCE = Remark()


def remark(*, comment: str = "", check: str = "", form: str = "") -> Remark:
    """Return a bounded remark, each author's words in one line."""
    if not (comment or check or form):
        return SILENCE
    return Remark(comment=_bounded(comment), check=_bounded(check), form=_bounded(form))


def comment_of(feedback: Feedback) -> str:
    """Return a client's comment; the comment of a shadow is the name of a model, in old records."""
    return (feedback.comment or "") if feedback.source != "shadow" else ""


def with_comment(counts: Feedback, others: Sequence[Feedback]) -> Feedback:
    """Return the feedback that counts with the newest comment on its exchange, if it has none of its own.

    A user says why a reply is wrong, and somebody else labels it later.
    """
    if counts.comment or counts.source == "shadow":
        return counts
    comments = [other for other in others if comment_of(other)]
    newest = max(comments, key=lambda other: other.created, default=None)
    return counts if newest is None else msgspec.structs.replace(counts, comment=newest.comment)


def _bounded(text: str) -> str:
    line = " ".join(text[: 4 * LONGEST].split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 4]} ..."
