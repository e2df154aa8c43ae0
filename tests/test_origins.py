"""Hosts and origins: who may call a gateway that asks for no key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Forbidden
from gateway.origins import Origins, host_name, is_local
from gateway.settings import Server

PAGE = b"https://app.example.com"


def checked(
    headers: dict[str, str], *, keyless: bool = True, hosts: tuple[str, ...] = (), pages: tuple[str, ...] = ()
) -> bytes | None:
    """What a gateway says to a request with these headers."""
    origins = Origins(Server(allowed_hosts=hosts, cors_origins=pages), keyless=keyless)
    given = {"host": "127.0.0.1:8100", **headers}
    return origins.check({name.encode(): value.encode() for name, value in given.items()})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8100", "127.0.0.1", "localhost:8100", "LOCALHOST", "api.localhost", "[::1]:8100", "[::1]",
     "10.1.2.3:80", "localhost."],
)  # fmt: skip
def test_names_of_this_machine_and_addresses_are_always_allowed(host: str) -> None:
    """No foreign server of names can point at them."""
    assert checked({"host": host}) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8100", "127.0.0.1.evil.example", "localhost.evil.example", "gateway", "",
             "127.0.0.1@evil.example"],
)  # fmt: skip
def test_another_name_needs_to_be_listed_without_keys(host: str) -> None:
    """DNS rebinding: a page's own name, pointed at this machine. With keys, a page has none to show."""
    with pytest.raises(Forbidden) as refused:
        checked({"host": host})
    assert refused.value.code == "host_not_allowed"
    assert checked({"host": host}, keyless=False) is None
    if host:
        assert checked({"host": host}, hosts=(host.partition(":")[0],)) is None
    assert checked({"host": host}, hosts=("*",)) is None


def test_a_list_counts_with_keys_too() -> None:
    """Then nothing else is allowed, not even an address; a pattern stands for every name below."""
    assert checked({"host": "api.example.com"}, hosts=("*.example.com",), keyless=False) is None
    for host in ("example.com", "127.0.0.1", "api.example.com.evil"):
        with pytest.raises(Forbidden):
            checked({"host": host}, hosts=("*.example.com",), keyless=False)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:9000"},
        {"origin": "http://localhost:8100"}, {"sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:8100.evil.example"}, {"origin": ""},
    ],
)  # fmt: skip
def test_a_page_of_another_site_is_refused_without_keys(headers: dict[str, str]) -> None:
    """Its visitor would pay; with keys it has none."""
    with pytest.raises(Forbidden) as refused:
        checked(headers)
    assert refused.value.code == "origin_not_allowed"
    assert checked(headers, keyless=False, hosts=("127.0.0.1",)) is None


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "http://127.0.0.1:8100"}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]
)
def test_programs_and_the_gateway_s_own_pages_pass(headers: dict[str, str]) -> None:
    """They need no permission for their replies either."""
    assert checked(headers) is None


@pytest.mark.parametrize("pages", [("https://app.example.com",), ("https://APP.example.com", "https://b"), ("*",)])
@pytest.mark.parametrize("keyless", [True, False])
def test_an_allowed_page_passes_and_gets_permission(pages: tuple[str, ...], keyless: bool) -> None:
    """With keys and without."""
    headers = {"origin": PAGE.decode(), "sec-fetch-site": "cross-site"}
    assert checked(headers, keyless=keyless, pages=pages) == PAGE


def test_without_a_rule_nothing_is_checked() -> None:
    """A gateway with keys and no lists."""
    assert not Origins(Server(), keyless=False).any
    assert Origins(Server(), keyless=True).any and Origins(Server(allowed_hosts=("a",)), keyless=False).any


@given(st.binary())
def test_any_host_can_be_read(host: bytes) -> None:
    """And none is local by accident."""
    name = host_name(host)
    assert is_local(name) in (True, False)


def test_the_configured_host_is_allowed() -> None:
    """Its name is the operator's own."""
    origins = Origins(Server(host="gateway.internal"), keyless=True)
    assert origins.check({b"host": b"Gateway.internal:8100"}) is None
