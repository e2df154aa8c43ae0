"""What ``scale`` fills a gateway with: many tasks in a configuration, rule sets, exchanges and feedback in a store."""

import time
from collections.abc import Iterator
from pathlib import Path

from gateway.auth import new_key
from gateway.domain import Activation, Exchange, Feedback, Rule, RuleSet, Usage, Value
from gateway.settings.keys import digest
from gateway.store.sql import SqlStore
from tests.bench.gateway.upstreams import request_body

BATCH = 500
"""Exchanges in a transaction, as the gateway's writer does it."""
FEEDBACK_EVERY = 101
"""One exchange in so many has feedback; odd, so that every task gets some."""
PROMPT_BYTES, REPLY_BYTES = 500, 270
RULES = tuple(Rule(text=f"Rule number {number}: check the result once more before you reply.") for number in range(5))


class Size(Value, frozen=True):
    """How much there is."""

    tasks: int
    rule_sets: int
    exchanges: int
    keys: int = 0


def task_name(number: int) -> str:
    return f"task-{number:05d}"


def client_key(number: int) -> str:
    """A client's key."""
    return new_key(number.to_bytes(32, "big"))


def write_settings(file: Path, data: Path, size: Size) -> None:
    """A configuration whose tasks are recognised by their model, and whose clients have keys."""
    lines = ["[server]", f'data_dir = "{data}"', "[optimizer]", "enabled = false"]
    lines += ["[upstreams.mock]", 'kind = "openai"', 'base_url = "http://127.0.0.1:9/v1"']
    lines += ["[models.small]", 'upstream = "mock"', 'model = "tiny"']
    for number in range(size.tasks):
        name = task_name(number)
        lines += [f"[tasks.{name}]", f'match = {{ model = "{name}" }}', 'weak = "small"', 'strong = "small"']
    for number in range(size.keys):
        lines += [f"[keys.key-{number:05d}]", f'hash = "{digest(client_key(number))}"']
    file.write_text("\n".join(lines), encoding="utf-8")


def exchange_id(number: int) -> str:
    """An id as long as a real one, and in the order of time as those are."""
    return f"chatcmpl-{number:032x}"


def fill(store: SqlStore, size: Size) -> float:
    """Store rule sets, exchanges and feedback; returns how long a thousand exchanges took, in ms."""
    now = time.time()
    for number in range(size.rule_sets):
        published = store.publish(RuleSet(task=task_name(number), rules=RULES, created=now))
        store.activate(Activation(task=published.task, version=published.version, created=now, by="benchmark"))
    began = time.perf_counter()
    batch: list[Exchange] = []
    for exchange in _exchanges(size, now):
        batch.append(exchange)
        if len(batch) == BATCH:
            store.record(batch)
            batch.clear()
    store.record(batch)
    took = time.perf_counter() - began
    for number in range(0, size.exchanges, FEEDBACK_EVERY):
        store.add_feedback(
            Feedback(exchange_id=exchange_id(number), created=now, correct=number % 3 == 0, expected="88")
        )
    return took / size.exchanges * 1e6


def activate_one(store: SqlStore) -> None:
    """Another version for one task."""
    published = store.publish(RuleSet(task=task_name(0), rules=RULES, scratchpad="tags"))
    store.activate(Activation(task=published.task, version=published.version, created=time.time(), by="benchmark"))


def _exchanges(size: Size, now: float) -> Iterator[Exchange]:
    """Half of them for one task, the rest for all in turn."""
    request = request_body("any", stream=False, prompt_bytes=PROMPT_BYTES)
    reply = "The working, step by step. " * (REPLY_BYTES // 27)
    for number in range(size.exchanges):
        yield Exchange(
            id=exchange_id(number), created=now - (size.exchanges - number) / 100,
            task=task_name(0 if number % 2 else number // 2 % size.tasks),
            client_model="any", model="small", arm="weak", rules=1, stream=False,
            status="error" if number % 50 == 0 else "ok", http_status=502 if number % 50 == 0 else 200,
            request=request, reply=reply, finish_reason="stop", usage=Usage(prompt_tokens=60, output_tokens=20),
            latency_ms=800.0, first_byte_ms=790.0,
        )  # fmt: skip
