"""Calibration: a judge held against people's labels, asked in both orders, with all its errors counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Exchange, Feedback
from gateway.settings.graders import JudgeGrader
from gateway.store.base import Graded
from optimizer.dataset.items import BadData, item_of
from optimizer.evaluation.judge_calibration import Calibration, RatedReply, calibrate, load_ratings, ratings_from
from optimizer.statistics.judge_agreement import JudgeAgreement
from optimizer.statistics.paired_test import smallest_detectable
from tests.scripted import Judge, evaluator

GRADER = JudgeGrader(model="large")


def rated(number: int, *, correct: bool, reply: str | None = None) -> RatedReply:
    """A right reply says "yes", a wrong one "no"; the reference says "Yes."."""
    item = item_of({"messages": [{"role": "user", "content": f"question {number}"}]}, "Yes.")
    return RatedReply(item=item, reply=reply or f"{'yes' if correct else 'no'} {number}", correct=correct)


def labels(right: int, wrong: int) -> list[RatedReply]:
    return [rated(number, correct=number < right) for number in range(right + wrong)]


def agrees(reply: str, reference: str) -> bool:
    return reply.startswith("yes")


async def held(tmp_path: Path, judge: Judge, given: list[RatedReply]) -> Calibration:
    return await calibrate(evaluator(tmp_path, models={"large": judge}), GRADER, given, items=250)


async def test_a_judge_that_sees_what_people_see_is_trusted(tmp_path: Path) -> None:
    """Every reply is judged in both orders."""
    judge = Judge(agrees)
    found = await held(tmp_path, judge, labels(30, 20))
    assert found.agreement == JudgeAgreement(both=30, neither=20)
    assert (found.kappa, found.trusted, found.n) == (1.0, True, 50)
    assert (found.asked, found.flipped, found.ungraded, judge.total) == (50, 0, 0, 100)
    assert found.detectable == found.detectable_without_error == smallest_detectable(250)
    assert found.note == (
        "the judge agrees with people on 100% of 50 replies, kappa 1.00 (95% interval 0.85 to 1.00): it can be used;"
        " 0 of 50 verdicts changed with the order (0% to 7%);"
        " on 250 items it shows true gains from 7% up, a judge without error from 7%"
    )


async def test_a_judge_that_errs_hides_gains(tmp_path: Path) -> None:
    """Here it misses every fifth right reply, and takes every tenth wrong one for right."""

    def opinion(reply: str, reference: str) -> bool:
        kind, number = reply.split()
        return int(number) % 5 != 0 if kind == "yes" else int(number) % 10 == 0

    found = await held(tmp_path, Judge(opinion), labels(100, 100))
    assert found.agreement == JudgeAgreement(both=80, person_only=20, judge_only=10, neither=90)
    assert found.kappa == pytest.approx(0.7) and found.trusted
    assert found.detectable > found.detectable_without_error == smallest_detectable(250)


async def test_a_judge_that_goes_by_position_is_found_out(tmp_path: Path) -> None:
    """Its verdicts change with the order and count as wrong, as they do in use."""
    found = await held(tmp_path, Judge(agrees, favours="A"), labels(20, 20))
    assert (found.flipped, found.asked) == (40, 40)
    assert found.agreement == JudgeAgreement(person_only=20, neither=20)
    assert not found.trusted and found.detectable == 1.0
    assert "kappa 0.00" in found.note and "below 0.6, do not decide by it" in found.note
    assert "40 of 40 verdicts changed with the order" in found.note
    assert "no true gain can be shown with it on 250 items" in found.note


async def test_a_judge_that_likes_everything_is_found_out(tmp_path: Path) -> None:
    """Its verdicts never change; kappa tells."""
    found = await held(tmp_path, Judge(lambda reply, reference: True), labels(36, 10))
    assert found.agreement.observed > 0.75 and found.flipped == 0
    assert found.kappa == 0.0 and not found.trusted


async def test_unclear_verdicts_count_as_wrong(tmp_path: Path) -> None:
    """As in use; how many there were is told."""
    judge = Judge(agrees)
    judge.garbled = lambda verdict: "Hm." if judge.total % 10 == 0 else verdict
    found = await held(tmp_path, judge, labels(50, 50))
    assert found.ungraded > 0 and found.asked == 100 - found.ungraded
    assert found.agreement.judge_only == 0 and found.agreement.person_only > 0
    assert f"{found.ungraded} were unclear" in found.note


async def test_replies_that_need_no_judge_are_not_paid_for(tmp_path: Path) -> None:
    """They agree or not all the same."""
    judge = Judge(agrees)
    same = [rated(number, correct=True, reply="Yes.") for number in range(100, 105)]
    found = await held(tmp_path, judge, [*labels(10, 10), *same])
    assert (found.n, found.asked, judge.total) == (25, 20, 40)
    assert found.agreement.both == 15


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (9, 40), (40, 9)])
async def test_too_few_labels_of_a_kind_are_refused_before_anything_is_paid(
    tmp_path: Path, right: int, wrong: int
) -> None:
    """Where people call everything right, nobody can disagree by more than chance."""
    judge = Judge(agrees)
    with pytest.raises(BadData, match=f"{right} replies that people called right and {wrong} .* 10 of each"):
        await held(tmp_path, judge, labels(right, wrong))
    assert judge.total == 0


def test_ratings_are_read_from_a_file(tmp_path: Path) -> None:
    """Examples with what was replied and what people said of it; unusable lines are listed."""
    lines: list[dict[str, Any]] = [
        {"input": "a", "expected": "Oslo", "reply": "It is Oslo", "correct": True},
        {"input": "a", "expected": "Oslo", "reply": "Rome", "correct": False},
        {"input": "a", "expected": "Oslo", "reply": "Rome"},
        {"input": "a", "expected": "Oslo", "correct": True},
        {"input": "a", "expected": "Oslo", "reply": "Rome", "correct": 1},
        {"input": "a", "expected": "", "reply": "Rome", "correct": True},
        {"input": "a", "reply": "Rome", "correct": True},
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    found = load_ratings(path, GRADER)
    assert [(one.reply, one.correct) for one in found.rated] == [("It is Oslo", True), ("Rome", False)]
    assert [complaint.split(":")[0] for complaint in found.complaints] == [f"line {n}" for n in (3, 4, 5, 6, 7)]


def graded(name: str, **feedback: Any) -> Graded:
    request = {"messages": [{"role": "user", "content": name}]}
    exchange = Exchange(
        id=name, created=1.0, task="t", client_model="gpt", model="small", arm="weak", rules=None, stream=False,
        status="ok", http_status=200, request=json.dumps(request).encode(), reply="It is Oslo",
    )  # fmt: skip
    return Graded(exchange=exchange, feedback=Feedback(exchange_id=name, created=2.0, **feedback))


def test_ratings_are_read_from_feedback_that_judges_and_says_what_is_right() -> None:
    """One without the other compares nothing; and what no person said is nothing to hold a judge against."""
    found = ratings_from(
        [graded("s", correct=True, expected="Oslo", source="shadow"),
         graded("a", correct=True, expected="Oslo"), graded("b", score=0.0, expected="Rome"), graded("c", correct=True),
         graded("d", expected="Rome"), graded("e", score=0.5, expected="Rome"), graded("f", correct=True, expected="")],
        GRADER,
    )  # fmt: skip
    assert [(one.item.expected, one.correct) for one in found.rated] == [("Oslo", True), ("Rome", False)]
    assert [complaint.partition(":")[0] for complaint in found.complaints] == ["exchange f"]
