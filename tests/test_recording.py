"""How much of an exchange is recorded, and the draw of the audit sample."""

import msgspec
import pytest

from gateway.domain import ToolCall
from gateway.recording import MOST_UNFINISHED, UNKNOWN_RATE, AuditDraw, audit_rate, bounded, record_mode
from gateway.routing.route import CompiledSplit, RuleSnapshot
from gateway.settings.base import RecordMode
from tests.fakes import CONFIG, settings
from tests.test_store_sql import EXCHANGE


@pytest.mark.parametrize(
    ("rate", "least", "most"), [(0.0, 0, 0), (0.02, 150, 250), (0.5, 4850, 5150), (1.0, 10**4, 10**4)]
)
def test_the_draw_takes_exchanges_at_the_rate(rate: float, least: int, most: int) -> None:
    """Of 10,000 ids."""
    draw = AuditDraw(b"secret")
    assert least <= sum(draw.draws(f"chatcmpl-{number}", rate) for number in range(10_000)) <= most


def test_the_draw_goes_by_the_id_and_a_secret() -> None:
    """The same answer again, and another one for a client that knows the id and not the secret."""
    ours, theirs = AuditDraw(b"secret"), AuditDraw(b"guess")
    ids = [f"chatcmpl-{number}" for number in range(1000)]
    drawn = [ours.draws(id_, 0.5) for id_ in ids]
    assert drawn == [ours.draws(id_, 0.5) for id_ in ids]
    assert 400 < sum(ours.draws(id_, 0.5) == theirs.draws(id_, 0.5) for id_ in ids) < 600


def test_the_configured_share_is_the_rate_else_the_optimizer_s() -> None:
    """A task that nobody has counted yet is audited whole; without a task there is nothing to decide."""
    counted = RuleSnapshot(splits={"arithmetic": CompiledSplit(audit_rate=0.25)})
    plain = settings(CONFIG)
    fixed = settings(CONFIG.replace("[optimizer]", "audit = { share = 0.125 }\n[optimizer]"))
    assert audit_rate("arithmetic", fixed, counted) == 0.125
    assert audit_rate("arithmetic", plain, counted) == 0.25
    assert audit_rate("arithmetic", plain, RuleSnapshot()) == UNKNOWN_RATE
    assert audit_rate(None, plain, counted) == audit_rate("gone", plain, counted) == 0.0


def test_a_huge_exchange_is_recorded_without_its_texts() -> None:
    """Request, reply and the arguments of calls count; right at the bound it is recorded whole."""
    exchange = msgspec.structs.replace(
        EXCHANGE, request=b"x" * 40, reply="y" * 30, tool_calls=(ToolCall(name="look_up", arguments="z" * 30),)
    )
    assert bounded(exchange, 100) == exchange
    assert bounded(exchange, 99) == msgspec.structs.replace(exchange, request=b"{}", reply=None, tool_calls=())


def test_an_unfinished_reply_is_recorded_from_its_beginning() -> None:
    """A client that hangs up does not fill the disk; a finished reply is whole."""
    finished = msgspec.structs.replace(EXCHANGE, reply="x" * (MOST_UNFINISHED + 1))
    assert bounded(finished, 10**9) == finished
    for status in ("abandoned", "error"):
        unfinished = msgspec.structs.replace(finished, status=status)
        assert bounded(unfinished, 10**9).reply == "x" * MOST_UNFINISHED


@pytest.mark.parametrize(
    ("server", "task", "key", "kept"),
    [
        ("all", None, "all", "all"),
        ("text off", None, "all", "text off"),
        ("off", "all", "all", "all"),
        ("all", "off", "all", "off"),
        ("all", "all", "text off", "text off"),
        ("all", "text off", "off", "off"),
        ("all", "off", "text off", "off"),
    ],
)
def test_a_task_says_more_than_the_server_and_a_key_s_limit_always_holds(
    server: str, task: str | None, key: RecordMode, kept: RecordMode
) -> None:
    """Of a request without a task the server says how much is kept."""
    own = "" if task is None else f'record = "{task}"\n'
    text = CONFIG.replace("[server]", f'[server]\nrecord = "{server}"').replace("[optimizer]", f"{own}[optimizer]")
    assert record_mode("arithmetic", settings(text), key) == kept
    assert record_mode(None, settings(text)) == record_mode("gone", settings(text)) == server
