"""The JSON grader: a reply that fits a schema, or equals the expected value."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.settings.graders import JsonSchemaGrader
from optimizer.grading.graders import Grade, GraderFailed, Submission, Ungradable
from optimizer.grading.graders.json_schema import JsonValue
from tests.grading import grade, label, mistakes

EQUAL = JsonSchemaGrader()
ORDER = {
    "type": "object",
    "properties": {"item": {"type": "string", "pattern": "^[a-z]+$"}, "count": {"type": "integer", "minimum": 1}},
    "required": ["item", "count"],
    "additionalProperties": False,
}
FITS = JsonSchemaGrader(schema=ORDER)


def test_without_a_schema_the_reply_must_equal_the_expected_value() -> None:
    """By meaning, not by spelling; the expected value may be written as a text of JSON."""
    for expected in ({"item": "nut", "count": 2}, '{"count": 2.0, "item": "nut"}'):
        assert grade(EQUAL, '{"count":2,"item":"nut"}\n', expected)
        assert not grade(EQUAL, '{"count":3,"item":"nut"}', expected)


@pytest.mark.parametrize("reply", ['```json\n{"a": 1}\n```', 'Here it is: {"a": 1}', "{'a': 1}", '{"a": 1', ""])
def test_all_of_the_reply_must_be_json(reply: str) -> None:
    """The caller parses what it receives."""
    assert not grade(EQUAL, reply, {"a": 1})
    assert not grade(JsonSchemaGrader(schema={}), reply, {"a": 1})


def test_only_some_keys_may_be_compared_or_some_left_out() -> None:
    """``fields`` are the expected object's own keys, ``ignore`` holds at every depth."""
    reply, expected = '{"id": 7, "item": {"name": "nut", "id": 8}, "note": "x"}', {"id": 1, "item": {"name": "nut"}}
    assert not grade(EQUAL, reply, expected)
    assert not grade(JsonSchemaGrader(fields=("item",)), reply, expected)
    assert grade(JsonSchemaGrader(fields=("item",), ignore=("id",)), reply, expected)
    assert not grade(JsonSchemaGrader(fields=("item",)), "[1]", expected)
    assert not grade(JsonSchemaGrader(fields=("item",)), "{}", expected)


@pytest.mark.parametrize("expected", [None, "{", "a word"])
def test_an_expected_value_that_is_no_json_is_an_error_that_names_it(expected: object) -> None:
    """Such an item must be left out; a JSON text is written with its quotes."""
    with pytest.raises(Ungradable, match="JSON"):
        grade(EQUAL, "1", expected)
    assert grade(EQUAL, '"a word"', '"a word"') and grade(EQUAL, "null", "null")


@pytest.mark.parametrize(
    ("reply", "fits"),
    [
        ('{"item": "nut", "count": 2}', True),
        ('{"item": "nut", "count": 2.0}', True),
        ('{"item": "Nut", "count": 2}', False),
        ('{"item": "nut"}', False),
        ('{"item": "nut", "count": 2, "more": 1}', False),
        ("[]", False),
    ],
)
def test_with_a_schema_the_reply_must_fit_it(reply: str, fits: bool) -> None:
    """What was expected does not matter then."""
    assert grade(FITS, reply, None) == fits


def test_a_schema_may_lie_in_a_file(tmp_path: Path) -> None:
    """TOML cannot write null, and other programs may use the same file."""
    path = tmp_path / "order.json"
    path.write_text(json.dumps(ORDER))
    grader = JsonSchemaGrader(schema=str(path))
    assert not mistakes(grader)
    assert grade(grader, '{"item": "nut", "count": 2}', None) and not grade(grader, "{}", None)


def test_references_inside_the_schema_are_followed() -> None:
    """A tree of any depth up to the bound."""
    tree = {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"}
    assert grade(JsonSchemaGrader(schema=tree), "[[], [[]]]", None)
    assert not grade(JsonSchemaGrader(schema=tree), "[[], [[1]]]", None)
    assert not grade(JsonSchemaGrader(schema=tree), "[" * 100_000, None)


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"not": {"not": {"$ref": "#"}}}])
def test_a_schema_that_runs_in_a_circle_ends(schema: dict[str, Any]) -> None:
    """It says nothing about any value."""
    assert grade(JsonSchemaGrader(schema=schema), "1", None) in (True, False)


def test_a_pattern_cannot_keep_the_grader_busy() -> None:
    """Backtracking is bounded; Python's own expressions would take for ever here."""
    for pattern in ("^(a+)+$", "^(?=a)(a|a)*$"):
        assert not grade(JsonSchemaGrader(schema={"pattern": pattern}), json.dumps("a" * 100 + "b"), None)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objec"}, '"objec"'),
        ({"pattern": "("}, "regex"),
        ({"$ref": "#/$defs/nowhere"}, "nowhere"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "nothing is fetched"),
        ({"$ref": "file:///etc/hostname"}, "nothing is fetched"),
        ({"$schema": "http://127.0.0.1:9/draft"}, "Unknown meta-schema"),
        ("nowhere.json", "No such file"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_mistake_of_the_configuration(schema: Any, said: str) -> None:
    """Nothing is fetched to find out; a reply cannot be graded with it."""
    grader = JsonSchemaGrader(schema=schema)
    (mistake,) = mistakes(grader)
    assert mistake.startswith("schema: ") and said in mistake and "\n" not in mistake
    with pytest.raises(GraderFailed, match="schema"):
        grade(grader, "1", None)


def test_a_file_that_holds_no_schema_is_a_mistake(tmp_path: Path) -> None:
    """Not JSON, or not a schema."""
    for name, text in (("a.json", "{"), ("b.json", "[1]")):
        path = tmp_path / name
        path.write_text(text)
        assert len(mistakes(JsonSchemaGrader(schema=str(path)))) == 1


def test_what_is_for_comparing_has_no_sense_beside_a_schema() -> None:
    """Said, not ignored."""
    found = mistakes(JsonSchemaGrader(schema=ORDER, fields=("a",), ignore=("b",)))
    assert [mistake.partition(":")[0] for mistake in found] == ["fields", "ignore"]
    assert not mistakes(JsonSchemaGrader(fields=("a",), ignore=("b",)))


def test_a_right_reply_labels_itself() -> None:
    """If it is JSON, and of the right shape."""
    assert label(JsonSchemaGrader(), ' {"a": 1}\n') == '{"a": 1}'
    with pytest.raises(Ungradable):
        label(JsonSchemaGrader(), "so: 1")
    with pytest.raises(Ungradable, match="fits the schema"):
        label(JsonSchemaGrader(schema=ORDER), "[]")


def test_the_errors_of_a_schema_are_the_remark() -> None:
    """With their places; a text that is no JSON says so."""
    remark = assess(FITS, '{"item": "nut", "count": 0, "more": 1}').remark
    assert "count: 0 is less than the minimum of 1" in remark and "'more'" in remark
    assert "not JSON" in assess(FITS, "Here it is").remark
    assert assess(FITS, '{"item": "nut", "count": 1}').remark == ""


def test_keys_that_differ_are_the_remark() -> None:
    """Their names, not their values."""
    given, wanted = '{"item": "nut", "id": 8, "extra": 1}', {"item": "bolt", "id": 9, "count": 2}
    remark = assess(JsonSchemaGrader(ignore=("id",)), given, wanted).remark
    assert remark == "missing: count; not expected: extra; of another value: item"


def assess(section: JsonSchemaGrader, reply: str, expected: Any = None) -> Grade:
    return JsonValue(section).assess(Submission(text=reply), expected)
