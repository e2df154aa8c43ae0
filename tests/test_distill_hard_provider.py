"""``distill`` against a provider with a bad day: it ends with a verdict, and all that went wrong has its name."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import NumericGrader
from optimizer.dataset.data_file import load_examples
from optimizer.demo.loopback import loopback_server
from optimizer.distillation.plan import plan_for
from tests.fakes import completion, read_request
from tests.learning import STRONG
from tests.shell import Shell, configure, examples, teacher

FILTER = {"error": {"message": "blocked by the content filter", "type": "invalid_request_error", "param": None,
                    "code": "content_filter"}}  # fmt: skip
NO_LIMIT = {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use"
                                 " 'max_completion_tokens' instead.", "type": "invalid_request_error",
                      "param": "max_tokens", "code": "unsupported_parameter"}}  # fmt: skip
BUSY = {"error": {"message": "Slow down.", "type": "rate_limit_error", "param": None, "code": None}}


class HardProvider:
    """Refuses one question, never answers another, sends the teacher's first caller away, and takes no max_tokens."""

    def __init__(self, refused: str, silent: str) -> None:
        self._refused = refused
        self._silent = silent
        self.asked: list[dict[str, Any]] = []
        self.sent_away = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        while True:
            _, _, body = await read_request(reader)
            asked = json.loads(body)
            self.asked.append(asked)
            status, headers, payload = await self._reply(asked)
            head = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}\r\n"
            writer.write(f"{head}{headers}\r\n".encode() + payload)
            await writer.drain()

    async def _reply(self, asked: dict[str, Any]) -> tuple[int, str, bytes]:
        if asked["model"] == STRONG:
            if not self.sent_away:
                self.sent_away += 1
                return 429, "retry-after: 12\r\n", json.dumps(BUSY).encode()
            return 200, "", completion(str(teacher(asked)))
        if "max_tokens" in asked:
            return 400, "", json.dumps(NO_LIMIT).encode()
        text = asked["messages"][-1]["content"]
        if text.startswith(self._refused):
            return 400, "", json.dumps(FILTER).encode()
        if text.startswith(self._silent):
            await asyncio.sleep(60)
        return 200, "", completion(str(teacher(asked)))


@pytest.mark.drill
async def test_a_bad_day_ends_with_a_verdict_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One example refused, one without an answer in time, a pause asked for, and a field that the model refuses."""
    data = examples(tmp_path, 150)
    parts = plan_for(
        "arithmetic", load_examples(Path(data), NumericGrader()), incumbent=None, started=0.0, by="distill"
    ).parts(selection=20, confirmation=40)
    refused, silent = parts.selection[2], parts.selection[-1]
    texts = [json.loads(item.request)["messages"][-1]["content"] for item in (refused, silent)]
    provider, shell = HardProvider(*texts), Shell(tmp_path, capsys)
    async with loopback_server(provider.answer) as address:
        configure(shell.config, address)
        text = shell.config.read_text()
        shell.config.write_text(
            text.replace('kind = "openai"\n', 'kind = "openai"\nretries = 0\nfirst_byte_timeout_s = 8\n')
        )
        outcome = await shell.json("distill", "arithmetic", "--data", data, "--activate")
        code, out, _ = await shell("distill", "arithmetic", "--data", data)
    assert (outcome["verdict"], outcome["activated"]) == ("better", True)
    assert outcome["set_aside"][refused.id] == "refused: blocked by the content filter"
    assert outcome["set_aside"][silent.id].endswith("sent no status within 8 s")
    assert len(outcome["set_aside"]) == 2
    assert refused.id in outcome["note"] and silent.id in outcome["note"]
    assert provider.sent_away == 1
    assert "large asked for 1 pause(s) of at most 12 s (Retry-After), and got them" in outcome["provider"]
    assert 'small takes requests in its own form: output_limit = "max_completion_tokens"' in outcome["provider"]
    assert code == 0 and "output_limit" in out
