"""News of decisions about rule sets, from Postgres to every gateway at once. Polling stays behind it."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

import psycopg

from gateway.errors import StoreError
from gateway.store.postgres import PostgresAddress, explain

log = logging.getLogger(__name__)

CHANNEL = "preceptor_rules"
"""Notified by a trigger on ``activations``."""
_LOOK_S = 0.2
_PAUSE_S = 1.0


@contextlib.contextmanager
def listening(address: str, heard: Callable[[], None], *, pause_s: float = _PAUSE_S) -> Iterator[None]:
    """Call ``heard`` in a thread after every decision, and after each start of listening, while the context is open.

    A lost connection is made anew after ``pause_s`` seconds. Raises ``StoreError`` for a malformed address.
    """
    place, stopping = PostgresAddress(address), threading.Event()
    thread = threading.Thread(target=_listen, args=(place, heard, stopping, pause_s), name="listener", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _listen(place: PostgresAddress, heard: Callable[[], None], stopping: threading.Event, pause_s: float) -> None:
    down = False
    while not stopping.is_set():
        try:
            with contextlib.closing(place.connect(pause_s, autocommit=True)) as connection:
                connection.execute(f"LISTEN {CHANNEL}".encode())
                down = False
                heard()  # what was decided before
                while not stopping.is_set():
                    for _ in connection.notifies(timeout=_LOOK_S, stop_after=1):
                        heard()
        except psycopg.Error as error:
            if not down:
                why = StoreError(explain(error, place.name))
                log.warning("decisions are found by polling only: %s", why, extra={"action": "rules.listen"})
            down = True
            stopping.wait(pause_s)
