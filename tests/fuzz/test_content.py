"""Texts by models and operators: replies before graders, conditions, configurations, and lines of the spool."""

import contextlib
import math
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gateway.errors import ConfigurationError
from gateway.forms.cel import BadCondition, parse_condition
from gateway.settings import parse
from gateway.settings.graders import ExactGrader, Grader, JsonSchemaGrader, NumericGrader, RegexGrader, ToolCallGrader
from gateway.store.spool import Spool
from optimizer.dataset.reply_marks import marks
from optimizer.grading.graders import Submission, grader_for
from optimizer.grading.graders.ungradable import Ungradable
from tests.fakes import CONFIG
from tests.fuzz.budget import fuzz
from tests.test_store_spool import PLAIN

GRADERS: tuple[Grader, ...] = (
    NumericGrader(),
    NumericGrader(take="last", decimal=","),
    ExactGrader(ignore_case=True),
    RegexGrader(),
    RegexGrader(pattern=r"(\w+)$"),
    JsonSchemaGrader(),
    JsonSchemaGrader(ignore=("a",)),
    ToolCallGrader(order=False),
)
TEXT = st.text(max_size=30) | st.lists(
    st.sampled_from(
        [
            "1",
            "2,5",
            "1.234,50",
            "-",
            "1/2",
            "e9",
            "\\frac{1}{2}",
            "```json\n",
            "```",
            "{",
            '"a": ',
            "}",
            "[",
            "]",
            "null",
            "(a+)+$",
            "\\b",
            "(?i)",
            "{9}",
            "evil.de",
            "a at b dot com",
            " ",
            "\n",
            "\u0663",
            "\ud800",
        ]
    ),
    max_size=12,
).map("".join)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "name", "arguments"]), inner),
    max_leaves=8,
)


def test_graders() -> None:
    """Every reply has a score from 0 to 1, or its expected answer is none; its marks can be told."""

    def holds(example: tuple[str, Any]) -> None:
        reply, expected = example
        marks(reply)
        for section in GRADERS:
            grader = grader_for(section)
            with contextlib.suppress(Ungradable):
                grader.examine(expected)
                score = grader.assess(Submission(text=reply), expected).score
                assert 0 <= score <= 1 and not math.isnan(score)

    assert fuzz(st.tuples(TEXT, VALUE), holds)


CEL = st.lists(
    st.sampled_from(
        [
            "a",
            "b.c",
            "items",
            "1",
            "2.5",
            "'x'",
            '"\\n"',
            "true",
            "null",
            "&&",
            "||",
            "==",
            "!=",
            "<",
            "in",
            "+",
            "-",
            "*",
            "/",
            "%",
            "!",
            "?",
            ":",
            "(",
            ")",
            "[",
            "]",
            ".",
            ",",
            "size(",
            ".contains(",
            "int(",
            "9" * 30,
            "\\",
        ]
    ),
    max_size=25,
).map(" ".join) | st.text(max_size=20)


def test_conditions() -> None:
    """A text is a condition with a yes or no on whatever facts, or it is refused."""

    def holds(example: tuple[str, dict[str, Any]]) -> None:
        with contextlib.suppress(BadCondition):
            assert parse_condition(example[0]).holds(example[1]) in (True, False)

    facts = st.dictionaries(st.sampled_from(["a", "b", "items", "text"]), VALUE)
    assert fuzz(st.tuples(CEL, facts), holds)


PIECES = [
    *CONFIG.splitlines(keepends=True),
    "[server]\n",
    'host = "x"\n',
    "port = -1\n",
    "port = 1e9\n",
    'port = "a"\n',
    "[keys.a]\n",
    'key = "1234567890123456"\n',
    'hash = "sha256:00"\n',
    "${X}",
    'data_dir = "${X}"\n',
    "[tasks.a.b.c]\n",
    "= 1\n",
    "[[models]]\n",
    "weak = []\n",
    "grader = {}\n",
    'grader = { kind = "regex", pattern = "(" }\n',
    "max_body_mb = nan\n",
    "x = 1\n",
    'api_key = "file:/nowhere"\n',
    "\x00",
    '"',
    "#",
    "steps = [1, 0.5]\n",
]
TOML = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30).map("".join)


def test_configurations() -> None:
    """A text is a whole configuration, or every mistake has a line; nothing else is raised."""

    def holds(text: str) -> None:
        with contextlib.suppress(ConfigurationError):
            repr(parse(text, source="fuzz", environment={"X": "\ud800"}))

    assert fuzz(TOML, holds)


def test_spools() -> None:
    """Whatever stands in the file, what is appended behind it is read."""
    garbage = st.lists(
        st.sampled_from([b'{"id":"a",', b"}\n", b"[" * 2000, b"null\n", b'{"id":"\xff"}\n', b"\x00", b"\n"])
        | st.binary(max_size=20),
        max_size=12,
    )

    def holds(pieces: list[bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            spool = Spool(Path(folder, "spool.jsonl"))
            spool.path.write_bytes(b"".join(pieces))
            spool.append([PLAIN])
            assert list(spool.read())[-1] == PLAIN

    assert fuzz(garbage, holds)
