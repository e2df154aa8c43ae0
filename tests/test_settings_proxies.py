"""The proxy on the way to a server."""

import pytest

from gateway.errors import ConfigurationError
from gateway.settings import OpenAISettings, Settings
from gateway.settings.proxies import proxy_for
from tests.fakes import CONFIG, settings

PROXY = "http://proxy:3128"
REMOTE = CONFIG.replace("http://127.0.0.1:9/v1", "https://api.example.com/v1")


@pytest.mark.parametrize(
    ("address", "environment", "proxy"),
    [
        ("https://api.example.com/v1", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://api.example.com/v1", {"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, PROXY),
        ("https://api.example.com/v1", {"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ("https://api.example.com/v1", {}, None),
        ("http://10.0.0.5:8000/v1", {"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY}, None),
        ("https://localhost:8443/v1", {"HTTPS_PROXY": PROXY}, None),
        ("https://127.0.0.1:8443/v1", {"HTTPS_PROXY": PROXY}, None),
        ("", {"HTTPS_PROXY": PROXY}, None),
    ],
)
def test_https_takes_the_machines_proxy(address: str, environment: dict[str, str], proxy: str | None) -> None:
    """Plain http stands in the same network, and this machine needs none."""
    assert proxy_for(address, environment) == proxy


@pytest.mark.parametrize(
    ("exempt", "straight"),
    [
        ("*", True), ("example.com", True), (".example.com", True), ("*.example.com", True), ("api.example.com", True),
        ("other.com, api.example.com:443", True), ("api.example.com:8443", False), ("ample.com", False),
        ("10.0.0.0/8", False), ("", False),
    ],
)  # fmt: skip
def test_some_hosts_are_reached_straight(exempt: str, straight: bool) -> None:
    """By name, with all names below it, and by port."""
    proxy = proxy_for("https://API.example.com./v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": exempt})
    assert (proxy is None) is straight


@pytest.mark.parametrize(("exempt", "straight"), [("10.0.0.0/8", True), ("10.1.2.3", True), ("192.168.0.0/16", False)])
def test_networks_are_reached_straight(exempt: str, straight: bool) -> None:
    """By address."""
    assert (proxy_for("https://10.1.2.3/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": exempt}) is None) is straight


def section(made: Settings) -> OpenAISettings:
    mock = made.upstreams["mock"]
    assert isinstance(mock, OpenAISettings)
    return mock


def test_a_configuration_holds_the_proxy_in_effect() -> None:
    """The section's own comes first, and ``none`` is none; another process never sees it."""
    own = REMOTE.replace('kind = "openai"', 'kind = "openai"\nproxy = "http://user:secret@own:8080"')
    none = REMOTE.replace('kind = "openai"', 'kind = "openai"\nproxy = "none"')
    assert section(settings(REMOTE, HTTPS_PROXY=PROXY)).proxy == PROXY
    assert section(settings(REMOTE)).proxy is None
    assert section(settings(own, HTTPS_PROXY=PROXY)).proxy == "http://user:secret@own:8080"
    assert section(settings(none, HTTPS_PROXY=PROXY)).proxy is None
    assert section(settings(own)).without_secrets().proxy is None


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://proxy", "http://"])
def test_a_proxy_that_is_none_is_a_mistake(proxy: str) -> None:
    """Named by its key."""
    with pytest.raises(ConfigurationError, match=r"upstreams\.mock\.proxy"):
        settings(REMOTE.replace('kind = "openai"', f'kind = "openai"\nproxy = "{proxy}"'))
