"""Collecting mistakes: recorded ones first, then only as many answers as it takes."""

from pathlib import Path

from optimizer.induction.sample import ENOUGH, sample
from optimizer.items import Mistake, Seen
from tests.scripted import GRADER, Weak, bench, questions


async def test_only_as_many_items_are_answered_as_it_takes(tmp_path: Path) -> None:
    """Batches of ten until there are mistakes enough."""
    weak = Weak()
    found = await sample(bench(tmp_path), weak, GRADER, questions(100), incumbent=None, seen={}, unlabelled=())
    assert len(found.mistakes) == ENOUGH and found.looked_at == weak.total == 30
    assert found.successes and all(one.expected == int(one.reply) for one in found.successes)


async def test_recorded_replies_cost_nothing(tmp_path: Path) -> None:
    """Where all are recorded, no call is made; mistakes without a label fill up."""
    weak, items = Weak(), questions(20)
    seen = {item.id: Seen(reply="1", correct=number > 5) for number, item in enumerate(items)}
    extra = [Mistake(request=items[0].request, reply="2")]
    found = await sample(bench(tmp_path), weak, GRADER, items, incumbent=None, seen=seen, unlabelled=extra)
    assert weak.total == 0 and len(found.mistakes) == 7 and len(found.successes) == 14
    assert found.mistakes[-1].expected is None
