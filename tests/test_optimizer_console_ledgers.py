"""The lists of the console."""

from gateway import issued_keys
from gateway.errors import UpstreamUnreachable
from gateway.settings.keys import digest
from gateway.spending.book import SPEND, Spent, day_of
from tests.consoles import CONFIG, NOW, console, sent, signed_in, stocked


async def test_an_upstream_that_cannot_serve_says_why() -> None:
    """As this process sees it."""
    async with console() as served:
        client = await signed_in(served)
        assert "All 2 can serve" in (await client.get("/ui/upstreams")).text
        served.services.serving.upstreams["cloud"].ready = lambda: str(UpstreamUnreachable("it refused"))  # type: ignore[method-assign]
        page = (await client.get("/ui/upstreams")).text
    assert "cannot serve now" in page and "it refused" in page


async def test_keys_are_listed_without_secrets() -> None:
    """Those of the configuration and those made by command."""
    store = stocked()
    secret = "a-key-made-by-a-command-of-ours"
    key = issued_keys.IssuedKey(hash=digest(secret), owner="payments", made=NOW)
    issued_keys.issue(store, "team-b", key, {})
    text = CONFIG + f'[keys.team-a]\nhash = "{digest("another-key-for-a-team")}"\ntasks = ["ticket-desk"]\n'
    async with console(store, text) as served:
        page = (await (await signed_in(served)).get("/ui/keys")).text
    assert "team-a" in page and "team-b" in page and "payments" in page and "ticket-desk" in page
    assert secret not in page and digest(secret).removeprefix("sha256:") not in page


async def test_promises_and_decisions_come_newest_first() -> None:
    """Of all tasks."""
    async with console() as served:
        client = await signed_in(served)
        promises, history = (await client.get("/ui/promises")).text, (await client.get("/ui/history")).text
    assert promises.index("ticket-desk, v3") < promises.index("ticket-desk, v2")
    assert history.index("activated by hand") < history.index("Version 3 is live")


async def test_the_audit_log_holds_what_was_decided_here() -> None:
    """Newest first, with the person."""
    async with console() as served:
        client = await signed_in(served)
        await sent(client, "/ui/switch", {"on": "", "seen": 0, "why": "a fire drill"}, on="/ui/history")
        page = (await client.get("/ui/history")).text.partition("Audit log</h2>")[2]
    assert "Rules injection" in page and "console, admin key" in page and "a fire drill" in page


async def test_spending_stands_beside_each_key() -> None:
    """Of 30 days; what no listed key spent is not lost."""
    store = stocked()
    day = day_of(NOW)
    rows = tuple(
        Spent(key=key, task="ticket-desk", arm="weak", model="small", requests=7, usd=0.5, strong_usd=2.0)
        for key in ("team-a", "")
    )
    SPEND.write(store, rows, day)
    text = CONFIG + f'[keys.team-a]\nhash = "{digest("another-key-for-a-team")}"\n'
    async with console(store, text) as served:
        page = (await (await signed_in(served)).get("/ui/keys")).text
    assert page.count("$0.50") == 2 and page.count("$1.50") == 2 and "no key" in page
