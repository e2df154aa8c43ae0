"""Decisions on roll-outs: never without cause, never more than a step, always one row; and what they cost callers."""

import itertools
import math
import statistics
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain import Activation, Arm, RuleSet
from gateway.settings import Rollout
from gateway.store.history import active_decisions
from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.comparison import ArmCounts, Comparison, PairCounts
from optimizer.monitoring.rollout.decide import BY, PAUSE_S, Step, decide
from optimizer.monitoring.rollout.evidence import Stream, UnitOutcome
from optimizer.monitoring.rollout.labels import ModelAgreement
from optimizer.monitoring.rollout.power import DAY_S
from tests.rollouts import START, Chance, Known, Town, entry, section

TRIAL = [entry("canary", 1, share=0.05)]
SERVES = st.sampled_from(["weak", "strong", "shadow", "canary"])
NONE = ModelAgreement()
BAD = "icI" * 5 + "iC" * 60
"""Outcomes of a challenger that fails where the incumbent does not: c, i, in capitals where it was bad."""


def stream(outcomes: str) -> Stream:
    """Each of a conversation of its own, half of them the challenger's."""
    numbered = enumerate(outcomes)
    units = [UnitOutcome(f"u{at}", float(letter.isupper()), START, letter in "cC") for at, letter in numbered]
    return Stream().after(units, START)


def of_trial(outcomes: str = "", version: int = 1) -> Comparison:
    pairing = Pairing(subject="trial", version=version, began=START, challenger="canary", incumbent="weak")
    return Comparison(pairing=pairing, began=START, bad=stream(outcomes), challenger=ArmCounts(seen=60, bad=60))


def of_live(outcomes: str, version: int = 2) -> Comparison:
    pairing = Pairing(subject="holdback", version=version, began=START, challenger="weak", incumbent="holdback")
    return Comparison(pairing=pairing, began=START, bad=stream(outcomes))


def of_strong(outcomes: str) -> Comparison:
    pairing = Pairing(subject="strong", version=None, began=START, challenger="weak", incumbent="strong")
    return Comparison(pairing=pairing, began=START, bad=stream(outcomes))


def waited(exchanges: int = 10**6, watched_s: float = 1e9) -> Step:
    return Step(of="", began=START, looked=START, exchanges=exchanges, watched_s=watched_s)


def decided(
    history: Sequence[Activation], *comparisons: Comparison, serve: str = "weak", step: Step | None = None,
    agreement: ModelAgreement = NONE, **rollout: object,
) -> Activation | None:  # fmt: skip
    steps = {"trial": step, "strong": step} if step is not None else {}
    task = section(serve, **rollout)
    return decide("t", task, history, comparisons, steps, agreement, START + 1).decision  # type: ignore[arg-type]


@given(
    serve=SERVES,
    steps=st.lists(st.floats(0.01, 1), min_size=1, max_size=4, unique=True).map(sorted).map(tuple),
    share=st.floats(0.001, 1),
    exchanges=st.integers(0, 100),
    watched_s=st.floats(0, 2000),
)
def test_a_share_grows_by_one_step_at_a_time_and_only_when_its_step_is_over(
    serve: str, steps: tuple[float, ...], share: float, exchanges: int, watched_s: float
) -> None:
    """Whatever the steps are, and whatever share a person gave."""
    history = [entry("canary", 1, share=share), entry("share", None, share=share)]
    agreement = ModelAgreement(agreed=10_000)
    step = waited(exchanges, watched_s)
    found = decided(history, of_trial(), of_strong(""), serve=serve, step=step, agreement=agreement, steps=steps)
    if found is None:
        assert exchanges < 20 or watched_s < 600
    elif serve in ("weak", "canary"):
        assert exchanges >= 20 and watched_s >= 600
        assert found.share == next((larger for larger in steps if larger > share), 1.0)
        assert (found.kind == "live") == (found.share == 1)
    if serve in ("strong", "shadow"):
        assert found is not None and found.kind == "live", "nobody receives the trial, so it would never end"


@given(SERVES, st.sampled_from(["manual", "at_once"]), st.sampled_from(["", "ic" * 40, BAD]))
def test_only_the_policy_canary_makes_anything_grow(serve: str, policy: str, outcomes: str) -> None:
    """Under the others a person decides; harm ends a trial all the same."""
    history = [*TRIAL, entry("share", None, share=0.05)]
    found = decided(
        history, of_trial(outcomes), of_strong(""), serve=serve, step=waited(), agreement=ModelAgreement(agreed=9999),
        policy=policy,
    )  # fmt: skip
    assert found is None or (outcomes == BAD and found.share == 0)


@pytest.mark.parametrize("policy", ["manual", "at_once", "canary"])
@pytest.mark.parametrize("step", [None, waited(0, 0), waited()])
def test_harm_at_any_time_ends_the_trial_under_every_policy(policy: str, step: Step | None) -> None:
    """With the numbers in the reason."""
    found = decided(TRIAL, of_trial(BAD), step=step, policy=policy)
    assert found is not None and (found.kind, found.version, found.share, found.by) == ("canary", 1, 0.0, BY)
    assert "bad replies on trial" in found.why and "e-value" in found.why


def test_without_rollback_harm_is_said_and_nothing_grows() -> None:
    """A person is asked to decide, and nothing is made worse meanwhile."""
    course = decide(
        "t", section(rollback=False), TRIAL, [of_trial(BAD)], {"trial": waited()}, ModelAgreement(), START
    )  # fmt: skip
    assert course.decision is None and course.harm[0].subject == "trial"
    assert "doubt" in course.waiting[0]


def test_something_that_leans_towards_harm_holds_the_share() -> None:
    """Long before it is proven."""
    leaning = "iiiic" * 12 + "iC" * 6
    assert decided(TRIAL, of_trial("iiiic" * 15), step=waited()) is not None
    assert decided(TRIAL, of_trial(leaning), step=waited()) is None


def test_a_held_trial_grows_no_more_until_it_may_and_harm_ends_it_all_the_same() -> None:
    """A person keeps the share, not the watch away."""
    held = [*TRIAL, entry("hold", 1)]
    assert decided(held, of_trial(), step=waited()) is None
    assert decided([*held, entry("hold", 1, share=0.0)], of_trial(), step=waited()) is not None
    harm = decided(held, of_trial(BAD), step=waited())
    assert harm is not None and (harm.kind, harm.share) == ("canary", 0.0)


def test_a_harmful_live_version_gives_way_to_what_was_live_before() -> None:
    """Further back each time; evidence about another version than the live one decides nothing."""
    history = [entry("live", 1), entry("live", 2)]
    found = decided(history, of_live(BAD))
    assert found is not None and (found.kind, found.version, found.by) == ("live", 1, BY)
    again = decided([*history, found], of_live(BAD, version=1))
    assert again is not None and again.version is None
    assert decided([*history, found], of_live(BAD, version=2)) is None
    assert decided([*history, found, again], of_live(BAD, version=1)) is None


def paired(count: int, *, signs: str = "") -> Comparison:
    """A trial with so many pairs of answers, in which nothing leans anywhere."""
    pairs = Stream().after(
        [UnitOutcome(f"u{at}", float((at % 20 == 0) - (at % 20 == 10)), START) for at in range(count)], START
    )  # fmt: skip
    return msgspec.structs.replace(of_trial(signs), pairs=pairs, paired=PairCounts(n=count))


def test_a_trial_goes_live_only_when_the_harm_that_must_not_go_unnoticed_is_ruled_out() -> None:
    """Earlier steps are for what is plain to see. The reason says what would have been seen by now."""
    last = [entry("canary", 1, share=0.25)]
    assert decided(last, paired(40), step=waited(), harm=0.05) is None
    found = decided(last, paired(900), step=waited(), harm=0.05)
    assert found is not None and found.kind == "live" and "would have been seen by now, in 900 pairs" in found.why
    assert decided(TRIAL, paired(0), step=waited(), harm=0.05) is not None, "the first step grows"
    open_ = decide("t", section(harm=0.05), last, [paired(40)], {"trial": waited()}, NONE, START + 1)
    assert "waits for evidence, or" in open_.waiting[0] and open_.power is not None


def test_a_trial_does_not_last_for_ever() -> None:
    """After a fortnight it goes live, and the reason says what could not be ruled out."""
    last = [entry("canary", 1, share=0.25)]
    weeks = msgspec.structs.replace(waited(), lasted_s=14.1 * DAY_S)
    found = decided(last, paired(40), step=weeks, harm=0.05)
    assert found is not None and found.kind == "live" and "in 40 pairs of answers" in found.why


def test_signs_of_failure_alone_take_a_day_to_be_enough() -> None:
    """Labels may come late; who gets none goes by the signs."""
    last, signs = [entry("canary", 1, share=0.25)], of_trial("icic" * 400)
    signs = msgspec.structs.replace(signs, challenger=ArmCounts(seen=800), incumbent=ArmCounts(seen=800))
    assert decided(last, signs, step=waited(), harm=0.05) is None
    found = decided(last, signs, step=msgspec.structs.replace(waited(), lasted_s=1.1 * DAY_S), harm=0.05)
    assert found is not None and found.kind == "live" and "by signs of failure alone" in found.why


def test_a_version_that_was_taken_off_does_not_come_back_by_itself() -> None:
    """Neither after its trial nor after its life."""
    ended = [*TRIAL, entry("canary", 1, share=0.0, by=BY)]
    assert decided(ended, step=waited()) is None
    assert decided([entry("live", 1), entry("live", None, by=BY)], step=waited()) is None


def test_the_weak_model_gets_more_only_where_it_is_sure_to_agree() -> None:
    """The bound counts, not the rate."""
    history = [entry("share", None, share=0.05)]
    sure, unsure = ModelAgreement(agreed=500, differed=10), ModelAgreement(agreed=30)
    found = decided(history, of_strong(""), serve="canary", step=waited(), agreement=sure)
    assert found is not None and (found.kind, found.share) == ("share", 0.25)
    assert decided(history, of_strong(""), serve="canary", step=waited(), agreement=unsure) is None
    begun = decided([], of_strong(""), serve="canary", step=waited(), agreement=sure)
    assert begun is not None and begun.share == 0.25, "nobody decided: it has the first step"


def test_a_harmful_weak_model_loses_its_share_until_there_is_something_new() -> None:
    """A person, or rules that were never live; going back to older rules is nothing new."""
    history = [entry("live", 1), entry("share", None, share=0.25)]
    found = decided(history, of_strong(BAD), serve="canary")
    assert found is not None and (found.kind, found.share) == ("share", 0.0)
    history = [*history, found]
    assert decided(history, of_strong(BAD), serve="canary", step=waited()) is None
    assert decided([*history, entry("live", 1)], serve="canary", step=waited()) is None
    fresh = decided([*history, entry("live", 2)], serve="canary", step=waited())
    assert fresh is not None and (fresh.kind, fresh.share) == ("share", 0.05)
    by_person = [*history[:-1], entry("share", None, share=0.0, by="person"), entry("live", 2)]
    assert decided(by_person, serve="canary", step=waited()) is None


@given(st.lists(st.floats(-1e9, 1e9, allow_nan=False), max_size=40))
def test_a_clock_that_jumps_brings_no_step_nearer_than_its_looks(times: list[float]) -> None:
    """A look is worth a quarter of a step at most, and nothing where the clock went back."""
    step, rollout = Step(of="", began=START, looked=START), Rollout()
    for at, now in enumerate(times, 1):
        after = step.after(0, rollout, START + now)
        assert step.watched_s <= after.watched_s <= at * 150
        assert after.lasted_s <= step.lasted_s + PAUSE_S
        assert now >= step.looked - START or after.watched_s == step.watched_s
        step = after


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 2**32), st.floats(0, 0.4))
def test_a_kill_at_any_moment_leaves_a_history_that_makes_sense(kills: list[int], seed: int, harm: float) -> None:
    """Each decision is one row: on trial with a share, live, or over; a share never shrinks but to nothing."""
    town = Town(section(step_minutes=0.5, step_exchanges=5), TRIAL, worse(0.05, harm), seed=seed)
    for look in range(41):
        town.traffic(5.0)
        town.look()
        if look in kills:
            town.kill()
    shares = [one.share for one in town.history if one.kind == "canary" or one.version == 1]
    grown = list(itertools.takewhile(lambda share: share > 0, shares))
    assert grown == [0.05, 0.25, 1.0][: len(grown)]
    assert all(share == 0 for share in shares[len(grown) :])
    assert len([one for one in town.history if one.by == BY and one.kind == "live"]) <= 2


def worse(base: float, harm: float) -> Chance:
    """Rules that break so many answers more."""
    return lambda arm, rules, at: base + (harm if rules == 1 else 0.0)


def runs(few: int, many: int) -> pytest.MarkDecorator:
    """A simulation with a few seeds, and as a drill with many."""
    return pytest.mark.parametrize("seeds", [few, pytest.param(many, marks=pytest.mark.drill)])


def quantile(numbers: Sequence[float], share: float) -> float:
    return sorted(numbers)[math.ceil(share * len(numbers)) - 1]


@runs(3, 40)
def test_harmless_rules_go_live_and_stay_there(seeds: int) -> None:
    """Roll-outs of half an hour, 3,600 exchanges each, at alpha 5%: no more than 5% false roll-backs."""
    ends = []
    for seed in range(seeds):
        town = Town(section(alpha=0.05), TRIAL, worse(0.1, 0.0), seed=seed, per_second=2.0, look_s=150.0)
        town.live_through(1800)
        ends.append(any(one.by == BY and (one.share == 0 or one.version is None) for one in town.history))
    assert sum(ends) <= 0.05 * len(ends)


@runs(4, 30)
def test_a_trial_that_breaks_a_fifth_of_the_answers_harms_a_dozen_requests(seeds: int) -> None:
    """Trials at alpha 1%: all end, none goes live, at most 15 harmed requests in half of them, 30 in 95%."""
    harmed = []
    for seed in range(seeds):
        town = Town(section(), TRIAL, worse(0.05, 0.2), seed=seed, look_s=10.0)
        assert town.until(lambda t=town: active_decisions(t.history).canary is None, at_most_s=3600)  # type: ignore[misc]
        assert [one.kind for one in town.history if one.kind == "live"] == []
        harmed.append(town.harmed)
    assert statistics.median(harmed) <= 15 and quantile(harmed, 0.95) <= 30


@runs(5, 40)
@pytest.mark.parametrize("known", ["signs", "shadow"])
def test_a_hand_that_activates_what_breaks_a_fifth_of_the_answers_is_corrected(known: Known, seeds: int) -> None:
    """Activations at 100%, found by signs of failure or by pairs: at most 30 harmed in half of them, 50 in 95%."""
    harmed = []
    for seed in range(seeds):
        town = Town(section(), [], worse(0.05, 0.2), seed=seed, known=known, pairs=known == "shadow")
        town.traffic(400)
        town.history.append(entry("live", 1, town.now, by="person"))
        assert town.until(lambda t=town: active_decisions(t.history).live.version is None, at_most_s=1800)  # type: ignore[misc,union-attr]
        harmed.append(town.harmed)
    assert statistics.median(harmed) <= 30 and quantile(harmed, 0.95) <= 50


def test_rules_that_cost_ten_times_the_tokens_are_taken_off() -> None:
    """Though every reply is good."""
    arms: dict[Arm, float] = {"canary": 200.0}
    town = Town(
        section(), TRIAL, worse(0.02, 0.0), seed=1, tokens=lambda arm, rules: arms.get(arm, 20.0),
        lookup=lambda version: RuleSet(task="t", version=1) if version == 1 else None,
    )  # fmt: skip
    assert town.until(lambda: active_decisions(town.history).canary is None, at_most_s=3600)
    assert "times the tokens" in town.history[-1].why


def test_a_weak_model_that_agrees_takes_over_step_by_step_and_one_that_fails_loses_its_share() -> None:
    """Under ``canary``, by shadows alone."""
    rollout = {"step_minutes": 1.0, "agreement": 0.8}
    good = Town(
        section("canary", **rollout), [], lambda arm, rules, at: 0.05, seed=2, per_second=4.0, agrees=0.98, look_s=15.0
    )
    good.live_through(1200)
    assert [one.share for one in good.history if one.kind == "share"] == [0.25, 1.0]
    poor = Town(
        section("canary", **rollout), [], lambda arm, rules, at: 0.4 if arm == "weak" else 0.05, seed=2,
        per_second=4.0, look_s=15.0,
    )  # fmt: skip
    poor.live_through(600)
    assert [one.share for one in poor.history] == [0.0]
