"""The memory that what is kept takes, in bytes, to about a tenth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.key import BODY, EXTRA, HOST, PATH, QUERY, RAW_PATH

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, Representation, Shape, VaryIndex

# Measured with tracemalloc, by CPython 3.11. Its place in the first level: a slot, a size, and the
# part of a dict that is a half full on average.
_PLACE_BYTES = 96 + 32 + 45
# Itself, its times, the digest of its URI, and the place there.
_ENTRY_BYTES = 192 + 60 + 49 + 45
_FORM_BYTES = 80  # a representation without its body and its values
_INDEX_BYTES = 250
_HEADER_BYTES = 33  # of a bytes object
_TEXT_BYTES = 49  # the same of a string
_TUPLE_BYTES, _ITEM_BYTES = 40, 8
# Of a resource, with its paths and its query but for their letters.
_KEY_BYTES = _TUPLE_BYTES + 11 * _ITEM_BYTES + _TEXT_BYTES + 2 * _HEADER_BYTES
_LINE_BYTES = _TUPLE_BYTES + 3 * _ITEM_BYTES + 2 * _HEADER_BYTES  # with its place in a list


def entry_size(entry: Entry) -> int:
    """The size of an entry with all its representations.

    What entries share is not in it (`interning`), nor what is ready for hits (`HitStates`): both
    are bounded by themselves.
    """
    size = _PLACE_BYTES + _ENTRY_BYTES + _key_size(entry.key)
    size += _HEADER_BYTES + len(entry.own)
    if not entry.shape.is_shared:
        size += _shape_size(entry.shape)
    if entry.selecting or entry.tags:
        size += _weigh(entry.selecting) + _weigh(entry.tags)
    forms = entry.forms
    for kept in forms if isinstance(forms, tuple) else (forms,):
        size += _FORM_BYTES + _HEADER_BYTES + len(kept.body)
        if not kept.shape.is_shared:
            size += _shape_size(kept.shape)
        if kept.own is not entry.own:
            size += _HEADER_BYTES + len(kept.own)
    return size


def form_size(made: Representation) -> int:
    """The size of a representation that is kept apart from its entry, under that one's key."""
    size = _PLACE_BYTES + 2 * (_TUPLE_BYTES + 2 * _ITEM_BYTES)  # its key, and what holds it
    size += _FORM_BYTES + 2 * _HEADER_BYTES + len(made.body) + len(made.own)
    return size if made.shape.is_shared else size + _shape_size(made.shape)


def index_size(key: Key, index: VaryIndex) -> int:
    """The size of an index under its key."""
    return _PLACE_BYTES + _INDEX_BYTES + _key_size(key) + _weigh(index.names)


def _shape_size(shape: Shape) -> int:
    """The size of the lines that a response shares with no other."""
    return sum([_LINE_BYTES + len(name) + len(value) for name, value in shape.lines])


def _key_size(key: Key) -> int:
    inner, *values = key
    if isinstance(inner, tuple):
        # The variants of a resource hold the key of its index; what hangs on an index alone has
        # a key of its own.
        inner_size = 0 if len(values) > 1 else _key_size(inner)
        return inner_size + _weigh((None, *values))
    # The realm, the method and the scheme are shared. A host is only where it is short and usual.
    size = _KEY_BYTES
    for place in (HOST, PATH, RAW_PATH, QUERY, EXTRA, BODY):
        part = key[place]
        if isinstance(part, str | bytes):
            size += len(part)
        elif part is not None:
            size += _weigh(part)
    return size


def _weigh(part: object) -> int:
    """The size of a part of a key or an entry; nothing for what there is but once."""
    if not part:
        return 0
    if isinstance(part, tuple):
        return _TUPLE_BYTES + sum(_ITEM_BYTES + _weigh(one) for one in part)
    if isinstance(part, bytes):
        return _HEADER_BYTES + len(part)
    return _TEXT_BYTES + len(part) if isinstance(part, str) else 0
