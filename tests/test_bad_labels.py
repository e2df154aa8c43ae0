"""Labels as they should not be, from the command or the sweep to the verdict: each has a clear sentence, and nothing is
published that was not shown."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain import Evidence, Feedback, Measured, Rule, RuleSet
from gateway.label_queue import waiting
from gateway.store.memory import MemoryStore
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.publish import publish
from optimizer.scheduling.learner import TESTED, open_learner
from optimizer.statistics.alpha_spending import ScheduledTest, next_level, stage_level
from tests.fakes import FakeUpstream
from tests.learning import fill, learning_settings, made, script, sums
from tests.scripted import BASE_PROMPT
from tests.shell import Shell
from tests.world import Asked, World, answer, configured, models, traffic, world

pytestmark = pytest.mark.drill

TASK = "arithmetic"
Row = tuple[str, float]


def data_file(folder: Path, rows: Sequence[Row]) -> str:
    """Questions with their expected answers, as ``distill`` reads them."""
    file = folder / "labels.jsonl"
    with file.open("w") as out:
        for question, expected in rows:
            messages = [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": question}]
            out.write(json.dumps({"messages": messages, "expected": expected}) + "\n")
    return str(file)


def labels_wrong_in(share: float, count: int) -> list[Row]:
    dice = random.Random(2)
    return [(text, right + 7 * (dice.random() < share)) for text, right in map(sums, range(count))]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param([sums(7)] * 500, "near-duplicates and turns of one conversation count once", id="500 times one"),
        pytest.param([sums(1)], "0 to select on and", id="one item"),
        pytest.param(
            [(f"What is {1000 + number} plus twice 0?", 1000 + number) for number in range(150)],
            "too few mistakes to learn from: 0 in", id="all right",
        ),
        pytest.param(
            [(sums(number)[0], 12345678) for number in range(150)], "the best candidate got 0%", id="all wrong"
        ),
    ],
)  # fmt: skip
async def test_examples_that_can_show_nothing_publish_nothing(
    shell: Shell, tmp_path: Path, rows: Sequence[Row], said: str
) -> None:
    """By ``distill``: a verdict, its reason, and no version."""
    data = data_file(tmp_path, rows)
    code, out, _ = await shell("distill", TASK, "--data", data, "--activate")
    assert code == 0 and said in out
    result = await shell.json("distill", TASK, "--data", data, "--activate")
    assert (result["verdict"], result["adopted"], result["version"]) == ("cannot tell", False, None)
    assert "has no rule sets" in (await shell("rules list", TASK))[1]


async def test_a_file_that_contradicts_itself_is_left_out_line_by_line(shell: Shell, tmp_path: Path) -> None:
    """Two answers to every question: none of them counts, and the lines are named."""
    torn = [(text, right + more) for text, right in map(sums, range(40)) for more in (0, 1)]
    code, _, err = await shell("distill", TASK, "--data", data_file(tmp_path, torn))
    assert code == 1 and "line 2: same input as line 1, another expected value; both left out" in err


async def test_a_labeller_who_is_wrong_in_a_fifth_makes_gains_smaller_and_no_gain_of_nothing(
    shell: Shell, tmp_path: Path
) -> None:
    """The rule is truly right everywhere. Where the labels are all errors, it is not published."""
    honest = await shell.json("distill", TASK, "--data", data_file(tmp_path, labels_wrong_in(0.2, 200)))
    assert honest["verdict"] == "better" and honest["after"]["accuracy"] < 1.0
    low, high = honest["promised"]["interval"]
    assert low < 0.85 and high <= 1.0
    code, out, _ = await shell("distill", TASK, "--data", data_file(tmp_path, labels_wrong_in(1.0, 200)))
    assert code == 0 and "nothing helped: tried were rules" in out


def relabelled(store: MemoryStore, count: int, feedback: Sequence[dict[str, Any]]) -> None:
    """Traffic whose exchanges have these judgements, in turn; an empty one is none."""
    source = MemoryStore()
    fill(source, count)
    store.record([graded.exchange for graded in source.graded(TASK, limit=count)])
    for number in range(count):
        given = feedback[number % len(feedback)]
        if given:
            right = {"expected": sums(number)[1]} if given.pop("answers", True) else {}
            store.add_feedback(Feedback(exchange_id=f"x{number}", created=1.0 + number, **{**right, **given}))


async def learnt(store: MemoryStore, folder: Path, text: str = "") -> Outcome | None:
    """The outcome of a scheduled cycle."""
    services = made(FakeUpstream(script()), store, learning_settings(text, data_dir=str(folder)))
    async with open_learner(services.learner_context()) as learner:
        return await learner.learn(TASK)


async def test_feedback_that_contradicts_itself_confirms_nothing(tmp_path: Path) -> None:
    """Called right, with an answer that the reply does not give: the requests wait in the queue."""
    store = MemoryStore()
    relabelled(store, 120, [{"correct": True, "verdict": 0.0} for _ in range(120)])
    outcome = await learnt(store, tmp_path)
    assert outcome is not None and not outcome.adopted and store.rule_sets(TASK) == []
    assert "there are too few labels" in outcome.note and "label these 40 requests: preceptor label" in outcome.note
    assert len(waiting(store.audited(TASK, since=0.0, limit=999))) == 120


async def test_labels_of_one_key_are_called_by_its_name(tmp_path: Path) -> None:
    """They count, and the outcome and the evidence of the version say whose they are."""
    store = MemoryStore()
    relabelled(store, 150, [{"key": "web"} for _ in range(150)])
    outcome = await learnt(store, tmp_path)
    assert outcome is not None and outcome.adopted and outcome.labels is not None
    assert outcome.labels.labellers == ("key web",)
    published = store.rule_sets(TASK)[0].evidence
    assert published is not None and published.labels == outcome.labels


async def test_items_that_nobody_labels_for_weeks_stop_nothing_once_the_queue_is_worked_on(tmp_path: Path) -> None:
    """Complaints alone show nothing, for as many weeks as they like. The old items leave the sample, the new are
    labelled, and a gain is found."""
    store, day = MemoryStore(), 86400.0
    fill(source := MemoryStore(), 300)
    for number, graded in enumerate(sorted(source.graded(TASK, limit=300), key=lambda one: int(one.exchange.id[1:]))):
        created = number * day / 5 if number < 150 else 60 * day + number
        store.record([msgspec.structs.replace(graded.exchange, created=created)])
        if number % 5 == 0:
            correction = Feedback(exchange_id=f"x{number}", created=created + 1, expected=sums(number)[1])
            store.add_feedback(correction)
    first = await learnt(store, tmp_path)
    assert first is not None and not first.adopted and store.rule_sets(TASK) == []
    assert first.note.startswith("labels were chosen by outcome: nothing can be shown; label these 40 requests")
    for entry in waiting(store.audited(TASK, since=60 * day, limit=999)):
        number = int(entry.exchange.id[1:])
        store.add_feedback(Feedback(
            exchange_id=entry.exchange.id, created=61 * day, expected=sums(number)[1], source="label", labeller="ann"
        ))  # fmt: skip
    second = await learnt(store, tmp_path)
    assert second is not None and second.adopted, second
    assert second.labels is not None and second.labels.passed_over == 0


async def test_a_clock_that_jumped_changes_no_verdict(tmp_path: Path) -> None:
    """A third of the exchanges is dated to 1970, a third far ahead; labels come before their requests."""
    store, source = MemoryStore(), MemoryStore()
    fill(source, 150)
    for graded in source.graded(TASK, limit=150):
        number = int(graded.exchange.id[1:])
        store.record([msgspec.structs.replace(graded.exchange, created=(1.0, 1e9, 4e12)[number % 3])])
        store.add_feedback(Feedback(exchange_id=graded.exchange.id, created=5.0, expected=sums(number)[1]))
    outcome = await learnt(store, tmp_path)
    assert outcome is not None and (outcome.verdict, outcome.adopted) == ("better", True)


@pytest.mark.parametrize("gone", ["renamed", "removed"])
async def test_a_task_that_is_renamed_or_removed_gives_no_errors_back(tmp_path: Path, gone: str) -> None:
    """Its tests stay paid; a test that was under way under the old name ends nowhere."""
    store = MemoryStore()
    fill(store, 150)
    TESTED.write(store, ("sums",))  # what its first cycle notes
    spent = [ScheduledTest(task="sums", level=next_level("sums", []), adopted=False)]
    record = store.begin_cycle("sums", 1.0, b"{}")
    ended = {"task": "sums", "note": "cannot tell", "by": "cycle", "level": spent[0].level}
    store.end_cycle(record.id, 2.0, msgspec.json.encode(ended))
    if gone == "removed":
        store.begin_cycle("sums", 3.0, b"{}")
    outcome = await learnt(store, tmp_path)
    assert outcome is not None and outcome.task == TASK
    assert outcome.level == stage_level(next_level(TASK, spent), 0) < stage_level(next_level(TASK, []), 0)
    assert not store.rule_sets("sums")


async def test_complaints_about_one_arm_only_are_refused(tmp_path: Path) -> None:
    """Somebody dislikes what is new: false corrections on the trial's replies alone. It is said, and nothing ends."""
    style = RuleSet(task=TASK, rules=(Rule(text="Write numbers in digits."),))
    evidence = Evidence(
        verdict="better", before=Measured(accuracy=0.7, n=60), after=Measured(accuracy=0.9, n=60), fixed=12, broken=0,
        items_used=60, p_value=0.001, interval=(0.1, 0.3),
    )  # fmt: skip
    dice = random.Random(3)
    async with world(configured(tmp_path, task=""), models()) as here:
        now = here.clock[0]
        publish(here.store, style, evidence, incumbent=None, share=0.25, started=now, now=now, by="cycle")
        here.services.rules.swap(here.store.traffic_splits(), here.store.revision())
        for number in range(400):
            here.clock[0] += 90
            one = await here.ask(traffic(dice, {"": 1.0}))
            if one.arm == "canary":
                await complain(here, one)
            if number % 10 == 9:
                await here.tick()
        said = json.loads(here.store.note(f"live/{TASK}") or b"{}")
        kinds = [(entry.kind, entry.share) for entry in here.store.history(TASK) if entry.kind == "canary"]
    assert kinds[-1] == ("canary", 0.25)
    assert any("labels depend on the arm" in line for line in said["wrong"]), said["wrong"]


async def complain(here: World, one: Asked) -> None:
    here.services.writer.flush(10)
    exchange = here.store.exchange(one.id)
    assert exchange is not None
    right = float(answer(json.loads(exchange.request)["messages"][-1]["content"]))
    reply = await here.client.post("/v1/feedback", json={"id": one.id, "expected": right + 1})
    assert reply.status_code < 300, reply.text
