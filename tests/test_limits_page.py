"""``docs/limits.md``: it is current and whole, and the wire does what it says."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from docs import limits
from gateway.api.feedback import LONGEST_COMMENT, LONGEST_NAME
from gateway.domain import RuleSet
from gateway.errors import BadRequest
from gateway.expected import MAX_DEPTH, MAX_NUMBER
from gateway.forms.cel import MAX_DEPTH as DEEPEST_CONDITION
from gateway.forms.cel import MAX_LENGTH, MAX_NODES, parse_condition
from gateway.forms.composed import LONGEST_EXAMPLE, check_parts
from gateway.forms.none import NONE
from gateway.forms.worksheet import WorksheetForm
from gateway.forms.worksheet_fields import MOST_FIELDS
from gateway.http_server.connection import MAX_HEAD
from gateway.rules.files import read_rule_set
from gateway.settings.graders import RegexGrader
from gateway.settings.sections import Optimizer
from gateway.settings.server import Server
from gateway.settings.upstreams import UpstreamLimits
from gateway.store.base import MAX_FEEDBACK, MAX_FEEDBACK_OF_ALL
from gateway.store.memory import MemoryStore
from gateway.teaching import MOST_NEAREST, Example, Worksheet
from gateway.upstream.guarded import Guarded
from gateway.upstream.http import HttpUpstream
from optimizer.demo.loopback import loopback_server
from optimizer.distillation.induction.lint import MAX_LENGTH as LONGEST_RULE
from optimizer.distillation.induction.lint import corpus, problems
from optimizer.grading.graders import grader_for
from tests.fakes import CONFIG, FakeUpstream, asked, read_request, served, settings

BOUNDS = {bound.what: bound for bounds in limits.AREAS.values() for bound in bounds}
HERE = Path(__file__).parent
NO_BOUNDS = {
    "server.drain_s", "server.lame_duck_s", "server.heartbeat_s", "server.port", "server.workers",
    "upstreams.NAME.breaker_rest_s", "optimizer.max_output_tokens",
}  # fmt: skip
"""Numbers that bound nothing that comes from outside."""
INNER = re.compile(r"_USER$|_BACKOFF|_REST|_S$|^gateway\.litellm|^gateway\.linear_match")
"""Constants that bound pauses, and an operator's own files and patterns."""


def test_the_page_is_up_to_date() -> None:
    """It is what the code says."""
    assert limits.TARGET.read_text(encoding="utf-8") == limits.reference(), "run 'make docs' and commit docs/limits.md"


def test_every_test_on_the_page_is_there() -> None:
    """By file and name."""
    for bound in BOUNDS.values():
        file, _, name = bound.test.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (HERE / file).read_text(), re.MULTILINE), bound.test


def numbers(section: type[msgspec.Struct], path: str, names: str) -> Iterator[str]:
    """Settings of a section by the pattern of their names."""
    return (f"{path}.{one.name}" for one in msgspec.structs.fields(section) if re.search(names, one.name))


def test_no_bound_is_left_out() -> None:
    """Settings that say *most* or *how long*, and public constants of the gateway that begin with such a word."""
    wanted = {
        *numbers(Server, "server", r"^max_|_s$|_days$"),
        *numbers(UpstreamLimits, "upstreams.NAME", r"^max_|_timeout_s$|_cap_s$"),
        *numbers(Optimizer, "optimizer", r"^max_|^budget_|_cap_s$"),
    }
    for path in (HERE.parent / "gateway").rglob("*.py"):
        module = ".".join(path.relative_to(HERE.parent).with_suffix("").parts)
        names = re.findall(r"^((?:MAX|MOST|LONGEST|LARGEST)_\w+)", path.read_text(), re.MULTILINE)
        wanted |= {f"{module}:{name}" for name in names if not INNER.search(f"{module}:{name}")}
    assert wanted - NO_BOUNDS - {bound.source for bound in BOUNDS.values()} == set()


def claimed(what: str) -> tuple[int, str | None, str | None]:
    """Status, code and parameter that the page promises."""
    text = BOUNDS[what].beyond
    status, code, param = (re.search(pattern, text) for pattern in (r"`(\d{3})`", r"` `(\w+)`", r"param `(\w+)`"))
    assert status is not None
    return int(status[1]), code[1] if code else None, param[1] if param else None


SMALL = CONFIG.replace(
    "port = 0", 'port = 0\nmax_body_mb = 1\nmax_json_values = 500\nadmin_key = "an-admin-key-for-tests"'
)
CHAT = "/v1/chat/completions"
Wire = tuple[str, Callable[[str], dict[str, Any]]]
"""A path, and the arguments of a request beyond a bound, from the id of a reply."""


def judged(**fields: Any) -> Callable[[str], dict[str, Any]]:
    return lambda id_: {"json": {"id": id_, **fields}}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


WIRE: dict[str, Wire] = {
    "Head of a request": (CHAT, lambda _: {"json": asked(), "headers": {"x-long": "x" * MAX_HEAD}}),
    "Body of a request": (CHAT, lambda _: {"json": asked(user="x" * 10**6)}),
    "JSON values of a body": (CHAT, lambda _: {"json": asked(stop=["x"] * 500)}),
    "Body of an admin request": (
        "/admin/injection",
        lambda _: {
            "json": {"on": True, "why": "x" * 10**5},
            "headers": {"authorization": "Bearer an-admin-key-for-tests"},
        },
    ),
    "Body": ("/v1/feedback", judged(correct=True, comment="x" * 10**6)),
    "A comment": ("/v1/feedback", judged(correct=True, comment="x" * (LONGEST_COMMENT + 1))),
    "A labeller's name": ("/v1/feedback", judged(correct=True, labeller="x" * (LONGEST_NAME + 1))),
    "Levels of an expected answer": ("/v1/feedback", judged(expected=nested(MAX_DEPTH + 1))),
    "A number in an expected answer": ("/v1/feedback", judged(expected=MAX_NUMBER * 10)),
    "Judgements of a reply by one sender": ("/v1/feedback", judged(correct=True)),
    "Judgements of a reply by all": ("/v1/feedback", judged(correct=True, labeller="another")),
}
BEFORE: dict[str, list[dict[str, Any]]] = {
    "Judgements of a reply by one sender": [{"correct": True}] * MAX_FEEDBACK,
    "Judgements of a reply by all": [
        {"correct": True, "labeller": f"person-{number % 90}"} for number in range(MAX_FEEDBACK_OF_ALL)
    ],
}
"""Judgements that are still taken."""


@pytest.mark.parametrize("what", WIRE)
async def test_the_wire_says_what_the_page_says(what: str) -> None:
    """Status, code and parameter, over a real connection; right at the bound it is taken."""
    path, beyond = WIRE[what]
    async with served(FakeUpstream(lambda body: "4"), SMALL, MemoryStore()) as served_:
        id_ = (await served_.client.post(CHAT, json=asked())).json()["id"]
        for given in BEFORE.get(what, []):
            assert (await served_.client.post(path, json={"id": id_, **given})).status_code == 200
        reply = await served_.client.post(path, **beyond(id_))
        assert (await served_.client.post(CHAT, json=asked())).status_code == 200, "it serves on"
    status, code, param = claimed(what)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code)
    assert param is None or error["param"] == param


UPSTREAM = """
[server]
port = 0
[upstreams.mock]
kind = "openai"
base_url = "{url}"
retries = 0
max_answer_mb = 0.001
first_byte_timeout_s = 0.2
[models.small]
upstream = "mock"
model = "tiny-1b"
[optimizer]
enabled = false
"""


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("An answer", b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n" + b" " * 9000),
        ("Time to the first byte", b""),
    ],
)
async def test_an_upstream_beyond_its_bounds(what: str, answer: bytes) -> None:
    """A client reads the status and the code of the page."""

    async def handle(reader: Any, writer: Any) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()
        await reader.read()

    async with loopback_server(handle) as url:
        text = UPSTREAM.format(url=url)
        section = settings(text).upstreams["mock"]
        upstream = Guarded(HttpUpstream("mock", section, url), "mock", section)
        await upstream.open()
        async with served(upstream, text) as served_:
            reply = await served_.client.post(CHAT, json=asked("small"))
    assert (reply.status_code, reply.json()["error"]["code"]) == claimed(what)[:2]


def test_a_long_expression_grades_nothing() -> None:
    """10,000 characters are compiled, one more is not."""
    grader = grader_for(RegexGrader())
    most = limits.value(BOUNDS["A regular expression as expected answer"])
    grader.examine("a" * most)
    with pytest.raises(Exception, match=f"more than {most} characters"):
        grader.examine("a" * (most + 1))


def test_a_long_rule_is_rejected() -> None:
    """With its length as the reason."""
    known = corpus([], [], tools=[])
    rule = ("Add all parts. " * 40)[:LONGEST_RULE].rstrip()
    assert not [one for one in problems(rule, known) if "characters" in one]
    assert [one for one in problems(rule + " Then add." * 3, known) if "characters" in one]


def _fields(count: int) -> Worksheet:
    schema = {"type": "object", "properties": {f"f{number}": {"type": "string"} for number in range(count)}}
    return Worksheet(schema=schema, decisions=())


def _file(nearest: int) -> RuleSet:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"rules": [{"text": "Add all parts."}], "nearest": nearest}, file)
        file.flush()
        return read_rule_set(Path(file.name), "t")


def _nested_condition(over: int) -> Any:
    levels = DEEPEST_CONDITION - 1 + over
    return parse_condition("(" * levels + "a" + ")" * levels)


CANNOT: dict[str, Callable[[int], Any]] = {
    "A condition": lambda over: parse_condition("'" + "x" * (MAX_LENGTH - 7 + over) + "' == a"),
    "Nesting of a condition": _nested_condition,
    "Names, operators and literals of a condition": lambda over: parse_condition(
        "+".join("a" * (MAX_NODES // 2 + over))
    ),
    "Nearest examples that are shown": lambda over: _file(MOST_NEAREST + over),
    "A question or answer of an example": lambda over: check_parts(
        RuleSet(task="t", examples=(Example(question="q", answer="a" * (LONGEST_EXAMPLE + over)),))
    ),
    "Fields of a worksheet": lambda over: WorksheetForm(NONE, _fields(MOST_FIELDS + over)),
}


@pytest.mark.parametrize("what", CANNOT)
def test_what_cannot_serve_is_refused(what: str) -> None:
    """At the bound it serves, beyond it is refused."""
    CANNOT[what](0)
    with pytest.raises(BadRequest) as caught:
        CANNOT[what](1)
    assert caught.value.status == claimed(what)[0]
