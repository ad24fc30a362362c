"""The memory of stored values: what entries share, and the size of the rest, within a tenth."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.cache.entry import SEPARATOR, Shape
from asgi_serial.cache.key import BODY, EXTRA, HOST, PATH, QUERY, RAW_PATH

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, Representation, Terms, Variant, VaryIndex
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


# Sizes in bytes, measured with tracemalloc on CPython 3.11. The place in the first level: a slot, a
# size, and a share of a dict that is half full on average.
_PLACE_BYTES = 96 + 32 + 45
# The entry itself, its times, the digest of its URI, and its place there.
_ENTRY_BYTES = 192 + 60 + 49 + 45
_FORM_BYTES = 88  # a representation without its body and its values
_INDEX_BYTES = 250
_HEADER_BYTES = 33  # overhead of a bytes object
_TEXT_BYTES = 49  # overhead of a str
_TUPLE_BYTES, _ITEM_BYTES = 40, 8
# The key of a resource, without the characters of its paths and query.
_KEY_BYTES = _TUPLE_BYTES + 11 * _ITEM_BYTES + _TEXT_BYTES + 2 * _HEADER_BYTES
_LINE_BYTES = _TUPLE_BYTES + 3 * _ITEM_BYTES + 2 * _HEADER_BYTES  # with its place in a list


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


def entry_size(entry: Entry) -> int:
    """Return the size of an entry with all its representations.

    Parts that entries share (`Interner`) and prepared hits (`HitStates`) do not count: both have
    bounds of their own.
    """
    size = _PLACE_BYTES + _ENTRY_BYTES + _key_size(entry.key)
    size += _HEADER_BYTES + len(entry.own)
    if not entry.shape.is_shared:
        size += _shape_size(entry.shape)
    if entry.vary_values or entry.tags:
        size += _weigh(entry.vary_values) + _weigh(entry.tags)
    forms = entry.forms
    for form in forms if isinstance(forms, tuple) else (forms,):
        size += _FORM_BYTES + _HEADER_BYTES + len(form.body)
        if not form.shape.is_shared:
            size += _shape_size(form.shape)
        if form.own is not entry.own:
            size += _HEADER_BYTES + len(form.own)
    return size


def form_size(made: Representation) -> int:
    """Return the size of a representation kept apart from its entry, under the entry's key."""
    size = _PLACE_BYTES + 2 * (_TUPLE_BYTES + 2 * _ITEM_BYTES)  # its key, and its container
    size += _FORM_BYTES + 2 * _HEADER_BYTES + len(made.body) + len(made.own)
    return size if made.shape.is_shared else size + _shape_size(made.shape)


def index_size(key: Key, index: VaryIndex) -> int:
    """Return the size of an index and its key."""
    return _PLACE_BYTES + _INDEX_BYTES + _key_size(key) + _weigh(index.names)


def _shape_size(shape: Shape) -> int:
    """Return the size of the lines of a shape that belongs to one response."""
    return sum([_LINE_BYTES + len(name) + len(value) for name, value in shape.lines])


def _key_size(key: Key) -> int:
    inner, *values = key
    if isinstance(inner, tuple):
        # The variants of a resource share the key of its index; an entry with only an index above
        # it has its own copy of that key.
        inner_size = 0 if len(values) > 1 else _key_size(inner)
        return inner_size + _weigh((None, *values))
    # The realm, the method and the scheme are shared. A host is shared only if it is short and
    # common.
    size = _KEY_BYTES
    for place in (HOST, PATH, RAW_PATH, QUERY, EXTRA, BODY):
        part = key[place]
        if isinstance(part, str | bytes):
            size += len(part)
        elif part is not None:
            size += _weigh(part)
    return size


def _weigh(part: object) -> int:
    """Return the size of a part of a key or an entry; 0 for a singleton."""
    if not part:
        return 0
    if isinstance(part, tuple):
        return _TUPLE_BYTES + sum(_ITEM_BYTES + _weigh(one) for one in part)
    return _HEADER_BYTES + len(part) if isinstance(part, bytes) else 0
