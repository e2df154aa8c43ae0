"""``preceptor migrate``, against a real server on loopback."""

import json
from pathlib import Path

from gateway.domain import Feedback
from tests.learning import STRONG
from tests.shell import Shell, examples, log_of_strong


async def test_three_arms_on_the_same_examples_and_a_verdict(shell: Shell, tmp_path: Path) -> None:
    """The object has the fields of ``distill --json``, and the arms, the comparison and the money beside them."""
    data = examples(tmp_path, 200)
    result = await shell.json("migrate", "arithmetic", "--data", data, "--calls-per-month", "100000")
    assert {"task", "verdict", "adopted", "fixed", "broken", "items_used", "p_value", "before", "after"} <= set(result)
    assert [arm["name"] for arm in result["arms"]] == ["strong", "weak", "weak + rules"]
    assert len({arm["n"] for arm in result["arms"]}) == 1
    assert (result["arms"][1]["accuracy"], result["arms"][2]["accuracy"]) == (0.0, 1.0)
    assert result["comparison"]["verdict"] in ("non-inferior", "better")
    assert result["serve"] == "weak + rules" and result["answer"].startswith("Yes")
    assert result["savings"]["per_month_usd"] > 0 and result["savings"]["break_even_calls"] > 0
    assert result["facts"]["Command"].startswith("preceptor migrate arithmetic")


async def test_it_is_compared_on_examples_that_decided_nothing(shell: Shell, tmp_path: Path) -> None:
    """What the gate looked at is not among what the report shows."""
    result = await shell.json("migrate", "arithmetic", "--data", examples(tmp_path, 200))
    shown = {item["id"] for kind in ("fixed_items", "lost_items") for item in result[kind]["shown"]}
    assert shown and not shown & set(result["spent"])


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
    result = await shell.json("migrate", "arithmetic", "--data", data, "--activate")
    assert result["activated"] and "live" in result["note"]
    assert shell.store().active()["arithmetic"].version == result["version"]


async def test_without_data_the_log_of_the_strong_model_is_the_reference(shell: Shell) -> None:
    """Asked again, it is held against its own log as the weak model is; the output says what quality then means."""
    store = shell.store()
    store.record(log_of_strong(200))
    store.close()
    code, out, err = await shell("migrate", "arithmetic")
    assert code == 0
    assert "agreement" in out and "agreement" in err
    strong_asked = [body["messages"][-1]["content"] for body in shell.asked if body["model"] == STRONG]
    result = await shell.json("migrate", "arithmetic")
    strong = result["arms"][0]
    assert len([text for text in strong_asked if text.startswith("What is")]) == strong["n"]
    assert (strong["recorded"], strong["own_reference"]) == (0, strong["n"])
    assert strong["self_agreement"] == round(strong["accuracy"] * strong["n"])
    assert round(result["savings"]["calls_per_month"]) == 2000


async def test_feedback_wins_over_the_strong_models_answer(shell: Shell) -> None:
    """Where somebody said what is right, the strong model can be wrong."""
    store = shell.store()
    store.record(log_of_strong(200))
    for number in range(200):
        store.add_feedback(Feedback(exchange_id=f"s{number}", created=1.0, expected=7))
    store.close()
    result = await shell.json("migrate", "arithmetic")
    assert result["labels"]["reference"] == 0
    assert result["arms"][0]["accuracy"] == 0.0


async def test_data_without_labels_is_answered_by_the_strong_model_first(shell: Shell, tmp_path: Path) -> None:
    """It is said before it is paid for."""
    data = examples(tmp_path, 200, labelled=False)
    code, _, err = await shell("migrate", "arithmetic", "--data", data, "--json")
    assert code == 0 and "answers them first" in err
    result = await shell.json("migrate", "arithmetic", "--data", data)
    assert result["labels"]["given"] == 0
    assert result["arms"][0]["accuracy"] == 1.0


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
    result = json.loads(out)
    assert code == 1 and result["resumable"] and not result["adopted"] and result["note"].startswith("interrupted: ")
    assert "run the same command again" in err.splitlines()[-1]


async def test_the_text_and_the_report_say_the_same(shell: Shell, tmp_path: Path) -> None:
    """The answer in one sentence stands in both."""
    report = tmp_path / "report.html"
    code, out, _ = await shell("migrate", "arithmetic", "--data", examples(tmp_path, 200), "--report", str(report))
    assert code == 0
    assert out.splitlines()[0] in report.read_text()
    assert "cost per 1,000 calls" in out
