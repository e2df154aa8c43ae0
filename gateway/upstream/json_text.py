"""A reply cut to its JSON object, for upstreams that can only be told to write one. Pure.

Words before the object, a code fence around it and remarks behind it go. A text without an object stays as it came.
"""

TOLD = "Every text you reply with is a single JSON object: no words before or after it, and no code fence."
"""The instruction in the place of OpenAI's ``json_object``."""


class JsonText:
    """Takes the pieces of a text in order. ``feed`` returns what is sure to belong to the object."""

    def __init__(self) -> None:
        self._before = ""
        self._depth = 0
        self._in_string = self._escaped = self._found = False

    def feed(self, text: str) -> str:
        """Return the part of a piece that belongs to the object."""
        if not self._found:
            self._before += text
            _, brace, behind = self._before.partition("{")
            if not brace:
                return ""
            self._found, text = True, brace + behind
        elif self._depth == 0:
            return ""
        return text[: self._end_in(text)]

    def end(self) -> str:
        """Return the whole text if there was no object in it."""
        return "" if self._found else self._before

    def _end_in(self, text: str) -> int:
        """Return the length of the object's part."""
        for at, letter in enumerate(text):
            if self._in_string:
                closing = letter == '"' and not self._escaped
                self._escaped = letter == "\\" and not self._escaped
                self._in_string = not closing
            elif letter == '"':
                self._in_string = True
            elif letter in "{[":
                self._depth += 1
            elif letter in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return at + 1
        return len(text)
