"""Whatever arrives on the socket: OpenAI's status and shape of error, never a 500, never a hang, and no harm to others.

Requests are written byte by byte to a real gateway, because a well-behaved client library could not send them.
"""

import asyncio
import contextlib
import copy
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.passthrough import OTHER_METHODS
from gateway.app import build_upstream
from gateway.domain import Activation, Rule, RuleSet, Scratchpad
from gateway.store.memory import MemoryStore
from optimizer.demo.loopback import loopback_server
from tests import fakes
from tests.fakes import completion, events, read_request

LIMIT_S = 10
"""Seconds after which an answer that has not come counts as a hang."""
LIMIT_BYTES = 1_000_000
CONFIG = """
[server]
port = 0
default_upstream = "mock"
max_body_mb = 1
[upstreams.mock]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.small]
upstream = "mock"
model = "tiny-1b"
[tasks.none]
weak = "small"
strong = "small"
fallback = ["small"]
[tasks.tags]
weak = "small"
strong = "small"
[tasks.two_pass]
weak = "small"
strong = "small"
[tasks.recognised]
match = { system_prompt = "never there" }
weak = "small"
strong = "small"
[optimizer]
enabled = false
"""

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
ENDPOINTS: dict[str, dict[str, Any]] = {
    # path: a valid body with every field that the gateway looks at, and some that it does not
    "/v1/chat/completions": {
        "model": "task:none",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]},
        ],
        "stream": False, "stream_options": {"include_usage": True}, "metadata": {"task": "none"}, "n": 1,
        "max_tokens": 5, "max_completion_tokens": 5, "stop": ["x"], "logprobs": False, "tools": [TOOL],
        "functions": [], "response_format": {"type": "text"}, "temperature": 0.5, "seed": 1, "user": "me",
    },
    "/v1/completions": {
        "model": "small", "prompt": "2 + 2?", "stream": False, "stream_options": {"include_usage": True},
        "max_tokens": 5,
    },
    "/v1/embeddings": {"model": "small", "input": ["a"], "encoding_format": "float", "dimensions": 2},
    "/v1/responses": {
        "model": "task:none", "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "2 + 2?"}]}],
        "stream": False, "metadata": {"task": "none"}, "max_output_tokens": 5, "text": {"format": {"type": "text"}},
        "tools": [TOOL], "background": False, "previous_response_id": "resp_1",
    },
    "/v1/messages": {
        "model": "task:none", "max_tokens": 5, "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "4"}]},
        ],
        "stream": False, "metadata": {"user_id": "me"}, "stop_sequences": ["x"], "temperature": 0.5, "top_k": 5,
        "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto"},
        "thinking": {"type": "disabled"}, "output_config": {"effort": "low"},
    },
    "/v1/feedback": {"id": "chatcmpl-1", "correct": True, "score": 0.5, "expected": "4", "comment": "no"},
    "/v1/moderations": {"model": "small", "input": "a"},
}  # fmt: skip
NEEDED = {"model", "messages", "prompt", "input", "id", "max_tokens"}
MODELS = ["task:none", "task:tags", "task:two_pass", "elsewhere"]
PASSED_THROUGH = {"/v1/moderations"}
"""Paths whose bodies nobody looks at."""
ANTHROPIC = {"/v1/messages"}
"""Paths whose errors have Anthropic's shape."""
READ = sorted(ENDPOINTS.keys() - PASSED_THROUGH)
every_endpoint = pytest.mark.parametrize("path", sorted(ENDPOINTS))
every_read_endpoint = pytest.mark.parametrize("path", READ)


async def obliging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream on a socket that answers everything as its path promises, without a look at the body."""
    while True:
        line, _, body = await read_request(reader)
        method, target, _ = line.split(" ")
        path = target.partition("?")[0].removeprefix("/v1")
        kind, answer = "application/json", b'{"object": "list", "data": []}'
        stream = b'"stream":true' in body.replace(b" ", b"")
        if path == "/responses":
            response = {"id": "resp_1", "object": "response", "status": "completed", "output": []}
            event = {"type": "response.completed", "response": response}
            answer = b"data: %s\n\n" % json.dumps(event).encode() if stream else json.dumps(response).encode()
        elif path in ("/chat/completions", "/completions"):
            answer = b"".join(events(["4"])) if stream else completion("4")
        if stream and path in ("/responses", "/chat/completions", "/completions"):
            kind = "text/event-stream"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n\r\n"
        writer.write(head.encode() + (b"" if method == "HEAD" else answer))


def taught() -> MemoryStore:
    """A store in which every task has a rule, in its own form of scratchpad."""
    store = MemoryStore()
    forms: dict[str, Scratchpad] = {"none": "none", "tags": "tags", "two_pass": "two_pass"}
    for task, form in forms.items():
        version = store.publish(RuleSet(task=task, scratchpad=form, rules=(Rule(text="Think."),))).version
        store.activate(Activation(task=task, version=version, created=0, by="test"))
    return store


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a gateway that runs in a thread of its own for all of these tests."""
    ready: list[str] = []
    started, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with loopback_server(obliging) as upstream:
            config = fakes.settings(CONFIG.replace("http://127.0.0.1:9/v1", upstream))
            made = fakes.services(config, {"mock": build_upstream("mock", config)}, taught())
            async with fakes.gateway(made) as url:
                ready.append(url)
                started.set()
                await stop.wait()

    loop = uvloop.new_event_loop()  # as in production
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert started.wait(LIMIT_S)
    yield int(ready[0].rpartition(":")[2])
    loop.call_soon_threadsafe(stop.set)
    thread.join(LIMIT_S)
    loop.close()


@pytest.fixture(autouse=True)
def healthy(port: int) -> Iterator[None]:
    """After each of these tests somebody else's request is answered."""
    yield
    body = {"model": "small", "messages": [{"role": "user", "content": "2 + 2?"}]}
    (answer,) = talk(port, request("/v1/chat/completions", json.dumps(body).encode()))
    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"] == "4"


class Answer(NamedTuple):
    """A response as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(path: str, body: bytes, *headers: str, method: str = "POST", version: str = "1.1") -> bytes:
    """A request with a truthful length; a header that is given replaces the usual one of that name."""
    usual = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body))}
    named = {header.partition(":")[0].lower() for header in headers}
    lines = [f"{name}: {value}" for name, value in usual.items() if name.lower() not in named]
    head = "\r\n".join([f"{method} {path} HTTP/{version}", *lines, *headers])
    return head.encode("latin-1") + b"\r\n\r\n" + body


@contextlib.contextmanager
def line_to(port: int) -> Iterator[Callable[[bytes], Answer]]:
    """Asks one request after the other on one connection."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection,
        connection.makefile("rb") as stream,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else large bodies wait for delayed ACKs

        def ask(sent: bytes) -> Answer:
            connection.sendall(sent)
            answer = read_answer(stream, "POST")
            assert answer is not None, "the connection was closed without an answer"
            return answer

        yield ask


def talk(port: int, *pieces: bytes, answers: int = 1, method: str = "POST") -> list[Answer]:
    """Send bytes and read that many answers, or fewer if the connection ends. A time-out is a hang and raises."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # answered before all of it was sent
            for piece in pieces:
                connection.sendall(piece)
        with connection.makefile("rb") as stream, contextlib.suppress(ConnectionResetError):
            found: list[Answer] = []
            while len(found) < answers and (answer := read_answer(stream, method)) is not None:
                found.append(answer)
            return found
    return []


def read_answer(stream: Any, method: str) -> Answer | None:
    """The next response, interim ones skipped; ``None`` at the end of the connection."""
    status = 100
    headers: dict[str, str] = {}
    while status < 200:
        line = stream.readline().decode("latin-1")
        if not line:
            return None
        status = int(line.split(" ")[1])
        lines = [header.decode("latin-1").strip() for header in iter(stream.readline, b"\r\n")]
        headers = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in lines)}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(stream.readline(), 16):
            body += stream.read(size + 2)[:-2]
        stream.readline()
    elif method != "HEAD" and status != 204:
        body = stream.read(int(headers["content-length"])) if "content-length" in headers else stream.read()
    return Answer(status, headers, body)


def fault(path: str, answer: Answer) -> dict[str, Any]:
    """The error of a refusal, in the shape that the API's clients read."""
    assert 400 <= answer.status < 500, answer
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    if path in ANTHROPIC:
        assert body["type"] == "error" and body["error"].keys() >= {"type", "message"}
        assert body["error"]["type"] in ANTHROPIC_ERRORS
    else:
        assert body.keys() == {"error"} and body["error"].keys() == {"message", "type", "param", "code"}
        assert body["error"]["type"] == "invalid_request_error"
    error: dict[str, Any] = body["error"]
    assert isinstance(error["message"], str) and error["message"]
    return error


def judge(path: str, answer: Answer) -> None:
    """An answer as it must be to anything: a result, or a refusal in the right shape."""
    if answer.status >= 300:
        fault(path, answer)
    assert b"internal error" not in answer.body


def body_of(path: str, **changes: Any) -> bytes:
    return json.dumps({**ENDPOINTS[path], **changes}).encode()


ANTHROPIC_ERRORS = ("invalid_request_error", "not_found_error", "permission_error", "request_too_large")
DEEP = 40_000
"""Below the limit on values, which would be another answer."""
DEEPLY = {
    "lists": b"[" * DEEP + b"]" * DEEP,
    "objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "open lists": b"[" * DEEP,
    "messages": b'[{"role":"user","content":' * (DEEP // 10) + b'"x"' + b"}]" * (DEEP // 10),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a document has values, itself included."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def with_raw(document: Any, place: tuple[Any, ...], fragment: bytes) -> bytes:
    """The document as JSON with any bytes at one place."""
    if not place:
        return fragment
    changed = copy.deepcopy(document)
    target = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = "<here>"
    return json.dumps(changed).encode().replace(b'"<here>"', fragment)


def lean(document: dict[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
    """A document with what it needs and one more field: nothing that would keep a scratchpad away."""
    return {key: value for key, value in document.items() if key in {*NEEDED, *place[:1]}}


def variants(path: str) -> Iterator[tuple[dict[str, Any], tuple[Any, ...]]]:
    """Every place of a request, for every form in which the request can go on."""
    document = ENDPOINTS[path]
    for place in places(document):
        yield document, place
        if "model" in document:
            for model in MODELS:
                yield lean({**document, "model": model}, place), place


@every_read_endpoint
def test_deep_nesting_is_refused_or_passed_on(port: int, path: str) -> None:
    """A hundred thousand brackets in any field: no recursion of ours runs out of stack."""
    with line_to(port) as ask:
        for document, place in variants(path):
            for fragment in DEEPLY.values():
                judge(path, ask(request(path, with_raw(document, place, fragment))))


@every_read_endpoint
@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"\x00", b"{", b"}", b"null", b"5", b'"text"', b"[]", b"{]", b"{'model': 'x'}", b"\xef\xbb\xbf{}",
        b"\xff\xfe{}", b'{"model": "\xff"}', b'{"\xff": 1}', b"a=b&c=d", b"NaN", b'{"x": NaN}', b"{} {}", b"{}x",
        "{}".encode("utf-16"), b'{"model": }', b'{"model": "x",}', b'{"model"}', b'{"a": 01}', b'{"a": .5}',
        b'{"a": "\n"}', b"--x\r\nContent-Disposition: form-data\r\n\r\n--x--", b"\x1f\x8b\x08\x00",
        *DEEPLY.values(),
    ],
    ids=lambda body: ascii(body[:20]),
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(port: int, path: str, body: bytes) -> None:
    """400, and the message does not hold the body."""
    (answer,) = talk(port, request(path, body))
    error = fault(path, answer)
    assert answer.status == 400
    assert len(error["message"]) < 300


WRONG = [
    b"null", b"true", b"0", b"-1", b"1.5", b"1e999", b"-0", b"1" * 400, b"NaN", b"-Infinity", b'""', b'"x"', b"[]",
    b"{}", b"[null]", b"[[]]", b'[""]', b'{"": null}', b'[{"type": "text"}]', b'[{"type": "text", "text": 5}]',
    b'[{"text": "x"}]', b'{"type": 5}', b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"\x00"', b"", b"[1,]", b"nul",
    b'"task:gone"', b'"task:"', b'"' + b"x" * 100_000 + b'"', b'"\\ud83d\\ude00"', b"9223372036854775808",
]  # fmt: skip


@every_read_endpoint
def test_a_value_of_any_wrong_type_is_refused_or_passed_on(port: int, path: str) -> None:
    """In every field, for every form in which a request can go on."""
    with line_to(port) as ask:
        for document, place in variants(path):
            for wrong in WRONG:
                judge(path, ask(request(path, with_raw(document, place, wrong))))


@st.composite
def damaged(draw: st.DrawFn, path: str) -> bytes:
    """A valid request with fields left out, values replaced, keys said twice, bytes cut or changed."""
    document = {key: value for key, value in ENDPOINTS[path].items() if key in NEEDED or draw(st.booleans(), label=key)}
    if "model" in document:
        document["model"] = draw(st.sampled_from(MODELS))
    if "stream" in document:
        document["stream"] = draw(st.booleans())
    place = draw(st.sampled_from([*places(document)][1:]))
    fragment = draw(st.sampled_from(WRONG) | st.binary(max_size=5))
    if draw(st.booleans()) and isinstance(place[-1], str):
        fragment = b'"first", ' + json.dumps(place[-1]).encode() + b": " + fragment
    body = with_raw(document, place, fragment)
    cut = draw(st.none() | st.integers(0, len(body)))
    return body if cut is None else body[:cut] + draw(st.binary(max_size=3)) + body[cut + draw(st.integers(0, 3)) :]


@every_read_endpoint
def test_a_damaged_request_is_refused_or_passed_on(port: int, path: str) -> None:
    """Whatever is left of it."""

    @settings(max_examples=200)
    @given(damaged(path))
    def holds(body: bytes) -> None:
        judge(path, ask(request(path, body)))

    with line_to(port) as ask:
        holds()


@every_read_endpoint
@pytest.mark.parametrize("stream", ["yes", 1, 0, [], {}, "true"])
def test_a_stream_that_is_neither_on_nor_off_is_refused(port: int, path: str, stream: Any) -> None:
    """OpenAI names the parameter; so does the gateway."""
    if "stream" not in ENDPOINTS[path]:
        pytest.skip("this endpoint has no stream")
    (answer,) = talk(port, request(path, body_of(path, stream=stream)))
    assert answer.status == 400
    error = fault(path, answer)
    assert "stream" in error["message"]
    assert path in ANTHROPIC or error["param"] == "stream"


@every_endpoint
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_refused(port: int, path: str, declared: bool) -> None:
    """413, whether its size was said before or comes to light on the way; feedback has a smaller limit."""
    body = body_of(path) + b" " * LIMIT_BYTES
    if declared:
        pieces = [request(path, body)]
    else:
        pieces = [request(path, b"", "Transfer-Encoding: chunked", "Content-Length-Not: 0").replace(
            b"Content-Length: 0\r\n", b""
        )]  # fmt: skip
        pieces += [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[: len(body) // 2], body[len(body) // 2 :])]
        pieces += [b"0\r\n\r\n"]
    (answer,) = talk(port, *pieces)
    assert answer.status == 413
    fault(path, answer)


@every_endpoint
def test_a_body_that_is_only_announced_is_refused_before_it_comes(port: int, path: str) -> None:
    """A client that asks first, or sends slowly, need not send what will not be taken."""
    head = request(path, b"", "Content-Length: 99999999999999999999", "Expect: 100-continue")
    for answer in talk(port, head):
        assert answer.status in (400, 413)
    (answer,) = talk(port, request(path, b"", f"Content-Length: {LIMIT_BYTES + 1}", "Expect: 100-continue"))
    assert answer.status == 413


@every_endpoint
def test_a_chunked_body_is_taken(port: int, path: str) -> None:
    """Split anywhere."""
    body = body_of(path)
    head = request(path, b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    chunks = [b"1\r\n%c\r\n" % byte for byte in body]
    (answer,) = talk(port, head, *chunks, b"0\r\n\r\n")
    judge(path, answer)


@every_endpoint
@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Type: text/plain"],
        ["Content-Type: multipart/form-data; boundary=x"],
        ["Content-Type: application/x-www-form-urlencoded"],
        ["Content-Type:"],
        ["Content-Type: \xff/\xfe"],
        ["Content-Type: application/json; charset=utf-16"],
        ["Content-Encoding: gzip"],
        ["Accept: text/html", "Accept-Encoding: nothing"],
        ["Authorization: \xff\xfe"],
        ["Cookie: " + "a=b; " * 100],
        ["X-Preceptor-Task: gone"],
        ["X-Preceptor-Task: none", "X-Preceptor-Task: gone"],
        ["X-Preceptor-Task: \xff"],
        ["Upgrade: websocket", "Connection: Upgrade"],
        ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: x"],
        ["Connection: close"],
        ["Host:"],
        ["Host: [::1", "X-Forwarded-Host: \xff", "X-Forwarded-For: x"],
        ["Range: bytes=0-1", "If-None-Match: *", "If-Match: x"],
    ],
    ids=lambda headers: ascii(headers[0]),
)
def test_odd_headers_do_no_harm(port: int, path: str, headers: list[str]) -> None:
    """The body is JSON whatever the header calls it, as with OpenAI's SDKs behind odd proxies; or it is refused."""
    (answer,) = talk(port, request(path, body_of(path), *headers))
    judge(path, answer)


@every_endpoint
@pytest.mark.parametrize("headers", [["Host: a", "Host: b"], ["Host: a", "host: a"]], ids=ascii)
def test_a_second_host_is_refused(port: int, path: str, headers: list[str]) -> None:
    """By the server itself, in OpenAI's shape: another server in the chain may go by another of them."""
    (answer,) = talk(port, request(path, body_of(path), *headers))
    assert answer.status == 400 and answer.headers["connection"] == "close"


@every_endpoint
def test_a_request_without_a_content_type_is_served(port: int, path: str) -> None:
    """As with curl -H 'content-type:'."""
    sent = request(path, body_of(path)).replace(b"Content-Type: application/json\r\n", b"")
    (answer,) = talk(port, sent)
    judge(path, answer)


@pytest.mark.parametrize(
    "headers",
    [
        [f"X-{number}: {number}" for number in range(20_000)],
        ["X-Same: x"] * 20_000,
        ["X-Long: " + "x" * 2_000_000],
        ["X" * 500_000 + ": x"],
        ["Cookie: " + "a=b; " * 200_000],
    ],
    ids=["many", "many of one name", "long value", "long name", "long cookie"],
)
def test_a_flood_of_headers_ends(port: int, headers: list[str]) -> None:
    """It is refused, or read to its end; the server is there afterwards."""
    path = "/v1/chat/completions"
    for answer in talk(port, request(path, body_of(path), *headers)):
        assert answer.status in (200, 400, 431)


def test_a_head_that_does_not_end_is_cut_off(port: int) -> None:
    """Before it has cost more than a body may."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"GET /livez HTTP/1.1\r\nX-Long: " + b"x" * 3 * LIMIT_BYTES)
        connection.settimeout(0.5)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100).startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))


LONG = "x" * 100_000


def test_no_header_of_an_answer_is_as_long_as_a_client_likes(port: int) -> None:
    """A name that is passed through is one that the client chose."""
    (answer,) = talk(port, request("/v1/chat/completions", body_of("/v1/chat/completions", model=LONG, metadata={})))
    assert max(map(len, answer.headers.values())) < 4000


@pytest.mark.parametrize("target", ["/v1/chat/completions", f"/v1/models/{LONG[:60_000]}", f"/{LONG[:60_000]}"])
def test_an_error_does_not_repeat_all_that_was_sent(port: int, target: str) -> None:
    """Logs and screens are small. A model that is not known here is the default upstream's to refuse."""
    body = body_of("/v1/chat/completions", model=f"task:{LONG}") if "chat" in target else b""
    (answer,) = talk(port, request(target, body, method="POST" if body else "GET"))
    assert answer.status == (200 if target.startswith("/v1/models/") else 404)
    assert len(answer.body) < 2000


def test_what_is_no_http_is_refused_in_openai_s_shape(port: int) -> None:
    """An SDK behind a broken proxy then says what it got."""
    (answer,) = talk(port, request("/v1/chat/completions", b"{}", "X-Header: \x7f"))
    fault("/v1/chat/completions", answer)


@every_endpoint
@pytest.mark.parametrize("length", ["5", "0", "-1", "x", "1_0", "+5", "0x10", " ", "5, 5"])
def test_a_length_that_lies_is_the_end_of_the_connection_or_a_refusal(port: int, path: str, length: str) -> None:
    """What follows too short a body is not taken for a request that could do anything."""
    answers = talk(port, request(path, body_of(path), f"Content-Length: {length}"), answers=2)
    assert answers[-1].status in (200, 400)
    assert path in PASSED_THROUGH or {answer.status for answer in answers} == {400}


@every_endpoint
def test_a_body_that_breaks_off_leaves_nothing_behind(port: int, path: str) -> None:
    """A length that is too long, and a chunk that is cut: the client has gone, the next one is served."""
    for _ in range(20):
        body = body_of(path)
        for sent in (
            request(path, body, f"Content-Length: {len(body) + 5}"),
            request(path, b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"") + b"ff\r\nabc",
            request(path, body)[:-20],
            request(path, body)[:30],
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
                connection.sendall(sent)


@every_endpoint
@pytest.mark.parametrize(
    "headers",
    [
        ["Transfer-Encoding: chunked"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: identity"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Transfer-Encoding : chunked"],
        [" Transfer-Encoding: chunked"],
    ],
    ids=str,
)
def test_two_ways_to_end_a_body_are_one_too_many(port: int, path: str, headers: list[str]) -> None:
    """Request smuggling: a proxy before us may have believed the other one."""
    body = body_of(path)
    smuggled = request("/v1/models", b"", method="GET")
    lengths = [header for header in headers if header.lower().startswith("content-length")]
    sent = request(path, body + smuggled, *(lengths or [f"Content-Length: {len(body + smuggled)}"]), *(
        header for header in headers if header not in lengths
    ))  # fmt: skip
    answers = talk(port, sent, answers=3)
    assert len(answers) <= 1
    assert all(answer.status in (200, 400) for answer in answers)


@every_endpoint
@pytest.mark.parametrize("method", sorted(OTHER_METHODS))
def test_another_method_is_for_the_default_upstream(port: int, path: str, method: str) -> None:
    """It may hold what was stored there. Feedback is ours alone."""
    (answer,) = talk(port, request(path, body_of(path), method=method), method=method)
    assert answer.status in ((405, 204) if path == "/v1/feedback" else (200, 204))


@every_endpoint
@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_a_method_that_is_part_of_no_api_is_refused(port: int, path: str, method: str) -> None:
    """405 in the API's shape, never passed on."""
    (answer,) = talk(port, request(path, body_of(path), method=method), method=method)
    assert answer.status == 405
    fault(path, answer)


@pytest.mark.parametrize("version", ["1.0", "0.9", "2.0", "1.2", "9.9", "x"])
def test_other_versions_of_http_are_answered_or_refused(port: int, version: str) -> None:
    """HTTP/1.0 gets its reply and the end of the connection; a stream too."""
    path = "/v1/chat/completions"
    for stream in (False, True):
        answers = talk(port, request(path, body_of(path, stream=stream), version=version), answers=2)
        assert len(answers) <= 1 or version != "1.0"
        assert all(answer.status in (200, 400, 505) for answer in answers)
        assert version != "1.0" or (answers[0].status == 200 and b"4" in answers[0].body)


NAMES = [
    "small", "task:none", "gone", "", "/", "//", "..", "../models", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc", "a/b/c", "a%2Fb", "%00", "%ff", "%", "%zz", "%F0%9F%98%80", "%0d%0aX-Evil:%20yes",
    "a?b=c", "a?%ff=%zz&&=", "a;b", "a#b", "x" * 60_000, "%25" * 5_000, ".", "small/", "small/..",
    "small?" + "&" * 9_000, "\\..\\..", "{name}", "$.a", "'", '"', "<script>", "~",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:30]))
def test_any_name_of_a_model_is_found_or_not(port: int, name: str) -> None:
    """200 with that model, or OpenAI's 404; no name leaves its place, nothing of it gets into a header."""
    path = f"/v1/models/{name}"
    for answer in talk(port, request(path, b"", method="GET")):
        assert answer.status in (200, 400, 404)
        assert "x-evil" not in answer.headers
        if answer.status == 200:
            body = answer.json()
            assert body["object"] in ("model", "list")
        elif answer.headers.get("content-type", "").startswith("application/json"):
            fault(path, answer)


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v1", "/v1/", "/v2/chat/completions", "/V1/chat/completions", "/v1//chat/completions",
        "/v1/chat/completions/", "/v1/chat/completions/x", "/v1/chat/completions%2f", "/v1/chat/%63ompletions",
        "/v1/../v1/chat/completions", "/v1/./models", "/livez/..", "/%2e%2e/%2e%2e/etc/passwd", "/metrics%00",
        "/v1/files/../../admin", "/v1/files/%2e%2e/%2e%2e/admin", "/v1/files/..%2f..%2fadmin", "/v1/%ff", "/v1/%zz",
        "/v1/x?y=%ff&z", "/v1/x%0d%0aX-Evil:%20yes", "/v1/" + "x" * 60_000, "/v1/" + "a/" * 20_000,
        "http://gateway/v1/models", "http://elsewhere.example/v1/models", "https://u:p@gateway/v1/models?x",
        "gateway:443", "*", "//elsewhere.example/v1/models", "v1/models", "\\v1\\models", "/v1/mod els",
        "/v1/models\t", "/v1/caf\xe9", "",
    ],
    ids=lambda path: ascii(path[:40]),
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_any_address_is_answered(port: int, path: str, method: str) -> None:
    """With a result or a refusal; what is passed through never climbs above ``/v1``."""
    for answer in talk(port, request(path, b"{}", method=method), answers=1):
        assert answer.status < 500
        assert "x-evil" not in answer.headers
        if answer.status >= 400 and answer.headers.get("content-type", "").startswith("application/json"):
            fault(path, answer)


@every_endpoint
def test_requests_in_a_row_are_answered_in_their_order(port: int, path: str) -> None:
    """Pipelined on one connection, good ones and bad ones, streams among them."""
    good = {"model": "small", "messages": [{"role": "user", "content": "2 + 2?"}]}
    chat = "/v1/chat/completions"
    requests = [
        request(chat, json.dumps(good).encode()),
        request(path, b"{"),
        request(chat, json.dumps({**good, "stream": True}).encode()),
        request("/v1/models", b"", method="GET"),
        request(path, body_of(path)),
        request(chat, json.dumps({**good, "model": "task:gone"}).encode()),
        request("/livez", b"", method="GET"),
    ]
    answers = talk(port, b"".join(requests * 3), answers=len(requests) * 3)
    assert len(answers) == len(requests) * 3
    for first in range(0, len(answers), len(requests)):
        whole, broken, stream, models, own, gone, alive = answers[first : first + len(requests)]
        assert (whole.status, stream.status, models.status, gone.status, alive.status) == (200, 200, 200, 404, 200)
        assert stream.body.endswith(b"data: [DONE]\n\n")
        judge(path, broken)
        judge(path, own)


CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n", b"\x00" * 1000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-x\r\n",
        b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"GET / HTTP/1.1\r\nX\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", b"GET / HTTP/1.1\nHost: x\n\n", b"GET  /  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", b"GET /" + b"x" * 3_000_000, b"\xff" * 5000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", CHUNKED + b"ffffffffffffffffff\r\n", CHUNKED + b"-1\r\n\r\n",
        CHUNKED + b"2;" + b"x" * 9000 + b"\r\n{}\r\n0\r\n\r\n", CHUNKED + b"0\r\nX-Trailer: y\r\n\r\n",
    ],
    ids=lambda sent: ascii(sent[:40]),
)  # fmt: skip
def test_what_is_no_http_is_refused_or_cut_off(port: int, sent: bytes) -> None:
    """A refusal, or silence from a server that waits for the rest; never an answer to something else."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        connection.settimeout(0.2)
        with contextlib.suppress(TimeoutError, ConnectionResetError), connection.makefile("rb") as stream:
            answer = read_answer(stream, "GET")
            assert answer is None or 400 <= answer.status < 500
