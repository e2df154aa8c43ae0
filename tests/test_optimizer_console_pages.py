"""Every page of the console opens for a reader, with data and without, and says what a person came for."""

import pytest

from gateway.settings.keys import digest
from gateway.store.memory import MemoryStore
from optimizer.console.pages import ROUTES
from tests.consoles import CONFIG, console, signed_in
from tests.fakes import settings

READER = "a-key-that-may-look-at-all"
WITH_READER = CONFIG + f'[keys.looker]\nhash = "{digest(READER)}"\nrole = "read"\n'
PAGES = {
    "/ui/tasks/ticket-desk": ["The rules are worth +14 points", "8,910", "the promise holds", "Version 3 is live"],
    "/ui/tasks/refund-policy": ["on trial with 25%", "waits for evidence"],
    "/ui/tasks/invoice-fields": ["This task needs you", "27%"],
    "/ui/tasks/meeting-notes": ["Nobody knows yet how many replies are right"],
    "/ui/tasks/ticket-desk/labels": ["25 replies wait"],
    "/ui/tasks/ticket-desk/changed": ["Right answers 93%", "Before", "After"],
    "/ui/tasks/ticket-desk/changed?show=broken": ["broken"],
    "/ui/tasks/ticket-desk/mistakes": ["None of the newest 15 judged replies is wrong", "Gift cards are money"],
    "/ui/tasks/ticket-desk/rules": ["Version 3", "78% → 93%", "Change since version 2"],
    "/ui/tasks/refund-policy/rules/1": ["the house&#39;s limit", "Worksheet"],
    "/ui/tasks/refund-policy/trial": ["Version 1", "3 of 18", "Paired answers", "no sign of harm"],
    "/ui/exchanges": ["Sum up call 8."],
    "/ui/exchanges?task=ticket-desk&text=gift+card": ["gift card"],
    "/ui/exchanges/chatcmpl-ticket-desk-00011": ["What the model got", "added by version 3", "321 ms"],
    "/ui/promises": ["2 of 2 promises", "Kept"],
    "/ui/upstreams": ["ollama", "cloud"],
    "/ui/keys": ["looker"],
    "/ui/history": ["Version 3 is live", "All rule sets are on"],
}


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_says_what_a_person_came_for(path: str) -> None:
    """A key that may only look sees all of it, and no button."""
    async with console(text=WITH_READER) as served:
        client = await signed_in(served, READER)
        page = await client.get(path)
    assert page.status_code == 200
    for words in PAGES[path]:
        assert words in page.text, words
    main = page.text.partition("<main")[2].partition("<footer")[0]
    assert 'method="post"' not in main


@pytest.mark.parametrize("path", [path for path in PAGES if "/exchanges/" not in path and "/rules/1" not in path])
async def test_a_page_without_data_says_what_comes_here(path: str) -> None:
    """An empty store breaks no page."""
    async with console(MemoryStore()) as served:
        page = await (await signed_in(served)).get(path)
    assert page.status_code == 200 and "internal" not in page.text


async def test_every_address_is_tried_here() -> None:
    """A new page comes with its line in the table."""
    tried = [tuple(path.partition("?")[0].split("/")[2:]) for path in [*PAGES, "/ui"]]
    missing = [
        route.pattern for route in ROUTES
        if route.method == "GET" and not any(route.match(parts) is not None for parts in tried)
    ]  # fmt: skip
    assert not missing


async def test_a_writing_page_wants_more_than_to_look() -> None:
    """Each by its role, on the server."""
    assert all(route.role != "read" for route in ROUTES if route.method == "POST")
    assert {route.pattern for route in ROUTES if route.role == "admin"} == {"/switch"}


async def test_configured_names_are_shown_as_they_are() -> None:
    """The frame of the tests is the frame of the screenshots."""
    assert list(settings(CONFIG).tasks) == ["ticket-desk", "refund-policy", "invoice-fields", "meeting-notes"]
