"""Rule sets as files: read with a clear complaint, exported with all that is known of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Evidence, Measured, Rule, RuleSet
from gateway.errors import BadRequest
from gateway.rules.files import read_rule_set, to_dict


def file(folder: Path, content: str | bytes) -> Path:
    path = folder / "rules.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_becomes_an_unpublished_rule_set(tmp_path: Path) -> None:
    """Rules with their reasons and the form of the scratchpad; no version yet."""
    path = file(
        tmp_path, '{"task":"sums","scratchpad":"tags","rules":[{"text":"Work.","reason":"It guessed."},{"text":"Ö"}]}'
    )
    assert read_rule_set(path, "sums") == RuleSet(
        task="sums", scratchpad="tags", rules=(Rule(text="Work.", reason="It guessed."), Rule(text="Ö"))
    )


def test_task_and_scratchpad_may_be_left_out(tmp_path: Path) -> None:
    """The command names the task; without a scratchpad there is none."""
    assert read_rule_set(file(tmp_path, '{"rules":[]}'), "sums") == RuleSet(task="sums")


def test_a_file_may_hold_examples_and_a_worksheet(tmp_path: Path) -> None:
    """All parts of a version come from one file, and its export reads back as the same version."""
    content = {
        "rules": [{"text": "Be short.", "when": "text.size() > 100"}],
        "examples": [{"question": "2 + 2", "answer": "4", "origin": "sums.jsonl:1"}],
        "examples_mode": "fixed",
        "worksheet": {
            "schema": {"type": "object", "properties": {"city": {"enum": ["Graz", "Wien"]}}},
            "decisions": [{"when": "city == 'Graz'", "result": "south"}, {"when": "", "result": "east"}],
        },
    }
    read = read_rule_set(file(tmp_path, json.dumps(content)), "sums")
    assert read.rules == (Rule(text="Be short.", when="text.size() > 100"),)
    assert read.examples_mode == "fixed" and read.worksheet is not None
    assert [decision.result for decision in read.worksheet.decisions] == ["south", "east"]
    again = read_rule_set(file(tmp_path, json.dumps(to_dict(read))), "sums")
    assert again == read and again.hash == read.hash


@pytest.mark.parametrize(
    ("owner", "shared"),
    [({}, True), ({"key": "shop"}, False), ({"tenant": "t1"}, False), ({"shared": False}, False),
     ({"key": "shop", "shared": True}, True)],
)  # fmt: skip
def test_an_example_of_an_operator_is_for_everybody(tmp_path: Path, owner: dict[str, Any], shared: bool) -> None:
    """A hand-written example names nobody; an exported one keeps to its owner unless the file says otherwise."""
    content = {"rules": [], "examples": [{"question": "2 + 2", "answer": "4", **owner}]}
    (example,) = read_rule_set(file(tmp_path, json.dumps(content)), "sums").examples
    assert example.shared is shared


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is not a rule set"),
        ("[]", "is not a rule set"),
        ("{}", "rules"),
        ('{"rules":["Work."]}', r"\$\.rules\[0\]"),
        ('{"rules":[{"reason":"x"}]}', "text"),
        ('{"rules":[{"text":3}]}', "text"),
        ('{"rules":[],"scratchpad":"paper"}', "scratchpad"),
        ('{"rules":[{"text":"Work."},{"text":" \\n"}]}', "a rule without text"),
        ('{"rules":[],"nearest":0}', "nearest"),
        ('{"rules":[],"examples":[{"question":"2 + 2"}]}', "answer"),
        ('{"rules":[],"worksheet":{}}', "schema"),
        ('{"rules":[],"task":"words"}', "for task 'words', not 'sums'"),
        (b'{"rules":[{"text":"\xff"}]}', "is not a rule set"),
        ("[" * 100_000, "is not a rule set"),
    ],
)
def test_a_file_that_is_no_rule_set_is_refused_with_its_place(
    tmp_path: Path, content: str | bytes, complaint: str
) -> None:
    """The complaint names the file and what is wrong in it, in one line."""
    path = file(tmp_path, content)
    with pytest.raises(BadRequest, match=complaint) as caught:
        read_rule_set(path, "sums")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, or a folder."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(BadRequest, match="cannot read") as caught:
            read_rule_set(path, "sums")
        assert str(path) in str(caught.value)


def test_an_export_holds_everything_and_can_be_imported_again(tmp_path: Path) -> None:
    """Version, parent, hash and evidence are for people and audits; the import takes the rules and starts anew."""
    measured = Measured(accuracy=0.5, n=100)
    evidence = Evidence(verdict="better", before=measured, after=measured, fixed=9, broken=1, items_used=100,
                        p_value=0.02, interval=(0.01, 0.15), against=2)  # fmt: skip
    rule_set = RuleSet(task="sums", version=3, scratchpad="two_pass", rules=(Rule(text="Work."),), parent=2,
                       evidence=evidence, created=9.0, decided_by="cycle")  # fmt: skip
    exported = to_dict(rule_set)
    assert (exported["version"], exported["parent"], exported["hash"]) == (3, 2, rule_set.hash)
    assert exported["evidence"]["verdict"] == "better"
    again = read_rule_set(file(tmp_path, json.dumps(exported)), "sums")
    assert again == RuleSet(task="sums", scratchpad="two_pass", rules=rule_set.rules)
    assert again.hash == rule_set.hash
