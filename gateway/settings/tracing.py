"""The section ``[tracing]``: spans for an OpenTelemetry collector."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from gateway.settings.base import Section, doc


class Tracing(Section, frozen=True):
    """One span per exchange, with OpenTelemetry's names for generative AI and `preceptor.*`, without a text of a user.
    Read at the start."""

    endpoint: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^/\s]+")] | None,
        doc("Address of a collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. None: no spans."),
    ] = None
    headers: Annotated[Mapping[str, str], doc("Headers for the collector, such as a key; better `${VAR}`.")] = {}
    share: Annotated[
        float, Meta(ge=0, le=1), doc("Share (0..1) of the traces that begin here; a caller's own choice holds.")
    ] = 1.0

    def __repr__(self) -> str:
        return f"Tracing(endpoint={self.endpoint!r}, share={self.share})"  # the headers may hold a secret
