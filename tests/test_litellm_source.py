"""YAML from anywhere: read whole or refused in one line."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError
from gateway.litellm.source import MAX_BYTES, parse_yaml, read_source


def written(folder: Path, **files: str) -> Path:
    """Files of YAML; the path of the one that is called ``config``."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "config.yaml"


def mistake(path: Path) -> str:
    """What is said of a file that cannot be used, which is one line."""
    with pytest.raises(ConfigurationError) as caught:
        read_source(path)
    (line,) = caught.value.mistakes
    assert len(line.splitlines()) == 1
    return line


def laughs(levels: int) -> str:
    """Aliases of aliases: each level unfolds to ten of the one before."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int) -> str:
    """The same with merge keys, which double while the YAML is built."""
    lines = ["m0: &m0 {k: v}"]
    lines += [f"m{level}: &m{level} {{<<: [*m{level - 1}, *m{level - 1}]}}" for level in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("just text", "must be a mapping"),
        ("- a list", "must be a mapping"),
        ("1: 2", "must be a mapping"),
        ("a: [1", "not YAML: expected ',' or ']', but got '<stream end>' (line 1, column 6)"),
        ("a: b: c", "(line 1, column 5)"),
        ("a: 1\n---\nb: 2", "but found another document (line 2, column 1)"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a: *b", "undefined alias"),
        ("a: &a [*a]", "inside what it names"),
        ("a: 2024-13-45", "not YAML: month must be in 1..12"),
        ("a: " + "9" * 5000, "not YAML: Exceeds the limit"),
        ('a: "\\ud800"', "is not UTF-8 text"),
        ("a: \x07", "not YAML: unacceptable character"),
        ("[" * 100_000, "nested too deep"),
        (laughs(9), "unfold to more than"),
        (merges(60), "unfold to more than"),
        ("a: " + "x" * MAX_BYTES, "larger than 2 MB"),
        ("include: 5", "include: must be the name of a file"),
        ("include: [5]", "include: must be the name of a file"),
        ("include: missing.yaml", "cannot be read: No such file"),
        ('include: "\\0"', "cannot be read"),
    ],
    ids=lambda value: value[:20],
)
def test_a_file_that_cannot_be_used_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    """Bad YAML with its line, a wrong shape, or more than a configuration can be; nothing of it is run."""
    assert message in mistake(written(tmp_path, config=text))


def test_a_file_that_is_no_text_is_said_so(tmp_path: Path) -> None:
    """Such as another program's binary."""
    (tmp_path / "config.yaml").write_bytes(b"a: \xff\xfe")
    assert mistake(tmp_path / "config.yaml") == "is not UTF-8 text"


def test_aliases_and_merge_keys_are_read(tmp_path: Path) -> None:
    """They are how people share settings among models."""
    path = written(tmp_path, config="base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\n")
    assert read_source(path)["own"] == {"x": 1, "y": 3}


def test_included_files_are_merged_as_litellm_does(tmp_path: Path) -> None:
    """Lists grow, other settings are replaced, and paths start at the file that names them."""
    path = written(
        tmp_path,
        config="include: [one.yaml, two.yaml]\nmodel_list: [a]\nkept: 1\nreplaced: 1\n",
        one="model_list: [b]\nreplaced: 2\n",
        two="model_list: [c]\n",
    )
    assert read_source(path) == {"model_list": ["a", "b", "c"], "kept": 1, "replaced": 2}


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Some editors write one."""
    assert read_source(written(tmp_path, config="\ufeffa: 1")) == {"a": 1}


@given(st.binary(max_size=200) | st.text(alphabet="&*[]{}<:,-?!|>%'\" \n\tab0\\x", max_size=60).map(str.encode))
@example(b"? [a]\n: b")
@example(b"a: &a\n<<: *a")
@example(b"=: =")
def test_any_bytes_are_a_value_or_a_mistake(data: bytes) -> None:
    """No input ends in another error."""
    with contextlib.suppress(ConfigurationError):
        parse_yaml(data, "fuzz")
