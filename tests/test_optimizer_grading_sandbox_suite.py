"""The tests of an expected answer: every common form is really run."""

import subprocess
import sys

import pytest

RIGHT, WRONG = "def double(n):\n    return 2 * n", "def double(n):\n    return n"


def ended(code: str, *tests: str) -> str:
    """Return the last line of a run in an interpreter of its own: the suite changes modules."""
    program = (
        f"import sys\nfrom optimizer.grading.sandbox.suite import run_tests\nspace = {{}}\nexec({code!r}, space)\n"
        f"run_tests({list(tests)!r}, space)\nprint('passed')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    return (done.stdout + done.stderr).strip().rpartition("\n")[2]


FORMS = [
    "assert double(2) == 4",
    "def test_double():\n    assert double(2) == 4",
    """
class TestDouble:
    def setup_method(self):
        self.n = 2
    def test_it(self):
        assert double(self.n) == 4
""",
    """
import unittest
class Case(unittest.TestCase):
    def test_it(self):
        self.assertEqual(double(2), 4)
unittest.main()
""",
    """
import pytest
@pytest.mark.parametrize('n, twice', [(0, 0), (2, 4)])
def test_double(n, twice):
    assert double(n) == twice
""",
    """
import pytest
@pytest.mark.slow
def test_double():
    assert double(0.1) == pytest.approx(0.2)
""",
    """
from pytest import approx
def test_double():
    assert [double(1)] == approx([2.0])
    assert {'a': double(1)} == approx({'a': 2})
""",
]
RAISES = """
import pytest
def test_f():
    with pytest.raises(ValueError, match='{}') as caught:
        f({})
    assert caught.type
"""


@pytest.mark.parametrize("test", FORMS)
def test_a_form_of_tests_passes_for_right_code_and_fails_for_wrong(test: str) -> None:
    """None of them is passed over."""
    assert ended(RIGHT, test) == "passed"
    assert ended(WRONG, test).startswith("AssertionError")


def test_raises_needs_the_right_error_with_the_right_words() -> None:
    """As pytest's does."""
    code = "def f(n):\n    raise ValueError('too small') if n < 0 else TypeError"
    test = RAISES
    assert ended(code, test.format("small", -1)) == "passed"
    assert ended(code, test.format("large", -1)).startswith("AssertionError")
    assert ended(code, test.format("small", 1)).startswith("TypeError")
    assert ended("def f(n): pass", test.format("small", 1)).startswith("AssertionError: did not raise")


def test_a_skipped_test_is_skipped_and_one_with_fixtures_is_not_supported() -> None:
    """Neither is a failure of the code."""
    assert ended(WRONG, "import pytest\n@pytest.mark.skip\ndef test_double():\n    assert double(2) == 4") == "passed"
    assert "fixtures (tmp_path)" in ended(RIGHT, "def test_double(tmp_path):\n    pass")
