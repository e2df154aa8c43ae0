"""The label queue in the browser's place: one reply at a time, answered with a form."""

import re

import msgspec

from gateway.store.memory import MemoryStore
from optimizer.monitoring.shadow.telling import TellingBook
from tests.consoles import console, sent, signed_in, stocked, token_in

QUEUE = "/ui/tasks/ticket-desk/labels"


def shown(page: str) -> str:
    """The id of the reply on the page."""
    match = re.search(r'name="id" value="([^"]+)"', page)
    assert match is not None
    return match[1]


async def test_a_label_is_stored_and_the_next_reply_comes() -> None:
    """With the labeller's name; the queue is one shorter."""
    async with console() as served:
        client = await signed_in(served)
        page = (await client.get(QUEUE)).text
        first = shown(page)
        form = {"token": token_in(page), "id": first, "verdict": "right", "seen": "0"}
        reply = await client.post(QUEUE, data=form)
        after = (await client.get(reply.headers["location"])).text
        assert "Reply 1 of 25" in page and "Reply 1 of 24" in after and shown(after) != first
        (label,) = served.services.store.feedback_on(first)
        assert (label.correct, label.source, label.labeller) == (True, "label", "admin key")


async def test_the_right_answer_is_stored_as_the_grader_wants_it() -> None:
    """An empty one asks again, and nothing is lost."""
    async with console() as served:
        client = await signed_in(served)
        page = (await client.get(QUEUE)).text
        form = {"id": shown(page), "verdict": "answer", "seen": "0"}
        assert (await sent(client, QUEUE, {**form, "expected": "  "})).status_code == 400
        assert (await sent(client, QUEUE, {**form, "expected": "billing"})).status_code == 303
        (label,) = served.services.store.feedback_on(shown(page))
        assert (label.correct, label.expected) == (False, "billing")


async def test_model_and_rules_are_hidden() -> None:
    """A labeller favours no version."""
    async with console() as served:
        page = (await (await signed_in(served)).get(QUEUE)).text
    assert (
        "qwen" not in page
        and "version 3" not in page
        and "small" not in page.partition('id="item"')[2].replace("<small", "").replace("</small", "")
    )


async def test_skipping_comes_to_other_replies_and_back() -> None:
    """Never past the end."""
    async with console() as served:
        client = await signed_in(served)
        pages = [(await client.get(f"{QUEUE}?skip={skip}")).text for skip in (0, 1, 24, 999)]
        assert len({shown(page) for page in pages}) == 3
        assert shown(pages[2]) == shown(pages[3])


async def test_an_empty_queue_says_why() -> None:
    """Nothing drawn yet."""
    async with console(MemoryStore()) as served:
        page = (await (await signed_in(served)).get(QUEUE)).text
    assert "Nothing waits" in page and "No request is in the audit sample yet" in page


async def test_a_reply_that_is_gone_or_of_another_task_gets_no_label() -> None:
    """404, whatever the form says."""
    async with console() as served:
        client = await signed_in(served)
        for id_ in ("none", "chatcmpl-refund-policy-00005"):
            reply = await sent(client, QUEUE, {"id": id_, "verdict": "right", "seen": "0"})
            assert reply.status_code == 404
        reply = await sent(client, QUEUE, {"id": "chatcmpl-ticket-desk-00010", "verdict": "perhaps", "seen": "0"})
        assert reply.status_code == 400


async def test_the_page_says_why_a_reply_comes_first() -> None:
    """Where two versions differ, then at random, then those that were only called wrong."""
    store = stocked()
    store.put_note("telling/ticket-desk", msgspec.json.encode(TellingBook(waiting=("chatcmpl-ticket-desk-00001",))))
    async with console(store) as served:
        client = await signed_in(served)
        first = (await client.get(QUEUE)).text
        second = (await client.get(f"{QUEUE}?skip=1")).text
        form = {"id": shown(second), "verdict": "wrong", "seen": "0"}
        await sent(client, QUEUE, form)
        last = (await client.get(f"{QUEUE}?skip=999")).text
    assert shown(first) == "chatcmpl-ticket-desk-00001" and "two versions answer it differently" in first
    assert "drawn at random" in second
    assert shown(last) == shown(second) and "its right answer is missing" in last


async def test_an_answer_that_the_reply_gave_calls_it_right() -> None:
    """Whoever types it out has not called the reply wrong."""
    async with console() as served:
        client, store = await signed_in(served), served.services.store
        page = (await client.get(QUEUE)).text
        exchange = store.exchange(shown(page))
        assert exchange is not None and exchange.reply
        form = {"id": exchange.id, "verdict": "answer", "seen": "0", "expected": f" {exchange.reply} "}
        await sent(client, QUEUE, form)
        (label,) = store.feedback_on(exchange.id)
        assert (label.correct, label.expected) == (True, exchange.reply)
