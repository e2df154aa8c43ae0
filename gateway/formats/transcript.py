"""What the gateway reads of a reply while it passes by: text, tokens and how it ended. Readers of replies fill it."""

from gateway.domain import ToolCall, Usage


class Transcript:
    """What is known of a reply so far; complete when it has ended. The passes of a scratchpad add up in one."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.usage = Usage()
        self.finish_reason: str | None = None
        self.tool_calls: tuple[ToolCall, ...] = ()
        """What the reply asks its caller to do."""
        self.reply_id: str | None = None
        """The id of a reply that keeps the upstream's, because later requests refer to it."""

    @property
    def text(self) -> str:
        """The text so far. Halves of a surrogate pair from two pieces become one character; a lone one is replaced."""
        text = "".join(self._pieces)
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    def add_text(self, piece: str | None) -> None:
        if piece:
            self._pieces.append(piece)
