"""Who gets into the console, and what it refuses."""

import asyncio
import threading
import time
from typing import Any

import msgspec
import pytest

from gateway.domain import Feedback
from gateway.store.memory import MemoryStore
from optimizer.console.session import SECRET
from optimizer.console.site import AT_ONCE, Console, _secret
from tests.consoles import CONFIG, KEY, NOW, console, sent, signed_in, token_in
from tests.fakes import MoodyStore, services, settings


async def test_a_key_opens_the_console_and_a_wrong_one_does_not() -> None:
    """The first page needs a session; the right key makes one that lasts."""
    async with console() as served:
        first = await served.client.get("/ui")
        assert first.status_code == 303 and first.headers["location"].startswith("/ui/login")
        page = await served.client.get("/ui/login")
        wrong = await served.client.post("/ui/login", data={"key": KEY + "x", "token": token_in(page.text)})
        assert wrong.status_code == 401 and "opens nothing" in wrong.text and KEY not in wrong.text
        client = await signed_in(served)
        assert (await client.get("/ui")).status_code == 200


async def test_the_cookie_is_for_the_console_alone() -> None:
    """No script reads it, no other site sends it; behind TLS it stays there."""
    async with console() as served:
        page = await served.client.get("/ui/login")
        form = {"key": KEY, "token": token_in(page.text)}
        plain = (await served.client.post("/ui/login", data=form)).headers["set-cookie"]
        served.client.cookies.clear()
        tls = (await served.client.post("/ui/login", data=form, headers={"x-forwarded-proto": "https"})).headers
    for part in ("HttpOnly", "SameSite=Strict", "Path=/ui"):
        assert part in plain
    assert "Secure" not in plain and "Secure" in tls["set-cookie"]


async def test_every_page_forbids_foreign_code() -> None:
    """The policy allows this address alone, and the page keeps it: no inline script, style or handler."""
    async with console() as served:
        client = await signed_in(served)
        for path in ("/ui", "/ui/tasks/ticket-desk/labels", "/ui/nowhere"):
            page = await client.get(path)
            policy = page.headers["content-security-policy"]
            assert "default-src 'self'" in policy and "unsafe" not in policy
            assert page.headers["cache-control"] == "no-store"
            assert "<script>" not in page.text and "<style" not in page.text and " style=" not in page.text


async def test_without_an_admin_key_the_console_is_off() -> None:
    """As the admin API is."""
    async with console(text=CONFIG.replace(f'admin_key = "{KEY}"', "")) as served:
        page = await served.client.get("/ui")
        assert page.status_code == 404 and "set server.admin_key" in page.text


@pytest.mark.parametrize("token", ["", "0" * 64, None])
async def test_a_form_without_its_token_changes_nothing(token: str | None) -> None:
    """Another site cannot know it."""
    async with console() as served:
        client = await signed_in(served)
        form = {"id": "chatcmpl-ticket-desk-00010", "verdict": "right", "seen": "0"}
        if token is not None:
            form["token"] = token
        reply = await client.post("/ui/tasks/ticket-desk/labels", data=form)
        assert reply.status_code == 403
        assert served.services.store.feedback_on("chatcmpl-ticket-desk-00010") == []


async def test_a_form_from_another_site_changes_nothing() -> None:
    """Its origin gives it away, even with a right token."""
    async with console() as served:
        client = await signed_in(served)
        page = await client.get("/ui/tasks/ticket-desk/labels")
        form = {"token": token_in(page.text), "id": "chatcmpl-ticket-desk-00010", "verdict": "right", "seen": "0"}
        headers = {"origin": "https://evil.example"}
        reply = await client.post("/ui/tasks/ticket-desk/labels", data=form, headers=headers)
        assert reply.status_code == 403
        assert served.services.store.feedback_on("chatcmpl-ticket-desk-00010") == []


async def test_an_expired_session_signs_in_again_and_goes_on() -> None:
    """The address is kept over the login, and only an address of the console."""
    async with console() as served:
        client = await signed_in(served)
        served.services.wall_clock = lambda: NOW + 13 * 3600
        gone = await client.get("/ui/tasks/ticket-desk/labels?skip=2")
        assert gone.status_code == 303
        login = await client.get(gone.headers["location"])
        assert "session is over" in login.text
        form = {"key": KEY, "token": token_in(login.text)}
        after = await client.post("/ui/login", data={**form, "next": "/ui/tasks/ticket-desk/labels?skip=2"})
        assert after.headers["location"] == "/ui/tasks/ticket-desk/labels?skip=2"
        for foreign in ("https://evil.example/ui", "//evil.example", "/uix"):
            assert (await client.post("/ui/login", data={**form, "next": foreign})).headers["location"] == "/ui"


async def test_signing_out_ends_the_session() -> None:
    """The browser forgets the cookie."""
    async with console() as served:
        client = await signed_in(served)
        await sent(client, "/ui/logout", {}, on="/ui")
        assert (await client.get("/ui")).status_code == 303


async def test_a_store_that_is_gone_is_said_in_words() -> None:
    """503 and the reason, no traceback."""
    store = MoodyStore()
    store.down = True
    async with console(MoodyStore()) as served:
        served.services.store = store
        page = await served.client.get("/ui")
        assert page.status_code == 503 and "the database is away" in page.text.casefold()


async def test_an_unknown_page_and_an_unknown_task_are_not_found() -> None:
    """With the frame around, so that a visitor finds back."""
    async with console() as served:
        client = await signed_in(served)
        for path in ("/ui/nowhere", "/ui/tasks/none/labels", "/ui/static/0/../../../etc/passwd", "/ui/static/0/x.py"):
            assert (await client.get(path)).status_code == 404
        assert (await client.post("/ui", data={"token": token_in((await client.get("/ui")).text)})).status_code == 405


async def test_files_are_kept_by_browsers_for_ever() -> None:
    """Their address changes with their content."""
    async with console() as served:
        page = await served.client.get("/ui/login")
        for name in ("console.css", "htmx.min.js", "console.js"):
            link = page.text.partition(name)[0].rpartition('"')[2] + name
            reply = await served.client.get(link)
            assert reply.status_code == 200 and "immutable" in reply.headers["cache-control"]


async def test_the_label_of_a_second_person_is_not_stored() -> None:
    """It hears whose label came first."""
    async with console() as served:
        client = await signed_in(served)
        page = (await client.get("/ui/tasks/ticket-desk/labels")).text
        id_ = page.partition('name="id" value="')[2].partition('"')[0]
        first = Feedback(exchange_id=id_, created=NOW, correct=True, source="label", labeller="anna")
        served.services.store.add_feedback(first)
        form = {"token": token_in(page), "id": id_, "verdict": "wrong", "seen": "0"}
        reply = await client.post("/ui/tasks/ticket-desk/labels", data=form)
        assert reply.status_code == 409 and "Anna labelled this reply as right" in reply.text
        assert served.services.store.feedback_on(id_) == [first]


async def test_two_first_visitors_share_a_secret() -> None:
    """The session of whoever comes a moment later lasts, too."""

    class Raced(MemoryStore):
        def swap_note(self, key: str, before: bytes | None, value: bytes) -> bool:
            super().swap_note(key, None, msgspec.json.encode(b"the other's"))
            return super().swap_note(key, before, value)

    store = Raced()
    assert _secret(services(settings(), {}, store)) == b"the other's" == SECRET.read(store)


async def test_an_unreadable_secret_is_made_anew() -> None:
    """Everybody signs in again."""
    store = MemoryStore()
    store.put_note(SECRET.key(), b"[]")
    assert len(_secret(services(settings(), {}, store))) == 32


async def test_few_pages_are_made_at_once() -> None:
    """However many people click: the requests of models go first."""
    lock, under_way, most, made = threading.Lock(), 0, 0, 0

    class Slow(Console):
        def _serve(self, *_: Any) -> tuple[int, list[tuple[bytes, bytes]], str]:
            nonlocal under_way, most, made
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.01)
            with lock:
                under_way -= 1
                made += 1
            return 200, [], "a page"

    async def send(message: Any) -> None: ...

    site: Any = Slow(services(settings(), {}))
    scope = {"type": "http", "method": "GET", "raw_path": b"/ui", "query_string": b"", "headers": []}
    await asyncio.gather(*(site(dict(scope), None, send) for _ in range(5 * AT_ONCE)))
    assert (most, made) == (AT_ONCE, 5 * AT_ONCE)
