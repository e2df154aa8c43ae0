"""Working between tags in a reply: text up to the closing tag is kept back, the rest is the reply."""

OPEN_TAG = "<working>"
CLOSE_TAG = "</working>"


class TagFilter:
    """Takes a tagged reply piece by piece and lets the text behind the closing tag through.

    ``working`` collects the text before the tag; ``replied`` says whether any text came behind it. Blank space between
    the tag and the reply is dropped.
    """

    def __init__(self) -> None:
        self.replied = False
        self._closed = False
        self._before = ""

    @property
    def working(self) -> str:
        return self._before.split(CLOSE_TAG)[0].replace(OPEN_TAG, "").strip()

    def feed(self, piece: str) -> str:
        """Return this piece's part of the reply; empty while the model is still working."""
        if not self._closed:
            self._before += piece
            _, tag, piece = self._before.partition(CLOSE_TAG)
            if not tag:
                return ""
            self._closed = True
        if not self.replied:
            piece = piece.lstrip()
            self.replied = bool(piece)
        return piece
