"""What is remembered is continued while it is about the same thing, and forgotten with it."""

from gateway.store.memory import MemoryStore
from optimizer.monitoring.rollout.state import STATE, RolloutState
from tests.rollouts import START, entry, looking, observed, pair, section

TRIAL = [entry("canary", 1, START, share=0.05)]
ROWS = [observed(at, START + at, *(("canary", 1) if at % 2 else ("weak", None))) for at in range(20)]


def after(before: RolloutState, history: list, now: float = START + 100, rows: list = ROWS) -> RolloutState:  # type: ignore[type-arg]
    return before.after(section(), history, lambda version: None, looking(rows, now))


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
    state = after(RolloutState(), TRIAL, rows=bare)
    assert (state.steps["trial"].exchanges, state.comparisons[0].challenger.seen) == (0, 20)


def test_the_same_version_on_trial_again_is_another_trial() -> None:
    """Harm that was found in the first one does not end the second."""
    first = after(RolloutState(), TRIAL)
    again = [*TRIAL, entry("canary", 1, START + 50, share=0.0), entry("canary", 1, START + 60, share=0.05)]
    assert after(first, again).comparisons[0].challenger.seen == 0


def test_what_is_over_is_forgotten() -> None:
    """With the trial its comparison, its step and its evidence go."""
    over = after(after(RolloutState(), TRIAL), [*TRIAL, entry("canary", 1, START + 50, share=0.0)])
    assert (over.comparisons, dict(over.steps)) == ((), {})


def test_pairs_are_taken_once() -> None:
    """The last number is remembered, whatever became of the comparison."""
    look = looking(ROWS, pairs=[pair(3, 1, version=1, against=None), pair(4, 0, version=9)])
    state = RolloutState().after(section(), TRIAL, lambda version: None, look)
    assert (state.paired, state.comparisons[0].paired.n) == (4, 1)
    assert state.after(section(), TRIAL, lambda version: None, looking(ROWS)).paired == 4


def test_a_note_that_cannot_be_read_is_a_beginning() -> None:
    """As none is."""
    store = MemoryStore()
    store.put_note("watch/a", b"{")
    store.put_note("watch/b", b'{"comparisons": 3}')
    assert STATE.read(store, "a") is STATE.read(store, "b") is STATE.read(store, "c") is None
