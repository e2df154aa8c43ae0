"""Working between tags in a reply: text up to the closing tag is kept back, the rest is the reply."""

OPEN_TAG = "<working>"
CLOSE_TAG = "</working>"
_ANSWER = 200
"""Characters of a complete answer without tags at most; a longer text is working that forgot its tags."""


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

    def end(self) -> str:
        """Return an answer without any tag at its end: a short line is a reply, not a working."""
        answer = self._before.strip()
        if self._closed or OPEN_TAG in answer or "\n" in answer or len(answer) > _ANSWER:
            return ""
        self.replied = bool(answer)
        return answer
