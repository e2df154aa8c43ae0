"""What is remembered is continued while it is about the same thing, and forgotten with it."""

from gateway.store.memory import MemoryStore
from optimizer.monitoring.rollout.state import STATE, RolloutState
from tests.rollouts import START, entry, observed, section

TRIAL = [entry("canary", 1, START, share=0.05)]
ROWS = [observed(at, START + at, *(("canary", 1) if at % 2 else ("weak", None))) for at in range(20)]


def after(memory: RolloutState, history: list, now: float = START + 100, rows: list = ROWS) -> RolloutState:  # type: ignore[type-arg]
    return memory.after(section(), history, lambda version: None, rows, full=False, now=now)


def test_a_step_counts_the_exchanges_that_had_the_rules_since_it_began() -> None:
    """The comparison goes on through the steps of a trial; what a new step waits for begins anew."""
    first = after(RolloutState(), TRIAL)
    assert (first.steps["trial"].exchanges, first.comparisons[0].challenger.seen) == (10, 10)
    grown = [*TRIAL, entry("canary", 1, START + 15, share=0.25)]
    second = after(first, grown)
    assert (second.steps["trial"].exchanges, second.comparisons[0].challenger.seen) == (0, 10)
    fresh = after(RolloutState(), grown)
    assert (fresh.steps["trial"].exchanges, fresh.comparisons[0].challenger.seen) == (3, 10)


def test_exchanges_that_got_no_rules_bring_no_step_nearer() -> None:
    """A trial while injection is off, or without room for the rules, tries nothing."""
    bare = [observed(at, START + at, "canary", None) for at in range(20)]
    memory = after(RolloutState(), TRIAL, rows=bare)
    assert (memory.steps["trial"].exchanges, memory.comparisons[0].challenger.seen) == (0, 20)


def test_the_same_version_on_trial_again_is_another_trial() -> None:
    """Harm that was found in the first one does not end the second."""
    first = after(RolloutState(), TRIAL)
    again = [*TRIAL, entry("canary", 1, START + 50, share=0.0), entry("canary", 1, START + 60, share=0.05)]
    assert after(first, again).comparisons[0].challenger.seen == 0


def test_what_is_over_is_forgotten() -> None:
    """With the trial its comparison, its step and its evidence go."""
    over = after(after(RolloutState(), TRIAL), [*TRIAL, entry("canary", 1, START + 50, share=0.0)])
    assert (over.comparisons, dict(over.steps)) == ((), {})


def test_a_note_that_cannot_be_read_is_a_beginning() -> None:
    """As none is."""
    store = MemoryStore()
    store.put_note("watch/a", b"{")
    store.put_note("watch/b", b'{"comparisons": 3}')
    assert STATE.read(store, "a") is STATE.read(store, "b") is STATE.read(store, "c") is None
