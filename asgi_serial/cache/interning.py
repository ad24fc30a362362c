"""Sharing of equal parts between entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.cache.entry import SEPARATOR, Shape
from asgi_serial.cache.key import HOST

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, Representation, Terms, Variant
    from asgi_serial.types import Field, Fields

V = TypeVar("V")

# Values of these fields are rarely shared with another response.
_UNIQUE = frozenset(
    {b"content-length", b"date", b"etag", b"expires", b"last-modified", b"location"}
)

# A field with more values than this, such as a request identifier, differs in each response.
MAX_VALUES = 16

_Lines: TypeAlias = tuple["Field", ...]
_ShapeKey: TypeAlias = tuple[_Lines, tuple[tuple[int, bytes], ...], bytes | int | None]


class Interner:
    """Shares equal parts of entries: field lines, variants, terms and hosts.

    A field line takes about 150 bytes, and most responses have only four lines of their own. Known
    parts outlive their entries, so they are bounded in bytes; a line of several kilobytes is not
    shared.
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
        """Replace parts of an entry by equal shared ones, and its duplicates by one object."""
        entry.shape, entry.own = self._pack(entry.shape, entry.own)
        forms = entry.forms
        for form in forms if isinstance(forms, tuple) else (forms,):
            form.shape, form.own = self._pack(form.shape, form.own)
            if form.own == entry.own:
                form.own = entry.own
        entry.terms = _shared(entry.terms, self._terms)
        # There are few variants: every format with every coding.
        entry.variants = _shared(entry.variants, self._variants)

    def share_form(self, form: Representation) -> None:
        """Replace the field lines of a representation by the shared equal ones."""
        form.shape, form.own = self._pack(form.shape, form.own)

    def share_key(self, key: Key) -> Key:
        """Return the key of a resource with its host replaced by the shared equal one."""
        host = key[HOST]
        known = _shared(host, self._hosts)
        return key if known is host else (*key[:HOST], known, *key[HOST + 1 :])

    def _pack(self, shape: Shape, own: bytes) -> tuple[Shape, bytes]:
        """Return a shared shape and the values that fill its gaps, for the same fields."""
        if shape.is_shared:
            return shape, own
        if shape.gaps:
            shape = Shape(shape.fill(own), (), shape.tag_of(own))
        tag = shape.tag
        lines: Fields = []
        gaps: list[tuple[int, bytes]] = []
        values: list[bytes] = []
        is_odd = False  # has a line of its own that cannot fill a gap
        for name, value in shape.lines:
            # Apps may send a line as a list, and a value as a bytearray.
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
                found.is_shared = key in self._shapes  # unless it is too long
        return found, SEPARATOR.join(values)

    def _learn(self, line: Field) -> Field | None:
        """Return the line if it is shared from now on; None if it belongs to one response."""
        name, _ = line
        if self._values.get(name, 0) >= MAX_VALUES:
            return None
        self._lines.keep(line, line)
        if line not in self._lines:
            return None  # too long
        if len(self._lines) == 1:
            self._values.clear()  # all others were discarded to make room
        self._values[name] = self._values.get(name, 0) + 1
        return line


def _shared(value: V, known: BoundedDict[V, V]) -> V:
    """Return the known value equal to this one; if there is none, register this one."""
    found = known.get(value)
    if found is None:
        found = value
        known.keep(value, value)
    return found
