"""Log lines of one shape on stderr: time, level, ``action=``, message. No prompt, key or header is ever logged."""

import logging
import sys

import structlog


def configure(level: str = "INFO") -> None:
    """Send every library's log lines through one formatter; JSON where stderr is not a terminal."""
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("alembic", "apscheduler", "httpx", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
