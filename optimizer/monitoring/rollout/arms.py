"""Which exchanges are compared with which, and what counts as bad. Knows no store, no clock, and decides nothing.

An arm is compared whole: a request on trial that had no room for the rules counts on the trial's side too, because the
other side cannot say which of its requests would have had none.
"""

from collections.abc import Sequence
from typing import Literal

from gateway.domain import Activation, Arm, Source, Value
from gateway.rules.history import standing
from gateway.settings import Task
from gateway.store.base import Observed

Subject = Literal["trial", "holdback", "past", "strong"]
"""A rule set on trial against what is live; the live one against no rules, and against what was live before it; the
weak model against the strong one."""

PAST_S = 24 * 3600.0
"""Seconds after an activation in which what came before it says anything: in a day questions and load change."""


class Pairing(Value, frozen=True):
    """Two arms that are compared, one of which may do harm: the challenger."""

    subject: Subject
    version: int | None
    """The challenger's rule set."""
    began: float
    """Seconds since the epoch. Exchanges from then on count."""
    challenger: Arm
    incumbent: Arm | None
    """``None``: the past, which has ended."""
    before: int | None = None
    """The rule set of the past."""
    since: float = 0.0
    """Seconds since the epoch, when that one went live."""

    @property
    def name(self) -> str:
        """In words, for a reason."""
        return {
            "trial": "on trial, against those without the trial",
            "holdback": "with the live rules, against those held back from them",
            "past": "since the activation, against those before it",
            "strong": "of the weak model, against those of the strong one",
        }[self.subject]

    def side(self, one: Observed, weak: str) -> bool | None:
        """Whether an exchange, whenever it was, is the challenger's (``False``: the incumbent's); ``None`` for others.

        ``weak`` is the name of the weak model: what another model answered under that name's arm before the
        configuration changed is not compared.
        """
        if one.model != weak and one.arm != "strong":
            return None
        if one.arm == self.challenger and one.rules in (self.version, None):
            return True
        return False if one.arm == self.incumbent else None

    def precedes(self, one: Observed, weak: str) -> bool:
        """Whether an exchange is of the past that the challenger is compared with: what was live until then, also while
        it was on trial, and requests that had no room for it; nothing from before it."""
        if one.model != weak or not self.began - 7 * PAST_S <= one.created < self.began:
            return False
        if one.arm == "canary":
            return self.before is not None and one.rules == self.before
        return one.arm == "weak" and one.created >= self.since and one.rules in (self.before, None)

    def bad(self, one: Observed) -> bool | None:
        """Whether a reply failed as far as anybody knows; ``None`` where that cannot be compared.

        Bad is an error, a reply that is known to be wrong, and one with signs of failure. Without any of these a reply
        counts as good, whether or not somebody said so. A client that hung up says nothing.

        - Against the past only signs of failure count: an upstream that is down is no fault of the rules, and people
          may have begun to give feedback.
        - Against the strong model the comparison with the strong model does not count: nobody checks that one so.
        """
        if one.status == "abandoned":
            return None
        if self.subject == "past" and (one.status == "error" or _labelled(one)):
            return None
        if self.subject == "strong" and one.source == "shadow":
            return None
        return one.status == "error" or one.correct is False

    def wrong(self, one: Observed) -> bool | None:
        """Whether somebody, or the comparison with the other model, found a reply wrong; ``None`` without a label."""
        if not _labelled(one) or (self.subject == "strong" and one.source == "shadow"):
            return None
        return not one.correct


def pairings(history: Sequence[Activation], section: Task) -> list[Pairing]:
    """What is to be compared now, by a task's history and configuration."""
    if section.serve in ("strong", "shadow"):
        return []
    now, found = standing(history), []
    if now.canary is not None:
        began = trial_began(history)
        found.append(
            Pairing(subject="trial", version=now.canary.version, began=began, challenger="canary", incumbent="weak")
        )
    live = now.live
    if live is not None and live.version is not None:
        both = {"version": live.version, "began": live.created, "challenger": "weak"}
        found.append(Pairing(subject="holdback", incumbent="holdback", **both))  # type: ignore[arg-type]
        before, since = live_before(history)
        found.append(Pairing(subject="past", incumbent=None, before=before, since=since, **both))  # type: ignore[arg-type]
    if section.serve == "canary":
        version = live.version if live is not None else None
        since = max(share_began(history), live.created if live is not None else 0.0)
        found.append(Pairing(subject="strong", version=version, began=since, challenger="weak", incumbent="strong"))
    return found


def trial_began(history: Sequence[Activation]) -> float:
    """When the trial under way got its first conversations."""
    began, version = 0.0, None
    for entry in history:
        if entry.kind == "live" or (entry.kind == "canary" and entry.share == 0):
            version = None
        elif entry.kind == "canary" and entry.version != version:
            began, version = entry.created, entry.version
    return began


def share_began(history: Sequence[Activation]) -> float:
    """When the weak model last got a share after it had none; 0.0 if it always had one."""
    began, share = 0.0, 1.0
    for entry in history:
        if entry.kind == "share":
            began = entry.created if share == 0 else began
            share = entry.share
    return began


def live_before(history: Sequence[Activation]) -> tuple[int | None, float]:
    """The version that was live before the present one, ``None`` for no rules, and since when (seconds, epoch)."""
    lives = [entry for entry in history if entry.kind == "live"]
    return (lives[-2].version, lives[-2].created) if len(lives) > 1 else (None, 0.0)


TRUSTED: tuple[Source, ...] = ("client", "shadow")
"""Whose word on a reply is a label; the absence of signs of failure is none."""


def _labelled(one: Observed) -> bool:
    return one.status != "abandoned" and one.source in TRUSTED and one.correct is not None
