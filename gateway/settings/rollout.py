"""How a verified rule set reaches callers, and how two models are compared behind their backs."""

from typing import Annotated, Literal

from msgspec import Meta

from gateway.settings.base import Count, Positive, Section, doc

Share = Annotated[float, Meta(ge=0, le=1)]


class Rollout(Section, frozen=True):
    """How a rule set that passed the gate goes live, and what takes it off the air again.

    Conversations, not requests, are shared out: each stays with what it began with.
    """

    policy: Annotated[
        Literal["canary", "at_once", "manual"],
        doc(
            "`canary`: it gets a growing share of the conversations and goes live if nothing speaks against it."
            " `at_once`: it goes live. `manual`: it waits for `preceptor rules activate`."
        ),
    ] = "canary"
    steps: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=1)], ...],
        Meta(min_length=1),
        doc("The shares, each larger than the last; 1 means live."),
    ] = (0.05, 0.25, 1.0)
    step_exchanges: Annotated[Count, doc("Exchanges on trial that a step waits for.")] = 20
    step_minutes: Annotated[Positive, doc("Minutes that a step lasts at least.")] = 10.0
    holdback: Annotated[
        Share,
        doc("Share of the conversations that never get rules, so that what rules bring stays measured; 0 for none."),
    ] = 0.02
    agreement: Annotated[
        Share,
        doc(
            'Under `serve = "canary"`: how often the weak model must at least agree with the strong one before its'
            " share grows."
        ),
    ] = 0.9
    alpha: Annotated[
        float,
        Meta(gt=0, lt=1),
        doc("Chance that a rule set which does no harm is taken off the air, however long it is watched."),
    ] = 0.01
    slowdown: Annotated[
        Annotated[float, Meta(ge=1)],
        doc(
            "How many times slower, or dearer in tokens, than its verification said a rule set may be; beyond that it"
            " does harm."
        ),
    ] = 3.0
    rollback: Annotated[bool, doc("Take a rule set off the air by itself when it does harm; else only say so.")] = True


class Shadow(Section, frozen=True):
    """The same request asked of the task's other model, in the background, for comparison. Nobody waits for it."""

    share: Annotated[
        Share | None, doc('Share of the requests; default: 0.1 under `serve = "shadow"` and `"canary"`, otherwise 0.')
    ] = None
    calls_per_day: Annotated[Count, doc("At most so many in 24 hours.")] = 1000


class Audit(Section, frozen=True):
    """Requests drawn at random when they are recorded, before their outcome is known. Only they measure: they select
    and confirm rule sets and watch them. Feedback on other requests only teaches."""

    share: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        doc("Share of the requests; default: a rate between 0.02 and 1 that aims at about 250 requests per cycle."),
    ] = None
