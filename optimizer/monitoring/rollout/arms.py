"""The arms of a task in pairs, and the meaning of a bad reply. Knows no store and no clock, and decides nothing.

An arm is compared whole: a trial's requests without space for the rules count on the trial's side too, because the
other side cannot name its own such requests.
"""

from collections.abc import Sequence
from typing import Literal

from gateway.domain import Activation, Arm, Source, Value
from gateway.settings import Task
from gateway.store.base import Observed
from gateway.store.history import ActiveDecisions, active_decisions

Subject = Literal["trial", "holdback", "past", "strong"]
"""The kinds of comparison: a rule set on trial against the live rule set; the live rule set against no rules, and
against the version before it; the weak model against the strong model."""

AT_RANDOM: tuple[Source, ...] = ("label", "shadow")
"""Sources of labels that are asked for whatever the outcome is."""
PAST_S = 24 * 3600.0
"""Seconds after an activation within which the past is comparable: later, questions and load have changed."""


def measures(exchange: Observed, source: Source | None) -> bool:
    """Decide whether a label measures a rate: the queue also asks about replies chosen because two versions differ."""
    return source in AT_RANDOM and (source != "label" or exchange.audit_rate > 0)


class Pairing(Value, frozen=True):
    """Two arms in comparison; the challenger may do harm."""

    subject: Subject
    version: int | None
    """The version of the challenger."""
    began: float
    """Seconds since the epoch. Exchanges from then on count."""
    challenger: Arm
    incumbent: Arm | None
    """``None``: the past."""
    against: int | None = None
    """The version of the incumbent; ``None`` for no rules."""
    before: int | None = None
    """The version of the past."""
    since: float = 0.0
    """Seconds since the epoch, when the version of the past went live."""

    @property
    def name(self) -> str:
        """The pair in words."""
        return {
            "trial": "on trial, against those without the trial",
            "holdback": "with the live rules, against those held back from them",
            "past": "since the activation, against those before it",
            "strong": "of the weak model, against those of the strong one",
        }[self.subject]

    def side(self, exchange: Observed, weak: str) -> bool | None:
        """Return true for an exchange of the challenger, false for the incumbent, ``None`` for others; at any time.

        ``weak`` is the name of the weak model: replies by another model, from before the configuration changed, are not
        compared.
        """
        if exchange.model != weak and exchange.arm != "strong":
            return None
        if exchange.arm == self.challenger and exchange.rules in (self.version, None):
            return True
        return False if exchange.arm == self.incumbent else None

    def precedes(self, exchange: Observed, weak: str) -> bool:
        """Decide whether an exchange belongs to the past: the then live version, also while on trial, and requests
        without space for it.

        Nothing from before that version counts.
        """
        if exchange.model != weak or not self.began - 7 * PAST_S <= exchange.created < self.began:
            return False
        if exchange.arm == "canary":
            return self.before is not None and exchange.rules == self.before
        return exchange.arm == "weak" and exchange.created >= self.since and exchange.rules in (self.before, None)

    def bad(self, exchange: Observed) -> bool | None:
        """Return true for a failed reply, false for others, ``None`` where no comparison is possible.

        Bad is an error, or a reply with signs of failure: these are looked for in every reply. Labels are given by
        choice and count elsewhere. A client that hung up shows nothing. Against the past errors do not count: rules are
        not to blame for them.
        """
        if exchange.status == "abandoned" or (self.subject == "past" and exchange.status == "error"):
            return None
        return exchange.status == "error" or exchange.signals != ""

    def wrong(self, exchange: Observed) -> bool | None:
        """Return true for a reply labelled wrong, false for right, ``None`` without a label that was asked for.

        A client's own label is chosen by the outcome. Against the strong model its own verdicts do not count either.
        """
        if exchange.status == "abandoned" or exchange.correct is None or not measures(exchange, exchange.source):
            return None
        if self.subject == "strong" and exchange.source == "shadow":
            return None
        return not exchange.correct


def pairings(history: Sequence[Activation], section: Task) -> list[Pairing]:
    """Return the present comparisons of a task, by its history and configuration."""
    if section.serve in ("strong", "shadow"):
        return []
    now, pairs = active_decisions(history), []
    if now.canary is not None:
        began = trial_began(history)
        pairs.append(
            Pairing(
                subject="trial", version=now.canary.version, began=began, challenger="canary", incumbent="weak",
                against=now.live.version if now.live is not None else None,
            )
        )  # fmt: skip
    live = now.live
    if live is not None and live.version is not None:
        both = {"version": live.version, "began": live.created, "challenger": "weak"}
        pairs.append(Pairing(subject="holdback", incumbent="holdback", **both))  # type: ignore[arg-type]
        before, since = live_before(history)
        pairs.append(Pairing(subject="past", incumbent=None, before=before, since=since, **both))  # type: ignore[arg-type]
    if section.serve == "canary":
        version = live.version if live is not None else None
        since = max(share_began(history), live.created if live is not None else 0.0)
        pairs.append(Pairing(subject="strong", version=version, began=since, challenger="weak", incumbent="strong"))
    return pairs


def challenger_share(pairing: Pairing, section: Task, now: ActiveDecisions) -> float:
    """Return the challenger's share (0..1) of the conversations of both arms; 0.0 where none are shared out."""
    trial, held = now.canary.share if now.canary is not None else 0.0, holdback_share(section, now)
    if pairing.subject == "trial":
        return trial
    if pairing.subject == "holdback":
        taught = (1 - held) * (1 - trial)
        return taught / (taught + held) if held else 0.0
    if pairing.subject == "strong":
        weak = weak_share(section, now)
        taught = weak * (1 - held) * (1 - trial)
        return taught / (taught + 1 - weak) if weak < 1 else 0.0
    return 0.0


def weak_share(section: Task, now: ActiveDecisions) -> float:
    """Return the weak model's share of the conversations."""
    if section.serve == "canary":
        return now.share.share if now.share is not None else section.rollout.steps[0]
    return 1.0 if section.serve == "weak" else 0.0


def holdback_share(section: Task, now: ActiveDecisions) -> float:
    """Return the share of the weak model's conversations without rules."""
    if now.live is None or now.live.version is None:
        return 0.0
    return now.holdback.share if now.holdback is not None else section.rollout.holdback


def trial_began(history: Sequence[Activation]) -> float:
    """Return the time of the present trial's first conversations."""
    began, version = 0.0, None
    for entry in history:
        if entry.kind == "live" or (entry.kind == "canary" and entry.share == 0):
            version = None
        elif entry.kind == "canary" and entry.version != version:
            began, version = entry.created, entry.version
    return began


def share_began(history: Sequence[Activation]) -> float:
    """Return the time of the weak model's last share after none; 0.0 if it always had a share."""
    began, share = 0.0, 1.0
    for entry in history:
        if entry.kind == "share":
            began = entry.created if share == 0 else began
            share = entry.share
    return began


def live_before(history: Sequence[Activation]) -> tuple[int | None, float]:
    """Return the version before the present live version (``None``: no rules), and its time (seconds, epoch)."""
    lives = [entry for entry in history if entry.kind == "live"]
    return (lives[-2].version, lives[-2].created) if len(lives) > 1 else (None, 0.0)
