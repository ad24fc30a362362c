"""Equal parts of many entries, kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.cache.entry import SEPARATOR, Shape
from asgi_serial.cache.key import HOST

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, Representation, Terms, Variant
    from asgi_serial.types import Field, Fields

V = TypeVar("V")

# The values of these are seldom those of another response.
_UNIQUE = frozenset(
    {b"content-length", b"date", b"etag", b"expires", b"last-modified", b"location"}
)

# A field with more values than this, as an identifier of the request, has one for each response.
MAX_VALUES = 16

_Lines: TypeAlias = tuple["Field", ...]
_ShapeKey: TypeAlias = tuple[_Lines, tuple[tuple[int, bytes], ...], bytes | int | None]


class Interner:
    """The parts that many entries have alike: field lines, variants, and what is said of their use.

    A field line takes some 150 bytes, and most responses have no line but four of their own. What
    is known outlives its entries, so it is bounded in bytes, and a line of kilobytes is each
    entry's own.
    """

    def __init__(self) -> None:
        self._lines: BoundedDict[Field, Field] = BoundedDict(shares_values=True)
        self._values: dict[bytes, int] = {}  # how many of the lines have this name
        self._shapes: BoundedDict[_ShapeKey, Shape] = BoundedDict(shares_values=True)
        self._variants: BoundedDict[tuple[Variant, ...], tuple[Variant, ...]] = BoundedDict(
            shares_values=True
        )
        self._hosts: BoundedDict[object, object] = BoundedDict(shares_values=True)
        self._terms: BoundedDict[Terms, Terms] = BoundedDict(shares_values=True)

    def share(self, entry: Entry) -> None:
        """Let an entry hold the parts that others have, and each of its own but once."""
        entry.shape, entry.own = self._pack(entry.shape, entry.own)
        forms = entry.forms
        for kept in forms if isinstance(forms, tuple) else (forms,):
            kept.shape, kept.own = self._pack(kept.shape, kept.own)
            if kept.own == entry.own:
                kept.own = entry.own
        entry.terms = _shared(entry.terms, self._terms)
        # There are few variants: every format by every coding.
        entry.variants = _shared(entry.variants, self._variants)

    def share_form(self, kept: Representation) -> None:
        """Let a representation hold the field lines that others have."""
        kept.shape, kept.own = self._pack(kept.shape, kept.own)

    def share_key(self, key: Key) -> Key:
        """Return the key of a resource with the host that others have."""
        host = key[HOST]
        known = _shared(host, self._hosts)
        return key if known is host else (*key[:HOST], known, *key[HOST + 1 :])

    def _pack(self, shape: Shape, own: bytes) -> tuple[Shape, bytes]:
        """Return the shape that others have, and what fills its gaps, for the same fields."""
        if shape.is_shared:
            return shape, own
        if shape.gaps:
            shape = Shape(shape.fill(own), (), shape.tag_of(own))
        tag = shape.tag
        lines: Fields = []
        gaps: list[tuple[int, bytes]] = []
        values: list[bytes] = []
        is_odd = False  # has a line of its own that can fill no gap
        for name, value in shape.lines:
            # Apps may write a line as a list, and a value as a bytearray.
            line = (bytes(name), bytes(value))
            shared = None
            if line[0] not in _UNIQUE:
                shared = self._lines.get(line) or self._learn(line)
            if shared is not None:
                lines.append(shared)
            elif SEPARATOR in value:
                is_odd = True
                lines.append(line)
            else:
                if line == (b"etag", tag):
                    tag = len(gaps)
                gaps.append((len(lines), line[0]))
                values.append(line[1])
                lines.append((line[0], b""))
        key = (tuple(lines), tuple(gaps), tag)
        found = self._shapes.get(key)
        if found is None:
            found = Shape(lines, key[1], tag)
            if not is_odd:
                self._shapes.keep(key, found)
                found.is_shared = key in self._shapes  # but for one that is too long
        return found, SEPARATOR.join(values)

    def _learn(self, line: Field) -> Field | None:
        """Return a line that is shared from now on; None where it is its response's own."""
        name, _ = line
        if self._values.get(name, 0) >= MAX_VALUES:
            return None
        self._lines.keep(line, line)
        if line not in self._lines:
            return None  # it is too long
        if len(self._lines) == 1:
            self._values.clear()  # all others were forgotten to make room
        self._values[name] = self._values.get(name, 0) + 1
        return line


def _shared(value: V, known: BoundedDict[V, V]) -> V:
    """Return the equal value that is known, or this one, which is known from now on."""
    found = known.get(value)
    if found is None:
        found = value
        known.keep(value, value)
    return found
