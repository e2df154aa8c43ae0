"""A field of a form (``multipart/form-data``, RFC 7578), found while the form arrives. Pure.

Only the field's place is sought: the rest stays bytes, whatever it holds.
"""

import re

from gateway.domain import Value

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^";\s]{1,200}))', re.IGNORECASE)
_LINES = re.IGNORECASE | re.MULTILINE
_NAME = re.compile(
    rb'^content-disposition:\s*form-data\b[^\r\n]*?;\s*name=(?:"([^"\r\n]*)"|([^";\s]+))', re.IGNORECASE | re.MULTILINE
)
_FILE = re.compile(rb"^content-disposition:[^\r\n]*?;\s*filename\*?=", _LINES)
_HEAD = 2**13
"""Bytes of a part's headers at most."""
_LONGEST = 2**10
"""Bytes of the field at most: a name of a model."""


class FormField(Value, frozen=True):
    """A field in a form: its value, and the place of its bytes."""

    value: str
    start: int
    end: int


def boundary_of(content_type: str) -> bytes | None:
    """Return the boundary of a form; ``None`` for anything else."""
    kind, _, _ = content_type.partition(";")
    match = _BOUNDARY.search(content_type) if kind.strip().lower() == "multipart/form-data" else None
    return None if match is None else (match[1] or match[2]).encode("latin-1", "replace")


def with_value(body: bytes, field: FormField, value: str) -> bytes:
    """Return a form with another value in a field's place."""
    return body[: field.start] + value.encode() + body[field.end :]


def with_field(body: bytes, boundary: bytes, name: str, value: str) -> bytes:
    """Return a form with a field in front."""
    return b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
        boundary, name.encode(), value.encode()) + body  # fmt: skip


class FieldSearch:
    """The search for the first field of a name. Each byte is looked at once or twice, however small the pieces."""

    def __init__(self, boundary: bytes, name: str) -> None:
        self.boundary = boundary
        self._mark = b"\r\n--" + boundary
        self._name = name.encode()
        # The first mark stands at the very beginning, without a line before it.
        self._held = bytearray(b"\r\n")
        self._at = 0
        self._wanted = False
        self._value = 0
        self.field: FormField | None = None
        self.done = False
        """Nothing more is to be found: the field is there, or the form ended, or it is none."""

    def feed(self, piece: bytes) -> None:
        """Look at the next piece."""
        self._held += piece
        while not self.done and self._step():
            pass

    @property
    def read(self) -> bytes:
        """The form so far."""
        return bytes(self._held[2:])

    def _step(self) -> bool:
        """Go to the next mark; false: the next piece is needed."""
        held, mark = self._held, self._mark
        place = held.find(mark, self._at)
        if place < 0:
            self._at = max(self._at, len(held) - len(mark) + 1)
            self.done = self._wanted and len(held) - self._value > _LONGEST + len(mark)
            return False
        after = place + len(mark)
        if len(held) < after + 2:
            return False
        ending = bytes(held[after : after + 2])
        if ending not in (b"\r\n", b"--"):  # a longer line of the content begins alike
            self._at = place + 1
            return True
        if self._wanted:
            self._take(place)
            return False
        head = held.find(b"\r\n\r\n", after)
        if ending == b"--" or (head < 0 and len(held) - after > _HEAD):
            self.done = True
        if self.done or head < 0:
            return False
        headers = bytes(held[after:head])
        named = _NAME.search(headers)
        self._wanted = named is not None and (named[1] or named[2]) == self._name and not _FILE.search(headers)
        self._value = self._at = head + 4
        return True

    def _take(self, end: int) -> None:
        self.done = True
        raw = bytes(self._held[self._value : end])
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return
        if len(raw) <= _LONGEST:
            self.field = FormField(value=text, start=self._value - 2, end=end - 2)
