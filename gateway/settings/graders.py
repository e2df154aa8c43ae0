"""How a reply is compared with the expected answer: one section per kind of grader."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.settings.base import Positive, Section, doc


class NumericGrader(Section, frozen=True, tag_field="kind", tag="numeric"):
    """Right if the reply states one number only and it equals the expected one."""

    tolerance: Annotated[float, Meta(ge=0), doc("Largest absolute difference that counts as equal.")] = 1e-6
    take: Annotated[
        Literal["only", "last"],
        doc(
            "`only`: a reply with several different numbers is wrong, because the caller cannot tell which one is"
            " meant. `last`: the last number counts."
        ),
    ] = "only"


class ExactGrader(Section, frozen=True, tag_field="kind", tag="exact"):
    """Right if the reply equals the expected text, surrounding white space aside."""

    ignore_case: Annotated[bool, doc("Compare without regard to case.")] = False


class RegexGrader(Section, frozen=True, tag_field="kind", tag="regex"):
    """Right if the expected regular expression is found in the reply, or if what `pattern` finds there is expected."""

    pattern: Annotated[
        str | None,
        doc(
            "Regular expression that extracts the answer from the reply (its first group, or all of it), which must"
            " then equal `expected`. Without it, `expected` itself is the expression that must be found."
        ),
    ] = None


class JsonSchemaGrader(Section, frozen=True, tag_field="kind", tag="json_schema"):
    """Right if the reply is JSON that fits `schema`; without one, if it equals the expected JSON value:
    `1` equals `1.0`, the order of keys does not matter, that of lists does. Nothing is ever fetched for a `$ref`."""

    schema: Annotated[
        Mapping[str, Any] | str | None,
        doc("A JSON Schema, or the path of a JSON file that holds one (2020-12 unless its `$schema` says otherwise)."),
    ] = None
    fields: Annotated[tuple[str, ...], doc("Keys of the expected object that alone are compared.")] = ()
    ignore: Annotated[tuple[str, ...], doc("Keys that are not compared, however deep they lie.")] = ()


class ToolCallGrader(Section, frozen=True, tag_field="kind", tag="tool_call"):
    """Right if the reply calls the expected tools with the expected arguments, and no other.
    `expected` is `{"name": ..., "arguments": {...}}` or a list of such calls; an empty list expects no call."""

    order: Annotated[bool, doc("Whether several calls must come in the expected order.")] = True


class PythonTestsGrader(Section, frozen=True, tag_field="kind", tag="python_tests"):
    """Right if the expected tests pass on the reply's code: its last fenced block, or all of it.
    `expected` is Python text with assertions, or `{"test": ..., "entry_point": ..., "prompt": ...}` as in HumanEval.
    Code runs in a sandbox only: `pydantic-monty` (install `preceptor[code]`), then bubblewrap (`bwrap`)."""

    timeout_s: Annotated[Positive, doc("Seconds that the code may take, and the tests.")] = 5.0
    memory_mb: Annotated[int, Meta(ge=64), doc("Memory that they may take, in MB (10^6 bytes).")] = 256


class PythonGrader(Section, frozen=True, tag_field="kind", tag="python"):
    """Right if your own function says so. It is called as `function(reply: str, expected, request: dict)`, possibly in
    several threads at once, and returns a `bool`, or a score from 0 to 1 of which only 1 counts as right. A reply on
    which it raises cannot be graded."""

    call: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z"),
        doc("The function, as `package.module:function`; the module must be importable where Preceptor runs."),
    ]


class JudgeGrader(Section, frozen=True, tag_field="kind", tag="judge"):
    """Right if a model finds the reply at least as good as the reference in `expected`, in both orders in which the two
    can be shown to it. A verdict that changes with the order counts as wrong. A reply costs one or two calls, none if
    it is the reference itself. Have the judge calibrated against people's labels before you trust it. Recorded replies
    are not judged again: what feedback says of them (`correct`) counts."""

    model: Annotated[str | None, doc("Name of the model that judges; default: the task's strong model.")] = None
    criteria: Annotated[
        str | None, doc("What makes a reply as good as the reference, in your own words, for the judge to read.")
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
