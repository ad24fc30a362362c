"""The memory that what is kept takes, in bytes, to about a tenth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, Representation, VaryIndex

# Measured with tracemalloc: a line of its own takes a tuple and a value, most are shared.
_PAIR_BYTES = 75
_LINE_BYTES = 16
_TAG_BYTES = 45
_INDEX_BYTES = 300
_URI_BYTES = 250  # what is shared by all that is stored of one URI; most have one entry

KEPT_BYTES = 650
"""A representation takes itself, its two lists, its tag, its length, and what counts its hits."""


def entry_size(entry: Entry) -> int:
    """The size of an entry with all its representations."""
    size = _URI_BYTES + _key_size(entry.key)
    size += sum(len(value) + _PAIR_BYTES for _, value in entry.fields)
    size += sum(len(tag) + _TAG_BYTES for tag in entry.tags)
    for kept in entry.kept:
        size += len(kept.body) + KEPT_BYTES + _LINE_BYTES * len(kept.fields)
    return size


def form_size(key: Key, made: Representation) -> int:
    """The size of a representation that is kept apart from the entry under `key`."""
    size = _key_size(key) + KEPT_BYTES + len(made.body)
    return size + sum(len(value) + _PAIR_BYTES for _, value in made.fields)


def index_size(key: Key, index: VaryIndex) -> int:
    """The size of an index under its key."""
    return _INDEX_BYTES + _key_size(key) + sum(map(len, index.names))


def _key_size(key: Key) -> int:
    size = 0
    for part in key:
        if isinstance(part, tuple):
            size += _key_size(part)
        elif isinstance(part, str | bytes):
            size += len(part) + 50
    return size
