"""What is measured: something that takes requests at an address, and the process behind it."""

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import click

from gateway.domain import Value
from tests.bench.gateway.process import GATEWAY_CORE
from tests.bench.gateway.upstreams import FIXED, request_body

JSON = {"content-type": "application/json"}


class Request(Value, frozen=True):
    """One request, ready to be sent any number of times."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Target(Value, frozen=True):
    """A gateway, or a model server asked directly."""

    name: str
    pid: int
    base_url: Callable[[str], str]
    """Where requests for a model go, up to and including ``/v1``."""
    headers: Callable[[str], Mapping[str, str]] = lambda model: {}
    """What a request for a model carries beside its content type."""
    core: int = GATEWAY_CORE
    expected: Mapping[str, str] = {}
    """Headers that prove that a reply is what is to be measured."""

    def request(self, model: str, *, stream: bool = False, prompt_bytes: int = 0) -> Request:
        return Request(
            url=f"{self.base_url(model)}/chat/completions",
            headers={**JSON, **self.headers(model)},
            body=request_body(model, stream=stream, prompt_bytes=prompt_bytes),
        )

    def check(self, *, streams: bool = True) -> None:
        """A request that was really proxied (and recognised, and taught), not an error that is answered fast."""
        asks = [(self.request(FIXED), b'"88"')]
        if streams:
            asks.append((self.request("stream", stream=True), b"[DONE]"))
        for asked, words in asks:
            request = urllib.request.Request(asked.url, asked.body, dict(asked.headers))  # noqa: S310  # on loopback
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310  # on loopback
                    answer, headers = reply.read(), reply.headers
            except urllib.error.HTTPError as error:
                raise click.ClickException(f"{self.name} answers {error.code}: {error.read()[:500]!r}") from error
            if words not in answer:
                raise click.ClickException(f"{self.name} does not answer with the model's words: {answer[:500]!r}")
            wrong = {name: headers[name] for name, value in self.expected.items() if headers[name] != value}
            if wrong:
                raise click.ClickException(f"{self.name} did not do what is to be measured: {wrong}")


Start = Callable[[], AbstractContextManager[Target]]
"""Starts a target and ends it."""
