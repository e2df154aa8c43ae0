"""Recorded requests without a task. They are classified again without headers, because headers are not recorded."""

from collections.abc import Mapping, Sequence

from gateway.domain import Exchange
from gateway.errors import PreceptorError
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Conversation
from gateway.formats.responses import open_responses
from gateway.routing.classify import Classifier
from gateway.settings import Task


def still_unclaimed(exchanges: Sequence[Exchange], tasks: Mapping[str, Task]) -> list[Exchange]:
    """Return the exchanges that still have no task: tasks may have been added since."""
    classifier = Classifier(tasks)
    return [exchange for exchange in exchanges if not _claimed(exchange, classifier)]


def _claimed(exchange: Exchange, classifier: Classifier) -> bool:
    try:
        return classifier.task_of(_opened(exchange.request), lambda name: None) is not None
    except PreceptorError:
        return False


def _opened(body: bytes) -> Conversation:
    try:
        return open_chat(body)
    except PreceptorError:
        return open_responses(body)
