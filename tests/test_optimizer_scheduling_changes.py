"""The time of a change: estimated while the live version drifts, remembered under later versions, never put back."""

import json

from gateway.domain import Exchange, Feedback
from gateway.store.base import Graded
from gateway.store.memory import MemoryStore
from optimizer.scheduling.changes import CHANGED, changed_since
from tests.fakes import settings

SECTION = settings().tasks["arithmetic"]


def replies(*wrong: bool, version: int = 1, start: int = 0, users: int = 0, key: str | None = None) -> list[Graded]:
    """Labelled replies of a version, one a second, of so many users in turn."""
    graded = []
    for number, is_wrong in enumerate(wrong, start):
        request = {"model": "m", "messages": [{"role": "user", "content": f"What is {number} + 0?"}]}
        request |= {"user": f"u{number % users}"} if users else {}
        exchange = Exchange(
            id=f"x{number}", created=float(number), task="arithmetic", client_model="m", model=SECTION.weak, arm="weak",
            rules=version, stream=False, status="ok", http_status=200, request=json.dumps(request).encode(),
            reply="no" if is_wrong else str(number), key=key,
        )  # fmt: skip
        feedback = Feedback(exchange_id=exchange.id, created=float(number), expected=number)
        graded.append(Graded(exchange=exchange, feedback=feedback))
    return graded


def since(store: MemoryStore, own: list[Graded], *, version: int = 1) -> float:
    return changed_since(store, "t", own, SECTION, version=version)


def test_a_few_wrong_replies_are_no_change() -> None:
    """Before their number says so."""
    store = MemoryStore()
    assert since(store, replies(*[False] * 9, True, True)) == since(store, []) == 0.0
    assert CHANGED.read(store, "t") is None


def test_a_sure_rise_is_a_change_and_more_labels_mend_its_time() -> None:
    """Whatever the order of the replies."""
    store = MemoryStore()
    assert since(store, replies(*[False] * 60, *[True, False] * 15)[::-1]) == 60.0
    assert since(store, replies(*[False] * 57, True, False, False, *[True] * 40)) == 60.0


def test_nobody_alone_sets_the_others_labels_aside() -> None:
    """Wrong replies of one user are no change; those of all are."""
    rows = [False] * 200 + [number % 4 == 0 for number in range(200, 500)]
    assert since(MemoryStore(), replies(*rows)) > 0.0
    assert since(MemoryStore(), replies(*rows, users=4)) == 0.0
    assert since(MemoryStore(), replies(*[False] * 60, *[True] * 60, users=4)) == 60.0


def test_a_key_has_one_voice_whatever_users_it_names() -> None:
    """A flood of wrong replies through one key, each of another user, sets no label of the others aside."""
    honest = replies(*[False, True] * 40, users=9, key="team")
    assert since(MemoryStore(), honest + replies(*[True] * 80, start=80, users=400, key="mallory")) == 0.0
    assert since(MemoryStore(), honest + replies(*[True] * 80, start=80, users=400, key="team")) == 79.0


def test_a_change_stays_under_the_next_version_and_the_next_one_is_later() -> None:
    """What was right before the first change is not right again after the second."""
    store = MemoryStore()
    since(store, replies(*[False] * 50, *[True] * 50))
    assert since(store, replies(*[False] * 9, version=2, start=100), version=2) == 50.0
    later = replies(*[False] * 50, *[True] * 50, version=2, start=100)
    assert since(store, later, version=2) == 150.0
