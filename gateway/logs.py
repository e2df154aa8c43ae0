"""Log lines of one shape on stderr: time, level, ``action=``, message. No prompt, key or header is ever logged."""

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Final

import structlog

_TOGETHER: Final = 4096
"""Bytes that a pipe keeps together (PIPE_BUF on Linux)."""
_ABOUT_CODE: Final = (AttributeError, ImportError, NameError, OSError, TypeError)
"""Exceptions whose text names code or files. The text of any other may quote a prompt or a reply."""


def configure(level: str = "info", form: str = "auto") -> None:
    """Send every library's log lines through one formatter. ``form``: ``json``, ``text``, or by the terminal."""
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if is_text(form)
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                _without_colours,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.ExceptionRenderer(_traced),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("alembic", "apscheduler", "httpx", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def is_text(form: str) -> bool:
    """Decide whether lines are for people."""
    return form == "text" or (form == "auto" and sys.stderr.isatty())


def write(lines: str) -> None:
    """Write finished lines beside those of the loggers. Blocks while the other end of a pipe does not read.

    Holds no lock then: a logger in another thread waits for the pipe alone. Lines are written in pieces that stay
    together in a pipe: each write leaves the interpreter, and has to wait until it may come back.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            try:
                descriptor = handler.stream.fileno()
            except (OSError, ValueError):  # no file
                handler.stream.write(lines)
                continue
            for together in _pieces(lines.encode(errors="backslashreplace")):
                os.write(descriptor, together)


def _pieces(lines: bytes) -> Iterator[bytes]:
    """Return whole lines in pieces of up to 4,096 bytes; a longer line is a piece."""
    begin = 0
    while begin < len(lines):
        end = lines.rfind(b"\n", begin, begin + _TOGETHER) + 1 or lines.find(b"\n", begin) + 1 or len(lines)
        yield lines[begin:end]
        begin = end


def _traced(exc_info: structlog.typing.ExcInfo) -> str:
    """Format an exception with its causes, the first cause first."""
    return "\n\n".join(reversed([*_chain(exc_info[1])]))


def _chain(error: BaseException | None) -> Iterator[str]:
    """Yield an exception and its causes, each with where it was raised."""
    while error is not None:
        name = type(error).__name__
        text = f"{name}: {error}" if isinstance(error, _ABOUT_CODE) else name
        yield "".join(traceback.format_tb(error.__traceback__)) + text
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _chain(member)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _without_colours(_logger: object, _name: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """Drop uvicorn's second message, which is coloured for a terminal."""
    line.pop("color_message", None)
    return line
