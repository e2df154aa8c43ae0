"""Rule sets are swapped while requests run: thousands of times, and no reply knows of two."""

import asyncio
import json
import re
from typing import Any

import pytest

from gateway.domain import Rule, RuleSet, Scratchpad, TrafficSplit
from tests.fakes import FakeUpstream, asked, served

SWAPS = 10_000
CLIENTS = 8
PATH = "/v1/chat/completions"


class Honest(FakeUpstream):
    """Replies with the versions of the rules that it sees in its prompt, the first pass's included."""

    async def send(self, call: Any) -> Any:
        await asyncio.sleep(0.001)  # so that swaps fall into the middle of replies
        return await super().send(call)


def versions(body: dict[str, Any]) -> str:
    found = re.findall(r"version (\d+)", json.dumps(body))
    return " ".join(f"version {number}" for number in found) or "none"


def rule_set(version: int) -> RuleSet:
    form: Scratchpad = "two_pass" if version % 3 == 0 else "none"
    return RuleSet(
        task="arithmetic", version=version, scratchpad=form, rules=(Rule(text=f"Rule of version {version}"),)
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_ten_thousand_swaps_under_load_lose_and_mix_nothing(stream: bool) -> None:
    """Every request is answered, by one version only, which header, reply and record agree on."""
    upstream = Honest(versions)
    swapped = asyncio.Event()
    told: list[tuple[str, str, str]] = []

    async with served(upstream) as gateway:
        live = gateway.services.rules
        revision = gateway.services.store.revision()  # the store has not moved: whoever follows it changes nothing
        live.swap({"arithmetic": TrafficSplit(live=rule_set(1))}, revision)

        async def ask() -> None:
            while not swapped.is_set():
                reply = await gateway.client.post(PATH, json=asked(stream=stream))
                assert reply.status_code == 200
                told.append(
                    (reply.headers["x-request-id"], reply.headers["x-preceptor-rules"], said(reply.text, stream))
                )

        async def swap() -> None:
            for version in range(2, SWAPS + 2):
                live.swap({"arithmetic": TrafficSplit(live=rule_set(version))}, revision)
                if version % 25 == 0:
                    await asyncio.sleep(0.002)
            swapped.set()

        await asyncio.gather(swap(), *(ask() for _ in range(CLIENTS)))
        await asyncio.to_thread(gateway.services.writer.flush, 10)
        records = {id_: gateway.services.store.exchange(id_) for id_, _, _ in told}

    assert len(told) > 100 and len({version for _, version, _ in told}) > 50
    for id_, header, reply in told:
        record = records[id_]
        assert record is not None and str(record.rules) == header
        assert set(re.findall(r"\w+ (\d+)", reply)) == {header}


def said(text: str, stream: bool) -> str:
    if not stream:
        return str(json.loads(text)["choices"][0]["message"]["content"])
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
