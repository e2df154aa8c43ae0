"""Exchanges: found, and shown with our part marked."""

import msgspec

from optimizer.console.traffic import marked
from optimizer.dataset.recorded_request import RecordedTurn
from tests.consoles import console, exchange, signed_in, stocked


def turn(role: str, text: str) -> RecordedTurn:
    """A turn."""
    return RecordedTurn(role=role, text=text)


def test_our_parts_are_marked() -> None:
    """Behind the caller's text, before it, and in turns of our own."""
    before = [turn("system", "Be kind."), turn("user", "Hello")]
    after = [turn("system", "Be kind.\n\nRules: x"), turn("user", "example"), turn("user", "Hello")]
    shown = marked(before, after)
    assert shown[0].parts == (("Be kind.", False), ("Rules: x", True))
    assert (shown[1].parts, shown[2].parts) == ((("example", True),), (("Hello", False),))


async def test_the_search_narrows_and_pages() -> None:
    """By task, status, way and text; older ones on the next page."""
    async with console() as served:
        client = await signed_in(served)
        first = (await client.get("/ui/exchanges?task=ticket-desk")).text
        assert first.count("data-row") == 50 and "Older" in first
        link = first.partition('href="/ui/exchanges?task=ticket-desk&amp;before=')[2].partition('"')[0]
        second = (await client.get(f"/ui/exchanges?task=ticket-desk&before={link}")).text
        assert second.count("data-row") == 50 and "Newest" in second
        assert (await client.get("/ui/exchanges?arm=canary")).text.count("data-row") == 15
        none = (await client.get("/ui/exchanges?text=never+said")).text
        assert "Nothing fits among the 509 exchanges" in none


async def test_the_model_s_request_is_shown_with_the_rules() -> None:
    """Rebuilt from the version; a request without rules has no such part."""
    async with console() as served:
        client = await signed_in(served)
        ruled = (await client.get("/ui/exchanges/chatcmpl-ticket-desk-00011")).text
        plain = (await client.get("/ui/exchanges/chatcmpl-ticket-desk-00012")).text
    assert "If the ticket mentions a gift card, answer billing." in ruled and 'class="block ours"' in ruled
    assert "What the model got" not in plain


async def test_odd_exchanges_are_shown() -> None:
    """Without a text, without a task, with a body that is none, of a version that is gone."""
    store, made = stocked(), exchange(1, "gone", "q", "a")
    odd = [
        msgspec.structs.replace(made, id="a", task=None, request=b"{}", reply=None, status="error", error="it broke"),
        msgspec.structs.replace(made, id="b", request=b"\xff{", rules=7),
        msgspec.structs.replace(made, id="c", task="ticket-desk", rules=77),
    ]
    store.record(odd)
    async with console(store) as served:
        client = await signed_in(served)
        pages = {known.id: await client.get(f"/ui/exchanges/{known.id}") for known in odd}
        assert all(page.status_code == 200 for page in pages.values())
        assert "it broke" in pages["a"].text and "not recorded, or is deleted" in pages["b"].text
        assert (await client.get("/ui/exchanges/none")).status_code == 404
