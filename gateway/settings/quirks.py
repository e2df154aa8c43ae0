"""The section ``[models.NAME.quirks]``: a model's peculiarities, as far as the operator states them.

The struct also holds the peculiarities that ``upstream.adapted`` learns from a model's refusals.
"""

from typing import Annotated, Literal

from gateway.settings.base import Count, Section, doc


class Quirks(Section, frozen=True):
    """Peculiarities of a model. The gateway adapts requests to them, its own and its clients' alike.

    A setting here comes before the peculiarity that was learnt. Names that pass through to `server.default_upstream`
    are never adapted.
    """

    output_limit: Annotated[
        Literal["max_tokens", "max_completion_tokens"] | None,
        doc("Field in which the model takes the limit of output tokens; the other one is renamed. Default: learnt."),
    ] = None
    without: Annotated[
        tuple[str, ...],
        doc(
            "Fields of a request to leave out because the model refuses them, such as `temperature`; others are learnt."
        ),
    ] = ()
    json_schema: Annotated[
        bool | None, doc("The model takes a `response_format` of type `json_schema`. Default: learnt.")
    ] = None
    logprobs: Annotated[bool | None, doc("The model gives `logprobs`. Default: learnt.")] = None
    context: Annotated[
        Count | None, doc("Longest request and reply together, in tokens. Default: learnt from a refusal.")
    ] = None
