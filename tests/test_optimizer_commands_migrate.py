"""``preceptor migrate``, against a real server on loopback."""

import json
from pathlib import Path

from gateway.domain import Feedback
from tests.learning import STRONG
from tests.shell import Shell, examples, log_of_strong


async def test_three_arms_on_the_same_examples_and_a_verdict(shell: Shell, tmp_path: Path) -> None:
    """The object has the fields of ``distill --json``, and the arms, the comparison and the money beside them."""
    data = examples(tmp_path, 200)
    found = await shell.json("migrate", "arithmetic", "--data", data, "--calls-per-month", "100000")
    assert {"task", "verdict", "adopted", "fixed", "broken", "items_used", "p_value", "before", "after"} <= set(found)
    assert [arm["name"] for arm in found["arms"]] == ["strong", "weak", "weak + rules"]
    assert len({arm["n"] for arm in found["arms"]}) == 1
    assert (found["arms"][1]["accuracy"], found["arms"][2]["accuracy"]) == (0.0, 1.0)
    assert found["comparison"]["verdict"] in ("non-inferior", "better")
    assert found["serve"] == "weak + rules" and found["answer"].startswith("Yes")
    assert found["savings"]["per_month_usd"] > 0 and found["savings"]["break_even_calls"] > 0
    assert found["facts"]["Command"].startswith("preceptor migrate arithmetic")


async def test_it_is_compared_on_examples_that_decided_nothing(shell: Shell, tmp_path: Path) -> None:
    """What the gate looked at is not among what the report shows."""
    found = await shell.json("migrate", "arithmetic", "--data", examples(tmp_path, 200))
    shown = {one["id"] for kind in ("fixed_items", "lost_items") for one in found[kind]["shown"]}
    assert shown and not shown & set(found["spent"])


async def test_again_it_pays_nothing_and_finds_the_same(shell: Shell, tmp_path: Path) -> None:
    """Even after it made the rules of the first run wait."""
    data = examples(tmp_path, 200)
    first = await shell.json("migrate", "arithmetic", "--data", data)
    asked = len(shell.asked)
    again = await shell.json("migrate", "arithmetic", "--data", data)
    assert len(shell.asked) == asked
    same = {"arms", "comparison", "savings", "version", "verdict", "fixed_items"}
    assert {key: first[key] for key in same} == {key: again[key] for key in same}


async def test_rules_go_live_only_if_asked_to(shell: Shell, tmp_path: Path) -> None:
    """And only at the end of everything."""
    data = examples(tmp_path, 200)
    assert not (await shell.json("migrate", "arithmetic", "--data", data))["activated"]
    found = await shell.json("migrate", "arithmetic", "--data", data, "--activate")
    assert found["activated"] and "live" in found["note"]
    assert shell.store().active()["arithmetic"].version == found["version"]


async def test_without_data_the_log_of_the_strong_model_is_the_reference(shell: Shell) -> None:
    """Its answers are neither asked for again nor doubted, and the output says what quality then means."""
    store = shell.store()
    store.record(log_of_strong(200))
    store.close()
    code, out, err = await shell("migrate", "arithmetic")
    assert code == 0
    assert "agreement" in out and "agreement" in err
    taught = [body["messages"][-1]["content"] for body in shell.asked if body["model"] == STRONG]
    assert taught and not [text for text in taught if text.startswith("What is")]
    found = await shell.json("migrate", "arithmetic")
    strong = found["arms"][0]
    assert (strong["accuracy"], strong["recorded"], strong["own_reference"]) == (1.0, strong["n"], strong["n"])
    assert (strong["latency_s"], strong["output_tokens"]) == (0.8, 5.0)
    assert round(found["savings"]["calls_per_month"]) == 2000


async def test_feedback_wins_over_the_strong_models_answer(shell: Shell) -> None:
    """Where somebody said what is right, the strong model can be wrong."""
    store = shell.store()
    store.record(log_of_strong(200))
    for number in range(200):
        store.add_feedback(Feedback(exchange_id=f"s{number}", created=1.0, expected=7))
    store.close()
    found = await shell.json("migrate", "arithmetic")
    assert found["labels"]["reference"] == 0
    assert found["arms"][0]["accuracy"] == 0.0


async def test_data_without_labels_is_answered_by_the_strong_model_first(shell: Shell, tmp_path: Path) -> None:
    """It is said before it is paid for."""
    data = examples(tmp_path, 200, labelled=False)
    code, _, err = await shell("migrate", "arithmetic", "--data", data, "--json")
    assert code == 0 and "answers them first" in err
    found = await shell.json("migrate", "arithmetic", "--data", data)
    assert found["labels"]["given"] == 0
    assert found["arms"][0]["accuracy"] == 1.0


async def test_an_empty_log_says_what_to_do(shell: Shell) -> None:
    """One line."""
    code, _, err = await shell("migrate", "arithmetic")
    assert code == 1 and "--data" in err and len(err.splitlines()) == 1


async def test_too_few_examples_are_refused_before_anything_is_paid(shell: Shell, tmp_path: Path) -> None:
    """The line says how many are needed."""
    code, _, err = await shell("migrate", "arithmetic", "--data", examples(tmp_path, 30))
    assert code == 1 and "about 60" in err.splitlines()[-1]
    assert not shell.asked


async def test_cut_short_it_ends_with_an_object_that_says_so(shell: Shell, tmp_path: Path) -> None:
    """Scripts need not read the errors; people get one line that says how to go on."""
    text = shell.config.read_text()
    start = text.index('base_url = "') + len('base_url = "')
    shell.config.write_text(text[:start] + "http://127.0.0.1:9/v1" + text[text.index('"', start) :])
    code, out, err = await shell("migrate", "arithmetic", "--data", examples(tmp_path, 200), "--json")
    found = json.loads(out)
    assert code == 1 and found["resumable"] and not found["adopted"] and found["note"].startswith("interrupted: ")
    assert "run the same command again" in err.splitlines()[-1]


async def test_the_text_and_the_report_say_the_same(shell: Shell, tmp_path: Path) -> None:
    """The answer in one sentence stands in both."""
    report = tmp_path / "report.html"
    code, out, _ = await shell("migrate", "arithmetic", "--data", examples(tmp_path, 200), "--report", str(report))
    assert code == 0
    assert out.splitlines()[0] in report.read_text()
    assert "cost per 1,000 calls" in out
