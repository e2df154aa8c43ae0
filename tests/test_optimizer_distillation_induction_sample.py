"""Collecting mistakes: recorded ones first, then only as many answers as it takes."""

import json
from pathlib import Path

from gateway.domain import RuleSet
from gateway.teaching import Worksheet
from optimizer.dataset.items import Mistake, RecordedReply
from optimizer.distillation.induction.sample import ENOUGH, sample
from optimizer.evaluation.evaluator import Answer
from tests.scripted import GRADER, Counting, Weak, evaluator, questions


async def test_only_as_many_items_are_answered_as_it_takes(tmp_path: Path) -> None:
    """Batches of ten until there are mistakes enough."""
    weak = Weak()
    found = await sample(evaluator(tmp_path), weak, GRADER, questions(100), incumbent=None, seen={}, unlabelled=())
    assert len(found.mistakes) == ENOUGH and found.looked_at == weak.total == 30
    assert found.successes and all(one.expected == int(one.reply) for one in found.successes)


class FormFiller(Counting):
    """Fills in a form, and is always wrong."""

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        return Answer(text="0", hidden=('{"sum": 1}',) if rule_set is not None else ())


async def test_a_mistake_under_a_worksheet_shows_the_form_as_it_was_filled_in(tmp_path: Path) -> None:
    """Without a worksheet there is none to show."""
    sheet = Worksheet(schema={"type": "object", "properties": {"sum": {"type": "integer"}}})
    shown = []
    for incumbent in (RuleSet(task="sums", worksheet=sheet), None):
        found = await sample(
            evaluator(tmp_path), FormFiller("small"), GRADER, questions(10), incumbent=incumbent, seen={}, unlabelled=()
        )
        shown.append({one.remark.form for one in found.mistakes})
    assert shown == [{'{"sum": 1}'}, {""}]


async def test_recorded_replies_cost_nothing(tmp_path: Path) -> None:
    """Where all are recorded, no call is made; mistakes without a label fill up."""
    weak, items = Weak(), questions(20)
    seen = {item.id: RecordedReply(reply="1", correct=number > 5) for number, item in enumerate(items)}
    extra = [Mistake(request=items[0].request, reply="2")]
    found = await sample(evaluator(tmp_path), weak, GRADER, items, incumbent=None, seen=seen, unlabelled=extra)
    assert weak.total == 0 and len(found.mistakes) == 7 and len(found.successes) == 14
    assert found.mistakes[-1].expected is None


async def test_recent_and_older_ones_of_many_conversations_are_shown(tmp_path: Path) -> None:
    """Half of the mistakes are the newest, the rest reach back; one conversation shows two; so of successes."""
    items = questions(100, hard=1.0)
    seen = {item.id: RecordedReply(reply="1", correct=number % 2 == 0) for number, item in enumerate(items)}
    found = await sample(evaluator(tmp_path), Weak(), GRADER, items, incumbent=None, seen=seen, unlabelled=())
    wrong, right = ([item.request for item in items[start::2]] for start in (1, 0))
    for chosen, among in ((found.mistakes, wrong), (found.successes, right)):
        places = [among.index(one.request) for one in chosen]
        assert places[:8] == list(range(8)) and places[-1] > 40 and len(places) == ENOUGH
    talk = [Mistake(request=_turn(number), reply="1") for number in range(6, 0, -1)]
    found = await sample(evaluator(tmp_path), Weak(), GRADER, [], incumbent=None, seen={}, unlabelled=talk)
    assert [one.request for one in found.mistakes] == [_turn(6), _turn(5)]


async def test_the_order_of_the_split_does_not_matter(tmp_path: Path) -> None:
    """What is newest is said by the plan's recorded replies; the same plan always shows the same."""
    items = questions(60, hard=1.0)
    seen = {item.id: RecordedReply(reply="1", correct=False) for item in items}
    samples = [
        await sample(evaluator(tmp_path), Weak(), GRADER, order, incumbent=None, seen=seen, unlabelled=())
        for order in (items, items[::-1])
    ]
    assert samples[0] == samples[1]


def _turn(number: int) -> bytes:
    """A conversation after so many questions."""
    said = [{"role": role, "content": f"{role} {turn}"} for turn in range(number) for role in ("user", "assistant")]
    return json.dumps({"messages": said[:-1]}).encode()
