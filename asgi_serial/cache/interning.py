"""Equal objects of many entries, kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from asgi_serial.bounds.memo import BoundedDict

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Terms, Variant
    from asgi_serial.types import Field, Fields

V = TypeVar("V")

# Fields whose values are seldom those of another response.
_UNIQUE = frozenset(
    {b"content-length", b"date", b"etag", b"expires", b"last-modified", b"location"}
)


class SharedFields:
    """The field lines that are in many responses: their types, their Vary, their Cache-Control.

    A line takes some 150 bytes, and most entries have no line but two of their own. What is known
    outlives its entries, so it is bounded in bytes, and a line of kilobytes is each entry's own.
    """

    def __init__(self) -> None:
        self._names: BoundedDict[bytes, bytes] = BoundedDict(shares_values=True)
        self._lines: BoundedDict[Field, Field] = BoundedDict(shares_values=True)
        self._variants: BoundedDict[Variant, Variant] = BoundedDict(shares_values=True)
        self._terms: BoundedDict[Terms, Terms] = BoundedDict(shares_values=True)

    def share(self, entry: Entry) -> None:
        """Let an entry hold the lines that others have, and each of its own but once."""
        own: dict[Field, Field] = {}
        entry.terms = _shared(entry.terms, self._terms)
        entry.fields = self._lines_of(entry.fields, own)
        for kept in entry.kept:
            fields = self._lines_of(kept.fields, own)
            kept.second = -1  # what is ready for hits was made of the other lines
            kept.fields = kept.hit_fields = entry.fields if fields == entry.fields else fields
        # There are few variants: every format by every coding.
        entry.variants = tuple([_shared(one, self._variants) for one in entry.variants])

    def _lines_of(self, fields: Fields, own: dict[Field, Field]) -> Fields:
        # Apps may write a line as a list, and a value as a bytearray.
        return [self._line((bytes(name), bytes(value)), own) for name, value in fields]

    def _line(self, line: Field, own: dict[Field, Field]) -> Field:
        found = own.get(line) or self._lines.get(line)
        if found is None:
            name, value = line
            found = (_shared(name, self._names), value)
            if name not in _UNIQUE:
                self._lines.keep(found, found)
            own[found] = found  # which is there for a line that is too long to be shared, too
        return found


def _shared(value: V, known: BoundedDict[V, V]) -> V:
    """Return the equal value that is known, or this one, which is known from now on."""
    found = known.get(value)
    if found is None:
        found = value
        known.keep(value, value)
    return found
