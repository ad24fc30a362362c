"""Equal parts of many entries are one object, and what is remembered for it is bounded."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.bounds.memo import MAX_BYTES
from asgi_serial.cache.entry import SEPARATOR, Representation, Terms
from asgi_serial.cache.footprint import MAX_VALUES, Interner, entry_size

from .entries import KEY, make_entry


def fresh(line):
    """An equal line of other objects, as another response has it."""
    return tuple(bytes(bytearray(part)) for part in line)


TYPE, VARY = (b"content-type", b"text/plain"), (b"vary", b"accept-encoding")
LENGTH, ETAG = (b"content-length", b"4"), (b"etag", b'"x"')


def entry_of(*lines, etag=None):
    entry = make_entry(fields=[fresh(line) for line in lines])
    entry.hold({("", ""): Representation(entry.fields, b"body", "", etag)})
    return entry


@pytest.mark.parametrize(
    ("line", "is_shared"), [(TYPE, True), (VARY, True), (LENGTH, False), (ETAG, False)]
)
def test_entries_share_the_lines_that_are_alike_in_many_responses(line, is_shared):
    interner = Interner()
    one, other = entry_of(line), entry_of(line)
    interner.share(one)
    interner.share(other)
    assert one.fields == other.fields == [line]
    assert (one.fields[0] is other.fields[0]) is is_shared
    assert one.fields[0][0] is other.fields[0][0]
    assert one.shape is other.shape


def test_responses_that_differ_in_values_of_their_own_share_all_else():
    interner = Interner()
    one, other = entry_of(TYPE, ETAG), entry_of(TYPE, (b"etag", b'"y"'))
    interner.share(one)
    interner.share(other)
    assert one.shape is other.shape
    assert (one.own, other.own) == (b'"x"', b'"y"')
    assert other.fields == [TYPE, (b"etag", b'"y"')]


def test_a_form_holds_no_second_copy_of_the_values_of_its_response():
    entry = entry_of(TYPE, LENGTH)
    made = Representation([fresh(one) for one in (TYPE, LENGTH, VARY)], b"br", "br", None)
    entry.add(("", "br"), made)
    Interner().share(entry)
    own, encoded = entry.all_forms
    assert encoded.own is own.own is entry.own
    assert encoded.fields == [TYPE, LENGTH, VARY]
    assert encoded.fields[0] is own.fields[0]


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize(
    ("lines", "etag"),
    [
        ([TYPE], None),
        ([TYPE, LENGTH, ETAG], b'"x"'),
        ([ETAG, LENGTH], b'"x"'),
        ([TYPE, (b"etag", b"no tag")], None),
        ([(b"etag", b'"x"\n')], b'"x"\n'),
        ([(b"etag", b'"y"'), ETAG], b'"x"'),
    ],
    ids=["none", "the last", "the first", "no tag", "a value with a line feed", "two"],
)
def test_a_form_knows_its_entity_tag(lines, etag, is_shared):
    entry = entry_of(*lines, etag=etag)
    if is_shared:
        Interner().share(entry)
    assert (entry.all_forms[0].etag, entry.all_forms[0].fields) == (etag, lines)


def test_a_tag_and_no_tag_of_the_same_fields_are_two_shapes():
    interner = Interner()
    one, other = entry_of(ETAG, etag=b'"x"'), entry_of(ETAG)
    interner.share(one)
    interner.share(other)
    assert (one.all_forms[0].etag, other.all_forms[0].etag) == (b'"x"', None)


def test_the_lists_that_an_entry_gives_are_the_callers_own():
    entry = entry_of(TYPE, LENGTH)
    for _ in range(2):
        for fields in (entry.fields, entry.all_forms[0].fields):
            fields.append(VARY)
            fields[0] = ETAG
        assert entry.fields == entry.all_forms[0].fields == [TYPE, LENGTH]
        Interner().share(entry)


def test_variants_and_terms_that_are_equal_are_one_object():
    interner = Interner()
    one, other = (make_entry(coding="gzip", terms=Terms(immutable=True)) for _ in range(2))
    for entry in (one, other):
        entry.variants = tuple(
            (*variant[:1], "".join(list(variant[1]))) for variant in entry.variants
        )
        interner.share(entry)
    assert one.variants is other.variants
    assert one.terms is other.terms


def test_hosts_that_are_equal_are_one_object():
    interner = Interner()
    one = interner.share_key(KEY)
    other = interner.share_key((*KEY[:3], fresh(KEY[3:4])[0], *KEY[4:]))
    assert one == other == KEY
    assert one[3] is other[3]


def test_lists_and_bytearrays_of_an_app_are_copied():
    value = bytearray(b"text/plain")
    line = [b"content-type", value]
    entry = make_entry(fields=[line])
    Interner().share(entry)
    value[:] = b"text/html!"
    assert entry.fields == entry.all_forms[0].fields == [TYPE]


def test_a_field_that_has_a_value_for_each_response_is_not_remembered_for_ever():
    interner, entries = Interner(), []
    for number in range(10 * MAX_VALUES):
        entry = entry_of(TYPE, (b"x-request-id", b"%d" % number))
        interner.share(entry)
        entries.append(entry)
    assert len(interner._lines) == MAX_VALUES + 1
    assert len({id(entry.shape) for entry in entries}) == MAX_VALUES + 1
    assert [entry.fields[1][1] for entry in entries] == [b"%d" % n for n in range(len(entries))]


def test_what_is_remembered_is_bounded_and_entries_stay_as_they_are():
    interner = Interner()
    lines = [(b"x-%d" % number, b"value" * 1_000) for number in range(1_000)]
    entries = [entry_of(line) for line in lines]
    for entry in entries:
        interner.share(entry)
        for known in (interner._lines, interner._shapes, interner._variants):
            assert known.held_bytes <= MAX_BYTES
        assert len(interner._values) <= len(interner._lines)
    assert [entry.fields for entry in entries] == [[line] for line in lines]


def test_once_all_is_forgotten_a_field_of_many_values_is_learned_anew():
    interner, numbers = Interner(), count()
    while interner._values.get(b"x", 0) < MAX_VALUES:
        interner.share(entry_of((b"x", b"%d" % next(numbers))))
    while interner._values.get(b"x") is not None:
        interner.share(entry_of((b"x-%d" % next(numbers), b"value" * 1_000)))
    interner.share(entry_of((b"x", b"new")))
    assert (b"x", b"new") in interner._lines


def test_a_long_line_is_that_of_its_entry_alone_and_one_object_in_it():
    line = (b"x-long", b"value" * 10_000)
    entry = entry_of(line)
    entry.add(("", "br"), Representation([fresh(line)], b"br", "br", None))
    interner = Interner()
    interner.share(entry)
    own, encoded = entry.all_forms
    assert own.own is encoded.own is entry.own
    assert own.fields == encoded.fields == [line]
    assert not interner._lines


_names = st.sampled_from([b"etag", b"date", b"x-a", b"x-b", b"content-length"])
_values = st.one_of(st.binary(max_size=4), st.sampled_from([b"", SEPARATOR, b"a\nb", b'"x"']))


@given(st.lists(st.lists(st.tuples(_names, _values), max_size=5), max_size=30))
def test_any_fields_come_back_as_they_were(responses):
    interner, entries = Interner(), []
    for lines in responses:
        tags = [value for name, value in lines if name == b"etag"]
        entry = make_entry(fields=lines or [TYPE])
        entry.hold({("", ""): Representation(list(lines), b"", "", tags[-1] if tags else None)})
        interner.share(entry)
        entries.append((entry, lines, tags))
    for entry, lines, tags in entries:
        assert entry.fields == (lines or [TYPE])
        assert entry.all_forms[0].fields == lines
        assert entry.all_forms[0].etag == (tags[-1] if tags else None)


@pytest.mark.parametrize(
    "line",
    [(b"x-odd", b"a\n" * 5_000), (b"x-long", b"a" * 10_000), (b"x" * 10_000, b"a")],
    ids=["a value with line feeds", "a long value", "a long name"],
)
def test_what_an_entry_shares_with_none_counts_for_it(line):
    interner, entries = Interner(), []
    for _ in range(3):
        entry = entry_of(TYPE, line)
        interner.share(entry)
        entries.append(entry)
    assert all(10_000 < entry_size(entry) < 40_000 for entry in entries)
    assert all(entry.fields == [TYPE, line] for entry in entries)
    assert not interner._shapes or entries[0].shape is entries[1].shape


def test_an_entry_that_shares_nothing_yet_counts_with_all_its_lines():
    entry = entry_of(TYPE, LENGTH, ETAG)
    before = entry_size(entry)
    Interner().share(entry)
    assert entry_size(entry) < before


@pytest.mark.parametrize("line", [(b"x-odd", b"a\nb"), (b"x-long", b"a" * 10_000), TYPE])
def test_an_entry_that_is_shared_again_stays_as_it_is(line):
    interner, entry = Interner(), entry_of(line, LENGTH, ETAG, etag=b'"x"')
    for _ in range(3):
        interner.share(entry)
        assert entry.fields == entry.all_forms[0].fields == [line, LENGTH, ETAG]
        assert entry.all_forms[0].etag == b'"x"'
        assert entry.own is entry.all_forms[0].own


def test_an_entry_with_a_line_that_fills_no_gap_may_be_shared_again():
    odd = (b"x-odd", b"a" + SEPARATOR + b"b" * MAX_BYTES)
    entry = entry_of(TYPE, LENGTH, odd)
    interner = Interner()
    for _ in range(2):
        interner.share(entry)
        assert entry.fields == [TYPE, LENGTH, odd]
        assert not entry.shape.is_shared
