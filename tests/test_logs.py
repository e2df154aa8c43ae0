"""Log lines: one JSON object each where nobody reads along, from every library alike."""

import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """What a test sets up is undone afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("alembic", "apscheduler", "httpx", "uvicorn.access")}
    yield
    root.handlers[:], root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == "", "the output belongs to commands"
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_one_object_with_time_level_and_action(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever logs, and whatever is in the message."""
    logs.configure()
    logging.getLogger("some.library").warning("disk %s\nfull", "sda", extra={"action": "store.full", "free": 0})
    (line,) = lines(capsys)
    assert line.pop("timestamp")
    assert line == {"event": "disk sda\nfull", "level": "warning", "action": "store.full", "free": 0}


def test_an_exception_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback is a field, so that a line is still one object."""
    logs.configure()
    try:
        raise TypeError("no number")
    except TypeError:
        logging.getLogger("gateway").exception("a request failed", extra={"action": "api.bug"})
    (line,) = lines(capsys)
    assert str(line["exception"]).endswith("TypeError: no number") and __file__ in str(line["exception"])


def test_an_exception_does_not_quote_what_a_client_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    """Its type and its place stay, and those of its causes and members, the first cause first."""
    logs.configure()
    try:
        try:
            int("my secret")
        except ValueError as error:
            raise ExceptionGroup("my secret", [KeyError("my secret")]) from error
    except ExceptionGroup:
        logging.getLogger("gateway").exception("a request failed")
    (line,) = lines(capsys)
    shown = str(line["exception"])
    assert "my secret" not in shown.replace('"my secret"', "")  # the lines of this file may stand there
    assert shown.index("ValueError") < shown.index("KeyError") < shown.index("ExceptionGroup")


def test_chatty_libraries_speak_from_warning_on(capsys: pytest.CaptureFixture[str]) -> None:
    """What they say of every request is not for this log; what the gateway says is."""
    logs.configure()
    for name in ("httpx", "uvicorn.access", "apscheduler", "alembic", "gateway"):
        logging.getLogger(name).info("hello from %s", name)
    assert [line["event"] for line in lines(capsys)] == ["hello from gateway"]


def test_no_colour_reaches_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """uvicorn adds a second message for terminals; text for people is plain, too, where no terminal is."""
    for form in ("json", "text"):
        logs.configure("info", form)
        logging.getLogger("uvicorn").info("Started", extra={"color_message": "\x1b[36mStarted"})
        told = capsys.readouterr().err
        assert "Started" in told and "\x1b" not in told and "color" not in told


def test_the_level_is_the_least_weight_of_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """And finished lines stand among the others."""
    logs.configure("warning", "json")
    logging.getLogger("gateway").info("hello")
    logs.write('{"event": "request"}\n')
    assert [line["event"] for line in lines(capsys)] == ["request"]


@given(st.lists(st.text("ab\u00e4", max_size=3000), max_size=12))
def test_lines_are_written_whole_and_in_order(texts: list[str]) -> None:
    """In pieces that a pipe keeps together, but for a line that is longer by itself."""
    lines = "".join(f"{text}\n" for text in texts).encode()
    pieces = list(logs._pieces(lines))
    assert b"".join(pieces) == lines
    for piece in pieces:
        assert piece.endswith(b"\n") and (len(piece) <= 4096 or piece.count(b"\n") == 1)
