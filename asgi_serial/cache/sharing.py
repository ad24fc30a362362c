"""Equal objects of many entries, kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Terms, Variant
    from asgi_serial.types import Field, Fields

MAX_SHARED = 1024

# Fields whose values are seldom those of another response.
_UNIQUE = frozenset(
    {b"content-length", b"date", b"etag", b"expires", b"last-modified", b"location"}
)


class SharedFields:
    """The field lines that are in many responses: their types, their Vary, their Cache-Control.

    A line takes some 150 bytes, and most entries have no line but two of their own.
    """

    def __init__(self) -> None:
        self._names: dict[bytes, bytes] = {}
        self._lines: dict[Field, Field] = {}
        self._variants: dict[Variant, Variant] = {}
        self._terms: dict[Terms, Terms] = {}

    def share(self, entry: Entry) -> None:
        """Let an entry hold the lines that others have, and each of its own but once."""
        own: dict[Field, Field] = {}
        if len(self._terms) >= MAX_SHARED:
            self._terms.clear()
        entry.terms = self._terms.setdefault(entry.terms, entry.terms)
        entry.fields = self._shared(entry.fields, own)
        for kept in entry.kept:
            fields = self._shared(kept.fields, own)
            kept.second = -1  # what is ready for hits was made of the other lines
            kept.fields = kept.hit_fields = entry.fields if fields == entry.fields else fields
        # There are few variants: every format by every coding.
        entry.variants = tuple([self._variants.setdefault(one, one) for one in entry.variants])

    def _shared(self, fields: Fields, own: dict[Field, Field]) -> Fields:
        # Apps may write a line as a list, and a value as a bytearray.
        return [self._line((bytes(name), bytes(value)), own) for name, value in fields]

    def _line(self, line: Field, own: dict[Field, Field]) -> Field:
        name, value = line
        if name in _UNIQUE:
            known = own
        else:
            known = self._lines
            if len(known) >= MAX_SHARED:
                known.clear()
        found = known.get(line)
        if found is None:
            if len(self._names) >= MAX_SHARED:
                self._names.clear()
            found = known[line] = (self._names.setdefault(name, name), value)
        return found
