"""A reply's text, tokens and end, read while the reply passes by. Readers of replies fill it."""

from gateway.domain import NO_USAGE, ToolCall


class Transcript:
    """The reply so far; complete at its end. All passes of a form add up in one transcript."""

    __slots__ = ("_pieces", "finish_reason", "reply_id", "tool_calls", "usage")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.usage = NO_USAGE
        self.finish_reason: str | None = None
        self.tool_calls: tuple[ToolCall, ...] = ()
        """Calls of tools that the reply asks its caller for."""
        self.reply_id: str | None = None
        """The id of a reply that keeps the upstream's, because later requests refer to it."""

    @property
    def text(self) -> str:
        """The text so far. Halves of a surrogate pair from two pieces become a character; a lone half is replaced."""
        text = "".join(self._pieces)
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    def add_text(self, piece: str | None) -> None:
        if piece:
            self._pieces.append(piece)
