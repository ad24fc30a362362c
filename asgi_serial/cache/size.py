"""The memory that stored values take, in bytes, accurate to about a tenth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.key import BODY, EXTRA, HOST, PATH, QUERY, RAW_PATH

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, Representation, Shape, VaryIndex

# Measured with tracemalloc on CPython 3.11. The place in the first level: a slot, a size, and a
# share of a dict that is half full on average.
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


def entry_size(entry: Entry) -> int:
    """Return the size of an entry with all its representations.

    Parts that entries share (`interning`) and prepared hits (`HitStates`) do not count: both have
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
