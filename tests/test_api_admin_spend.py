"""``/admin/spend``: money over HTTP."""

import asyncio
from typing import Any

import pytest

from gateway.settings.keys import digest
from tests.fakes import CONFIG, FakeUpstream, Served, asked, served

SEES = "sees-0123456789abcdef"
PRICES = {"tiny-1b": "1, output = 1", "huge-1t": "10, output = 10"}
TEXT = CONFIG + f'[keys.sees]\nhash = "{digest(SEES)}"\nrole = "read"\nowner = "ops"\n'
for model, price in PRICES.items():
    TEXT = TEXT.replace(f'model = "{model}"', f'model = "{model}"\nprice = {{ input = {price} }}')
HEADERS = {"authorization": f"Bearer {SEES}"}


async def spent(gateway: Served) -> Any:
    return (await gateway.client.get("/admin/spend?by=owner&days=2", headers=HEADERS)).json()


async def test_what_was_served_is_seen_a_moment_later() -> None:
    """By the model's price, with what the strong model would have cost."""
    async with served(FakeUpstream(lambda body: "4"), TEXT) as gateway:
        await gateway.client.post("/v1/chat/completions", json=asked(), headers=HEADERS)
        async with asyncio.timeout(10):
            while not (made := (await gateway.client.get("/admin/spend?by=owner&days=2", headers=HEADERS)).json())[
                "lines"
            ]:
                await asyncio.sleep(0.05)
    (line,) = made["lines"]
    assert (line["name"], line["requests"], line["prompt_tokens"]) == ("ops", 1, 7)
    assert (round(line["usd"], 9), round(line["saved_usd"], 9)) == (0.00001, 0.00009)


@pytest.mark.parametrize("query", ["by=colour", "days=0", "days=100000", "days=x"])
async def test_an_odd_question_is_refused(query: str) -> None:
    """400, with the reason."""
    async with served(FakeUpstream(lambda body: "4"), TEXT) as gateway:
        assert (await gateway.client.get(f"/admin/spend?{query}", headers=HEADERS)).status_code == 400
