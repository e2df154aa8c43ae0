"""The sections ``[models.NAME]``: a name for clients with its upstreams, its price and its quirks."""

from typing import Annotated

from msgspec import Meta

from gateway.settings.base import Positive, Section, doc
from gateway.settings.quirks import Quirks


class Price(Section, frozen=True):
    """The price of a model."""

    input: Annotated[float, Meta(ge=0), doc("USD per million prompt tokens.")] = 0.0
    output: Annotated[float, Meta(ge=0), doc("USD per million output tokens.")] = 0.0
    cache_read: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        doc("USD per million prompt tokens from the upstream's cache. Default: `input`."),
    ] = None
    cache_write: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        doc("USD per million prompt tokens written to Anthropic's cache. Default: `input`."),
    ] = None


class Model(Section, frozen=True):
    """A name for clients and tasks to use as `model`."""

    model: Annotated[
        str,
        doc("The upstream's own name of the model; for `llamacpp` a name from `preceptor models list` or a GGUF path."),
    ]
    upstream: Annotated[str, doc("Name of an upstream; or `upstreams`.")] = ""
    upstreams: Annotated[
        tuple[str, ...],
        doc(
            "Names of upstreams of one kind with the same model: each gets a share of the conversations, and those of"
            " one that fails go to the next."
        ),
    ] = ()
    weights: Annotated[
        tuple[Positive, ...], doc("Shares of the `upstreams`, such as `[3, 1]`; default: equal ones.")
    ] = ()
    price: Annotated[Price, doc("Optional, for reports.")] = Price()
    quirks: Annotated[
        Quirks, doc("Peculiarities of the model; the gateway learns most of them from the model's own refusals.")
    ] = Quirks()

    @property
    def every_upstream(self) -> tuple[str, ...]:
        """The upstreams with the model."""
        return self.upstreams or (self.upstream,)
