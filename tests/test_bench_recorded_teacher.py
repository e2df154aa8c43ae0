"""The replaying server of the benchmark: recorded once, given again, refused without a recording."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from tests.bench.distillation.live.teacher import Recorder, teaching


def body(records: str, step: str = "Step 1: Find them.") -> dict[str, Any]:
    """A question to a strong model."""
    return {"model": "strong", "messages": [{"role": "user", "content": f"Records:\n{records}\n\n{step}"}]}


def text(answer: tuple[int, bytes]) -> str:
    return str(json.loads(answer[1])["choices"][0]["message"]["content"])


@contextmanager
def strong_model(asked: list[dict[str, Any]]) -> Iterator[str]:
    """Answers with the number of the request; yields its address up to ``/v1``."""

    class Strong(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            reply = json.dumps({"choices": [{"message": {"content": f"answer {len(asked)}"}}]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Strong)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def test_an_answer_is_asked_for_once_and_replayed_with_its_author(tmp_path: Path) -> None:
    file, asked = tmp_path / "t.jsonl", list[dict[str, Any]]()
    with strong_model(asked) as address:
        recorder = Recorder(file, address, by="a frontier model", day="2026-11-29")
        assert [text(recorder.answer("ours", body("a"))) for _ in range(2)] == ["answer 1", "answer 1"]
        assert text(recorder.answer("ours", body("b"))) == "answer 2"
    assert len(asked) == 2 and recorder.used["ours"].calls == 3
    replayed = Recorder(file, None, by="", day="")
    assert text(replayed.answer("ours", body("b"))) == "answer 2"
    assert {(one.by, one.day) for one in replayed.recorded.values()} == {("a frontier model", "2026-11-29")}
    assert replayed.used["ours"].inexact == 0


def test_a_request_of_the_same_kind_gets_the_next_recorded_answer_and_is_counted(tmp_path: Path) -> None:
    """Another machine's weak model makes other mistakes; the questions about them are the same."""
    file = tmp_path / "t.jsonl"
    with strong_model([]) as address:
        recorder = Recorder(file, address, by="x", day="y")
        for records in ("a", "b"):
            recorder.answer("ours", body(records))
    replayed = Recorder(file, None, by="", day="")
    assert [text(replayed.answer("ours", body(records))) for records in ("c", "d")] == ["answer 1", "answer 2"]
    assert replayed.used["ours"].inexact == 2
    assert replayed.answer("ours", body("e"))[0] == 404
    assert replayed.answer("ours", body("a", step="Step 1: Something else."))[0] == 404


def test_questions_without_steps_are_told_apart_by_their_system_message_or_their_first_line(tmp_path: Path) -> None:
    def chat(records: str, first: str, system: str = "") -> dict[str, Any]:
        told = [{"role": "system", "content": system}] if system else []
        return {"model": "strong", "messages": [*told, {"role": "user", "content": f"{first}\n{records}"}]}

    with strong_model([]) as address:
        recorder = Recorder(tmp_path / "t.jsonl", address, by="", day="")
        for asked in (chat("a", "Improve this:"), chat("a", "x", "Your fields are: rules.")):
            recorder.answer("gepa", asked)
    replayed = Recorder(tmp_path / "t.jsonl", None, by="", day="")
    assert text(replayed.answer("gepa", chat("b", "y", "Your fields are: rules."))) == "answer 2"
    assert text(replayed.answer("gepa", chat("b", "Improve this:"))) == "answer 1"
    assert replayed.answer("gepa", chat("b", "Mend this:"))[0] == 404


def test_a_row_can_be_told_what_it_has_asked(tmp_path: Path) -> None:
    with strong_model([]) as address, teaching(Recorder(tmp_path / "t.jsonl", address, by="", day="")) as desk:
        httpx.post(f"{desk}/gepa/v1/chat/completions", json=body("a"), timeout=10)
        used = [httpx.get(f"{desk}/{row}/used", timeout=10).json() for row in ("gepa", "ours")]
    assert used == [{"characters": len(body("a")["messages"][0]["content"]) + len("answer 1")}, {"characters": 0}]
