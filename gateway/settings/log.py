"""The section ``[log]``: the lines on stderr."""

from typing import Annotated, Literal

from gateway.settings.base import Section, doc

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "text"]


class Log(Section, frozen=True):
    """The lines of the processes that serve, on stderr. Of users' texts there is nothing in them."""

    level: Annotated[Level, doc("Least weight of a line. Read at the start.")] = "info"
    format: Annotated[
        Format, doc("`json`, `text` for people, or `auto`: `text` at a terminal, else `json`. Read at the start.")
    ] = "auto"
    requests: Annotated[
        bool, doc("A line for every request, at the level `info`: who, what model, how long, how many tokens.")
    ] = True

    @property
    def each_request(self) -> bool:
        """Requests get a line."""
        return self.requests and self.level in ("info", "debug")
