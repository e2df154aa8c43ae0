"""Limits and budgets of a key, a task or an upstream."""

from typing import Annotated, Literal

from gateway.settings.base import Count, Positive, Section, doc


class Limits(Section, frozen=True):
    """Requests and tokens in any 60 seconds, and requests at once. Nothing is limited unless it is set."""

    requests_per_minute: Annotated[Count | None, doc("Requests begun in any 60 seconds.")] = None
    tokens_per_minute: Annotated[
        Count | None,
        doc(
            "Tokens, prompt and output, of requests begun in any 60 seconds: an estimate is reserved before the call,"
            " and the upstream's own count takes its place afterwards."
        ),
    ] = None
    concurrent: Annotated[Count | None, doc("Requests under way at once.")] = None

    @property
    def any(self) -> bool:
        """Something is limited."""
        return self != NO_LIMITS


NO_LIMITS = Limits()


class Budget(Section, frozen=True):
    """Money by the prices of the models (`models.NAME.price`). A model without a price counts as free."""

    usd: Annotated[Positive, doc("US dollars in a period.")]
    per: Annotated[Literal["day", "month"], doc("The period: a day or a month of the calendar, in UTC.")] = "month"
    then: Annotated[
        Literal["refuse", "warn"],
        doc("When it is spent: `refuse` new requests with 429 `insufficient_quota`, or only `warn` in the log."),
    ] = "refuse"
