"""The way of a verified rule set to callers, the comparison in the background, and the audit sample."""

from typing import Annotated, Literal

from msgspec import Meta

from gateway.settings.base import Count, Positive, Section, doc

Share = Annotated[float, Meta(ge=0, le=1)]


class Rollout(Section, frozen=True):
    """The way of a rule set that passed the gate to callers, and its roll-back.

    Conversations, not requests, are divided: each stays with the version it began with.
    """

    policy: Annotated[
        Literal["canary", "at_once", "manual"],
        doc(
            "`canary`: the rule set gets a growing share of the conversations and goes live if nothing speaks against"
            " it. `at_once`: it goes live. `manual`: it waits for `preceptor rules activate`."
        ),
    ] = "canary"
    steps: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=1)], ...],
        Meta(min_length=1),
        doc("The shares, each larger than the last; 1 means live."),
    ] = (0.05, 0.25, 1.0)
    step_exchanges: Annotated[Count, doc("Exchanges on trial before a step may end.")] = 20
    step_minutes: Annotated[Positive, doc("Shortest duration of a step, in minutes.")] = 10.0
    harm: Annotated[
        Annotated[float, Meta(gt=0, le=1)],
        doc(
            "The harm that must not go unnoticed: a loss of right replies, as a share. The last step of a trial lasts"
            " until such a loss is ruled out; 1: nothing need be ruled out."
        ),
    ] = 0.05
    trial_days: Annotated[
        Positive,
        doc(
            "Longest duration of the last step, in days. Then the rule set goes live if nothing speaks against it, and"
            " the decision says which harm could be ruled out."
        ),
    ] = 14.0
    pairs: Annotated[
        bool,
        doc(
            "Let both versions of a comparison answer labelled requests again, in the background and within"
            " `shadow.calls_per_day`: harm is seen several times sooner than by comparing conversations."
        ),
    ] = True
    holdback: Annotated[
        Share,
        doc("Share of the conversations that never get rules, to keep measuring the effect of rules; 0 for none."),
    ] = 0.02
    holdback_first: Annotated[
        Share,
        doc("The same share at first, for `holdback_days` after a trial ended with a new live version."),
    ] = 0.1
    holdback_days: Annotated[Positive, doc("Duration of the first hold-back, in days.")] = 14.0
    agreement: Annotated[
        Share,
        doc('Under `serve = "canary"`: least agreement of the weak model with the strong one before its share grows.'),
    ] = 0.9
    alpha: Annotated[
        float,
        Meta(gt=0, lt=1),
        doc("Chance of a false roll-back: a harmless rule set is taken off the air, over any length of watching."),
    ] = 0.01
    slowdown: Annotated[
        Annotated[float, Meta(ge=1)],
        doc(
            "Largest factor by which a rule set may be slower, or use more tokens, than in its verification; beyond"
            " it the rule set counts as harmful."
        ),
    ] = 3.0
    rollback: Annotated[bool, doc("Take a harmful rule set off the air automatically; else only report it.")] = True


class Shadow(Section, frozen=True):
    """Sends requests to the task's other model as well, in the background, for comparison. No caller waits for it."""

    share: Annotated[
        Share | None, doc('Share of the requests; default: 0.1 under `serve = "shadow"` and `"canary"`, otherwise 0.')
    ] = None
    calls_per_day: Annotated[Count, doc("Largest number of such calls in 24 hours.")] = 1000


class Audit(Section, frozen=True):
    """Requests drawn at random when they are recorded, before their outcome is known. Only they measure: they select
    and confirm rule sets and watch them. Feedback on other requests only teaches."""

    share: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        doc("Share of the requests; default: a rate between 0.02 and 1 that aims at about 250 requests per cycle."),
    ] = None
