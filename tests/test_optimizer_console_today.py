"""The first page: every task with its state in words."""

import pytest

from gateway.domain import Activation
from optimizer.console.today import ROWS, quality_of, state_of
from optimizer.monitoring.daybook import BookedDay, LabelledReplies
from optimizer.monitoring.rollout.status import RolloutStatus
from tests.consoles import CONFIG, console, signed_in


def entry(kind: str, version: int | None = 1, share: float = 1.0) -> Activation:
    """A decision."""
    return Activation(task="t", version=version, created=1.0, by="watch", kind=kind, share=share)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decisions", "status", "state"),
    [
        ([], None, "Learning"),
        ([entry("live")], None, "Live: v1"),
        ([entry("live"), entry("canary", 2, 0.25)], None, "Trial of v2, 25%"),
        ([entry("live", None)], None, "Learning"),
        ([entry("live")], RolloutStatus(looked=1.0, wrong=("harm: x",)), "Needs you"),
        ([], RolloutStatus(looked=1.0, waiting=("the trial waits for a person: x",)), "Needs you"),
    ],
)
def test_a_state_is_said_in_words(decisions: list[Activation], status: RolloutStatus | None, state: str) -> None:
    """Colour and shape only repeat it."""
    assert state_of(decisions, status)[0] == state


def test_quality_goes_by_the_audit_sample_where_it_is_large_enough() -> None:
    """Labels that clients chose to give stand in for a small one, and only the live version's count."""
    few = BookedDay(day=1, labels=(LabelledReplies(version=1, audited=5, audited_right=5, others=15, others_right=5),))
    many = BookedDay(day=2, labels=(LabelledReplies(version=1, audited=20, audited_right=10),))
    shared = quality_of([few], 1)
    assert shared is not None and (shared.n, shared.share) == (20, 0.5)
    audited = quality_of([few, many], 1)
    assert audited is not None and (audited.n, audited.share) == (25, 0.6)
    assert quality_of([few], 2) is None


async def test_the_page_says_what_happens() -> None:
    """Each task with numbers, and what needs a person on top."""
    async with console() as served:
        page = (await (await signed_in(served)).get("/ui")).text
    for words in ("4 tasks, 1 on trial, 1 needs you", "Live: v3", "Trial of v1, 25%", "+14 points", "no labels yet"):
        assert words in page
    assert page.index("invoice-fields") < page.index("ticket-desk")


async def test_many_tasks_come_in_pages_and_can_be_searched() -> None:
    """Only the shown tasks are read."""
    more = "".join(f'[tasks.extra-{n}]\nweak = "small"\nstrong = "large"\n' for n in range(120))
    async with console(text=CONFIG + more) as served:
        client = await signed_in(served)
        pages = [(await client.get(f"/ui?page={page}")).text for page in (1, 3, 99)]
        assert [page.count("data-row") for page in pages] == [ROWS, 24, 24]
        found = (await client.get("/ui?q=EXTRA-11")).text
        assert found.count("data-row") == 11 and "extra-119" in found
        assert "No task is called like this" in (await client.get("/ui?q=%3Cscript%3E")).text
        assert (await client.get("/ui?page=x")).status_code == 400
