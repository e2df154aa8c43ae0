"""The comparison of a reply with the expected answer: a section per kind of grader."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.settings.base import Positive, Section, doc


class NumericGrader(Section, frozen=True, tag_field="kind", tag="numeric"):
    """Right if the reply states a single number and it equals the expected number."""

    tolerance: Annotated[float, Meta(ge=0), doc("Largest absolute difference that counts as equal.")] = 1e-6
    take: Annotated[
        Literal["only", "last"],
        doc(
            "`only`: a reply with several different numbers is wrong, because the caller cannot tell which number"
            " counts. `last`: the last number counts."
        ),
    ] = "only"
    decimal: Annotated[
        Literal[".", ","],
        doc(
            "The decimal sign where a number can be read in two ways: `1.234` is a little more than one with `.`, and"
            " more than a thousand with `,`. Numbers such as `1.234,50` are read by their form."
        ),
    ] = "."


class ExactGrader(Section, frozen=True, tag_field="kind", tag="exact"):
    """Right if the reply equals the expected text, or a text of the list in `expected`, surrounding white space and
    composition of accents aside."""

    ignore_case: Annotated[bool, doc("Compare without regard to case.")] = False


class RegexGrader(Section, frozen=True, tag_field="kind", tag="regex"):
    """Right if the expected regular expression matches in the reply, or if the match of `pattern` is expected."""

    pattern: Annotated[
        str | None,
        doc(
            "Regular expression to extract the answer from the reply (its first group, or the whole match); the answer"
            " must equal `expected`. Python's, without look-around and back-references, so that it takes linear time on"
            " any reply. Without it, `expected` itself is an expression that must match."
        ),
    ] = None


class JsonSchemaGrader(Section, frozen=True, tag_field="kind", tag="json_schema"):
    """Right if the reply is JSON that fits `schema`. Without a schema: if it equals the expected JSON value; `1` equals
    `1.0`, the order of keys does not matter, the order of lists does. Nothing is ever fetched for a `$ref`."""

    schema: Annotated[
        Mapping[str, Any] | str | None,
        doc("A JSON Schema, or the path of a JSON file with a schema (2020-12 unless its `$schema` names another)."),
    ] = None
    fields: Annotated[tuple[str, ...], doc("Keys of the expected object to compare; the others do not matter.")] = ()
    ignore: Annotated[tuple[str, ...], doc("Keys left out of the comparison, at any depth.")] = ()


class ToolCallGrader(Section, frozen=True, tag_field="kind", tag="tool_call"):
    """Right if the reply calls the expected tools with the expected arguments, and no other.
    `expected` is `{"name": ..., "arguments": {...}}` or a list of such calls; an empty list expects no call."""

    order: Annotated[bool, doc("Several calls must come in the expected order.")] = True


class PythonTestsGrader(Section, frozen=True, tag_field="kind", tag="python_tests"):
    """Right if the expected tests pass on the reply's code: its last fenced block of Python with a definition, or all
    of it. `expected` is Python text (assertions, test functions and classes as pytest runs them, or `unittest`), a list
    of such texts, or a mapping in the form of HumanEval (`test`, `entry_point`, `prompt`) or MBPP (`test_list`). Code
    and tests run in two sandboxes: a reply cannot change its tests. The sandboxes are `pydantic-monty` (install
    `preceptor[code]`) and, for test classes and tests with objects, bubblewrap (`bwrap`)."""

    timeout_s: Annotated[Positive, doc("Time limit of code and tests together, in seconds.")] = 5.0
    memory_mb: Annotated[int, Meta(ge=64), doc("Memory limit of code and tests, in MB (10^6 bytes).")] = 256


class PythonGrader(Section, frozen=True, tag_field="kind", tag="python"):
    """Right by the verdict of your own function. It is called as `function(reply: str, expected, request: dict)`,
    possibly in several threads at once, and returns a `bool`, or a score from 0 to 1; only 1 counts as right. A pair of
    that and a text tells the strong model what is wrong. If the function raises, the reply is not graded."""

    call: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z"),
        doc("The function, as `package.module:function`; the module must be importable where Preceptor runs."),
    ]


class JudgeGrader(Section, frozen=True, tag_field="kind", tag="judge"):
    """Right if a model finds the reply at least as good as the reference in `expected`, in both orders of showing the
    two. A verdict that changes with the order counts as wrong. A reply costs one or two calls, or none if it is the
    reference itself. A change by its word waits for a person, until the judge was held against people's verdicts
    (`preceptor eval --calibrate`, or by itself with ten of either kind in the log). A judge that failed decides
    nothing. Recorded replies are not judged again: their feedback (`correct`) counts."""

    model: Annotated[str | None, doc("Name of the judging model; default: the task's strong model.")] = None
    criteria: Annotated[
        str | None, doc("Criteria for the judge, in your own words: when is a reply as good as the reference?")
    ] = None
    prompts_dir: Annotated[
        Path | None,
        doc("Folder with a `judge.md` in place of our question to the judge; default: `optimizer.prompts_dir`."),
    ] = None


Grader = (
    NumericGrader
    | ExactGrader
    | RegexGrader
    | JsonSchemaGrader
    | ToolCallGrader
    | PythonTestsGrader
    | PythonGrader
    | JudgeGrader
)
