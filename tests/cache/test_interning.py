"""Equal field lines of many entries are one object, and what is remembered for it is bounded."""

import pytest

from asgi_serial.bounds.memo import MAX_BYTES
from asgi_serial.cache.entry import Representation
from asgi_serial.cache.interning import SharedFields

from .entries import make_entry


def fresh(line):
    """An equal line of other objects, as another response has it."""
    return tuple(bytes(bytearray(part)) for part in line)


TYPE, VARY = (b"content-type", b"text/plain"), (b"vary", b"accept-encoding")
LENGTH, ETAG = (b"content-length", b"4"), (b"etag", b'"x"')


def entry_of(*lines):
    return make_entry(fields=[fresh(line) for line in lines])


@pytest.mark.parametrize(
    ("line", "is_shared"), [(TYPE, True), (VARY, True), (LENGTH, False), (ETAG, False)]
)
def test_entries_share_the_lines_that_are_alike_in_many_responses(line, is_shared):
    shared = SharedFields()
    one, other = entry_of(line), entry_of(line)
    shared.share(one)
    shared.share(other)
    assert one.fields == other.fields == [line]
    assert (one.fields[0] is other.fields[0]) is is_shared
    assert one.fields[0][0] is other.fields[0][0]


def test_within_an_entry_every_line_is_one_object():
    entry = entry_of(TYPE, LENGTH)
    made = Representation([fresh(one) for one in (TYPE, LENGTH, VARY)], b"br", "br", None)
    entry.add(("", "br"), made)
    SharedFields().share(entry)
    own, encoded = entry.kept
    assert own.fields is own.hit_fields is entry.fields
    assert encoded.fields == [TYPE, LENGTH, VARY]
    assert [line is known for line, known in zip(encoded.fields, own.fields, strict=False)] == [
        True,
        True,
    ]


def test_variants_of_one_name_are_one_object():
    shared = SharedFields()
    one, other = make_entry(coding="gzip"), make_entry(coding="gzip")
    for entry in (one, other):
        entry.variants = tuple(
            (*variant[:1], "".join(list(variant[1]))) for variant in entry.variants
        )
        shared.share(entry)
    assert one.variants[0] is other.variants[0]


def test_lists_and_bytearrays_of_an_app_are_copied():
    value = bytearray(b"text/plain")
    line = [b"content-type", value]
    entry = make_entry(fields=[line])
    SharedFields().share(entry)
    value[:] = b"text/html!"
    assert entry.fields == entry.kept[0].fields == [TYPE]


def test_what_is_remembered_is_bounded_and_entries_stay_as_they_are():
    shared = SharedFields()
    lines = [(b"x-%d" % number, b"value" * 1_000) for number in range(1_000)]
    entries = [entry_of(line) for line in lines]
    for entry in entries:
        shared.share(entry)
        assert shared._lines.held_bytes <= MAX_BYTES
        assert shared._names.held_bytes <= MAX_BYTES
    assert [entry.fields for entry in entries] == [[line] for line in lines]


def test_a_long_line_is_that_of_its_entry_alone_and_one_object_in_it():
    line = (b"x-long", b"value" * 10_000)
    entry = entry_of(line)
    entry.add(("", "br"), Representation([fresh(line)], b"br", "br", None))
    shared = SharedFields()
    shared.share(entry)
    own, encoded = entry.kept
    assert own.fields[0] is encoded.fields[0]
    assert not shared._lines
