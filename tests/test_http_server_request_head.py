"""A request's head: what is ambiguous is refused, what is clear becomes a scope."""

import pytest

from gateway.http_server.request_head import Header, expects_continue, mistake_in, new_scope, without_upgrade

HOST = (b"host", b"x")


@pytest.mark.parametrize(
    ("version", "framing", "status"),
    [
        ("1.1", [HOST], None),
        ("1.1", [], 400),
        ("1.1", [HOST, HOST], 400),
        ("1.0", [], None),
        ("1.0", [HOST], None),
        ("1.0", [HOST, HOST], 400),
        ("0.9", [], 400),
        ("2.0", [HOST], 400),
        ("1.2", [HOST], 400),
        ("1.1", [HOST, (b"expect", b"100-continue")], None),
        ("1.1", [HOST, (b"transfer-encoding", b"chunked")], None),
        ("1.1", [HOST, (b"transfer-encoding", b" Chunked ")], None),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")], 400),
        ("1.1", [HOST, (b"transfer-encoding", b"identity")], 400),
        ("1.1", [HOST, (b"transfer-encoding", b"")], 400),
        ("1.1", [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], 400),
        ("1.0", [(b"transfer-encoding", b"chunked")], 400),
    ],
)
def test_what_two_servers_could_read_differently_is_refused(
    version: str, framing: list[Header], status: int | None
) -> None:
    """One host, one transfer coding, a version that is spoken here."""
    mistake = mistake_in(version, framing)
    assert (mistake.status if mistake is not None else None) == status


def test_only_a_100_is_expected() -> None:
    """Whatever its case; there is no other expectation."""
    assert expects_continue([HOST, (b"expect", b" 100-Continue")])
    assert not expects_continue([HOST, (b"expect", b"a miracle")]) and not expects_continue([HOST])


def test_a_head_without_its_offer_is_otherwise_the_same() -> None:
    """Other options of the connection stay."""
    headers = [HOST, (b"connection", b"Upgrade, close"), (b"upgrade", b"h2c"), (b"x", b"1")]
    assert (
        without_upgrade(b"GET", b"/a", b"1.1", headers)
        == b"GET /a HTTP/1.1\r\nhost: x\r\nconnection:  close\r\nx: 1\r\n\r\n"
    )


def test_a_scope_says_what_was_asked() -> None:
    """The path as it came and as it is read, and the query apart."""
    scope = new_scope(b"GET", b"/a%20b?c=%20", "1.1", [HOST])
    assert (scope["method"], scope["path"], scope["raw_path"], scope["query_string"]) == (
        "GET", "/a b", b"/a%20b", b"c=%20",
    )  # fmt: skip
    assert (scope["http_version"], scope["headers"]) == ("1.1", [HOST])
