"""Items set aside in a run: the provider refuses their requests, or does not answer them in time.

A content filter refuses some text for ever, and without this a run would end at that item every time. Such an item
counts as wrong in every arm, so it changes no verdict in favour of a candidate. Refusals beyond a small share of a
stage are about the model or the provider, not about the items: they end the run.
"""

from collections.abc import Mapping

from gateway.errors import PreceptorError, UpstreamRefused, UpstreamTimeout
from gateway.formats.upstream_error import error_words

_ABOUT_THE_REQUEST = frozenset({400, 413, 415, 422})
_SHARE = 0.1
"""Largest share of a stage's items to be set aside."""
_FEW = 4
"""Items of a stage in which a single one may be set aside."""
_IN_A_ROW = 2
"""Items set aside without an answer in between. More of them mean a provider that fails."""
_QUOTED = 200
"""Characters of the provider's words in a reason."""


def is_about_the_request(error: PreceptorError) -> bool:
    """Decide whether an error can be about the text of the request: a refusal of its content, or a reply too slow."""
    if isinstance(error, UpstreamRefused):
        return error.status in _ABOUT_THE_REQUEST
    return isinstance(error, UpstreamTimeout) and error.sent


class SetAside:
    """The items set aside so far, by id, with the reasons."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._streak: list[str] = []
        """The items set aside since the last answer in good order."""

    @property
    def reasons(self) -> Mapping[str, str]:
        """The reason of each item, such as "refused: blocked by the content filter"."""
        return dict(self._reasons)

    def reason(self, item: str) -> str:
        """The reason for an item; empty for an item not set aside."""
        return self._reasons.get(item, "")

    def answered(self) -> None:
        """Note an item answered in good order: the provider works."""
        self._streak.clear()

    def add(self, item: str, error: PreceptorError, total: int) -> str:
        """Set an item of a stage with ``total`` items aside and return the reason.

        Raises ``error`` itself if it is not about the request, and after too many such items: in all, or in a row.
        """
        if item in self._reasons and is_about_the_request(error):  # asked for with several rule sets at once
            return self._reasons[item]
        most = max(int(_SHARE * total), 1 if total >= _FEW else 0)
        if not is_about_the_request(error) or len(self._reasons) >= most or len(self._streak) == _IN_A_ROW:
            for failed in self._streak:  # it was the provider, not these items
                self._reasons.pop(failed, None)
            raise error
        self._streak.append(item)
        words = error_words(error.payload) if isinstance(error, UpstreamRefused) else None
        refused = f"refused: {words.message[:_QUOTED]}" if words is not None else error.message
        self._reasons[item] = refused
        return refused

    def note(self) -> str:
        """Name the items in a sentence; empty without any."""
        if not self._reasons:
            return ""
        named = ", ".join(f"{item} ({reason})" for item, reason in list(self._reasons.items())[:3])
        more = f" and {len(self._reasons) - 3} more" if len(self._reasons) > 3 else ""
        count = "1 example" if len(self._reasons) == 1 else f"{len(self._reasons)} examples"
        return f"{count} set aside, counted as wrong in every arm: {named}{more}"
