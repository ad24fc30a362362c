import pickle
import struct
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.cache import packing
from asgi_serial.cache.entry import Entry, Key, Representation, VaryIndex
from asgi_serial.cache.packing import (
    digest_key,
    encode_key,
    pack_entry,
    pack_vary_index,
    unpack_record,
)
from asgi_serial.reasons import Reason

KEY: Key = ("GET", "https", b"example.org", b"/items", None, (b"a", "b"))

texts = st.text(st.characters(exclude_categories=()), max_size=20)
strings = st.binary(max_size=40)
parts = st.recursive(
    texts | strings | st.none(), lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8
)
keys = st.lists(parts, max_size=6).map(tuple)
times = st.floats(allow_nan=False, allow_infinity=False)
fields = st.lists(st.tuples(strings, strings), max_size=5)
reasons = st.lists(st.sampled_from(Reason), max_size=4).map(tuple)
representations = st.builds(Representation, fields, strings, texts, st.none() | strings, reasons)
entries = st.builds(
    Entry,
    keys,
    st.integers(100, 599),
    fields,
    generated_at=times,
    expires=times,
    credentialed=st.frozensets(st.sampled_from((b"authorization", b"cookie"))),
    route=texts,
    vary_values=st.lists(st.tuples(strings, st.none() | strings), max_size=4).map(tuple),
    negotiates=st.tuples(st.booleans(), st.booleans()),
    representations=st.dictionaries(st.tuples(texts, texts), representations, max_size=4),
)
vary_indexes = st.builds(
    VaryIndex, st.lists(strings, max_size=5).map(tuple), strings, generated_at=times, until=times
)


def make_entry(**changes: object) -> Entry:
    values: dict[str, object] = {
        "fields": [(b"vary", b"accept-language"), (b"vary", b"origin")],
        "negotiates": (True, False),
        "generated_at": 1_700_000_000.25,
        "expires": 1_700_000_060.0,
        "credentialed": frozenset(),
        "route": "/items",
        "vary_values": ((b"accept-language", b"de"), (b"origin", None)),
        "representations": {
            ("application/json", "gzip"): Representation(
                [(b"content-type", b"application/json")], b"{}", "gzip", b'"a"'
            ),
            ("", ""): Representation([], b"", "", None, (Reason.TOO_SMALL,)),
        },
    }
    return Entry(KEY, 200, **(values | changes))  # type: ignore[arg-type]


def as_values(entry: Entry | None) -> object:
    if entry is None:
        return None
    held = {
        variant: [form.fields, form.body, form.coding, form.etag, form.reasons]
        for variant, form in entry.representations.items()
    }
    scalars = [
        getattr(entry, name)
        for name in Entry.__slots__
        if name not in {"forms", "last_form", "mark", "own", "shape"}
    ]
    scalars.append(entry.fields)
    return scalars, held, list(held)


def reseal(covered: bytes) -> bytes:
    """A record whose checksum is right, whatever it holds."""
    prefix = pack_entry(make_entry())[:7]
    return prefix + blake2b(covered, digest_size=16).digest() + covered


def with_key(content: bytes) -> bytes:
    return reseal(blake2b(encode_key(KEY), digest_size=32).digest() + content)


INDEX_HEAD = b"\x02" + struct.pack("!dd", 0.0, 0.0)


def entry_head(flags: int) -> bytes:
    return b"\x01" + struct.pack("!HdddBBddQ", 200, 0.0, 0.0, 0.0, flags, 0, -1.0, -1.0, 0)


class TestKeys:
    @given(keys, keys)
    def test_different_keys_have_different_bytes(self, one: Key, other: Key) -> None:
        assert (encode_key(one) == encode_key(other)) == (one == other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            pytest.param(("ab", "c"), ("a", "bc"), id="a border moves"),
            pytest.param(("a",), (b"a",), id="text against bytes"),
            pytest.param((None,), ("",), id="nothing against empty text"),
            pytest.param((b"",), (None,), id="empty bytes against nothing"),
            pytest.param(((),), (None,), id="an empty tuple against nothing"),
            pytest.param((("a", "b"), "c"), (("a",), "b", "c"), id="a tuple ends elsewhere"),
            pytest.param(("a", ("b",)), ("a", "b"), id="nested against flat"),
            pytest.param(("s\0\0\0\1a",), ("s", "\0\0\0\1a"), id="bytes that look like a header"),
            pytest.param(("\ud800\udc00",), ("\U00010000",), id="two surrogates against one sign"),
        ],
    )
    def test_keys_that_look_alike_differ(self, one: Key, other: Key) -> None:
        assert encode_key(one) != encode_key(other)
        assert digest_key(one) != digest_key(other)

    @given(keys)
    def test_a_digest_is_short_and_plain(self, key: Key) -> None:
        digest = digest_key(key)
        assert len(digest) == 32
        assert set(digest) <= set("0123456789abcdef")

    @pytest.mark.parametrize("part", [1, 1.5, True, ["a"], bytearray(b"a")])
    def test_a_part_of_another_type_is_refused(self, part: object) -> None:
        with pytest.raises(TypeError, match="expected str, bytes, None or a tuple"):
            encode_key(("a", part))


class TestRoundTrip:
    @given(entries)
    def test_an_entry_comes_back_as_it_was(self, entry: Entry) -> None:
        assert as_values(unpack_record(pack_entry(entry), entry.key)) == as_values(entry)

    @given(vary_indexes, keys)
    def test_a_vary_index_comes_back_as_it_was(self, index: VaryIndex, key: Key) -> None:
        assert unpack_record(pack_vary_index(index, key), key) == index

    @pytest.mark.parametrize("generated_at", [float("inf"), float("nan")])
    def test_a_vary_index_of_no_time_is_a_miss(self, generated_at: float) -> None:
        record = pack_vary_index(VaryIndex((b"a",), b"nonce", generated_at), KEY)
        assert unpack_record(record, KEY) is None

    def test_one_call_tells_the_kinds_apart(self) -> None:
        index = VaryIndex((b"accept-language",), b"nonce")
        assert unpack_record(pack_vary_index(index, KEY), KEY) == index
        assert isinstance(unpack_record(pack_entry(make_entry()), KEY), Entry)


class TestNoRecord:
    @given(st.binary(max_size=200), keys)
    def test_any_bytes_are_none(self, data: bytes, key: Key) -> None:
        assert unpack_record(data, key) is None

    @given(st.binary(max_size=200))
    def test_any_content_with_a_right_checksum_is_a_record_or_none(self, content: bytes) -> None:
        record = unpack_record(with_key(content), KEY)
        assert record is None or isinstance(record, Entry | VaryIndex)

    def test_every_flipped_bit_is_none(self) -> None:
        data = pack_entry(make_entry())
        for position in range(len(data) * 8):
            damaged = bytearray(data)
            damaged[position // 8] ^= 1 << position % 8
            assert unpack_record(bytes(damaged), KEY) is None

    @pytest.mark.parametrize(
        "data",
        [pack_entry(make_entry()), pack_vary_index(VaryIndex((b"a", b"b"), b"nonce"), KEY)],
        ids=["entry", "vary index"],
    )
    def test_every_truncation_is_none_even_with_a_right_checksum(self, data: bytes) -> None:
        for length in range(len(data)):
            assert unpack_record(data[:length], KEY) is None
            assert unpack_record(reseal(data[23:length]), KEY) is None

    @given(keys.filter(lambda key: key != KEY))
    def test_a_record_under_another_key_is_none(self, key: Key) -> None:
        assert unpack_record(pack_entry(make_entry()), key) is None

    def test_another_revision_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = pack_entry(make_entry())
        monkeypatch.setattr(packing, "_PREFIX", data[:6] + bytes([packing.REVISION + 1]))
        assert unpack_record(data, KEY) is None

    def test_a_pickle_is_none_and_is_not_run(self) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[object, ...]:
                return pytest.fail, ("the pickle was run",)

        assert unpack_record(pickle.dumps(Bomb()), KEY) is None
        assert unpack_record(with_key(pickle.dumps(Bomb())), KEY) is None

    def test_a_reason_that_this_release_does_not_know_is_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packed = pack_entry(make_entry())
        monkeypatch.setattr(packing, "REASONS", {})
        unpacked = unpack_record(packed, KEY)
        assert isinstance(unpacked, Entry)
        assert [form.reasons for form in unpacked.all_forms] == [(), ()]

    def test_bytes_after_the_record_are_none(self) -> None:
        assert unpack_record(reseal(pack_entry(make_entry())[23:] + b"\0"), KEY) is None

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"generated_at": float("nan")}, id="generated at no time"),
            pytest.param({"expires": float("inf")}, id="fresh for ever"),
            pytest.param({"vary_values": ((b"a", b"b"),) * 4097}, id="too many varying fields"),
            pytest.param(
                {
                    "representations": {
                        ("", ""): Representation([(b"a", b"")] * 4097, b"", "", None)
                    }
                },
                id="too many fields",
            ),
            pytest.param(
                {
                    "representations": {
                        (str(i), ""): Representation([], b"", "", None) for i in range(257)
                    }
                },
                id="too many representations",
            ),
        ],
    )
    def test_an_entry_out_of_bounds_is_none(self, changes: dict[str, object]) -> None:
        assert unpack_record(pack_entry(make_entry(**changes)), KEY) is None

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"\x03", id="an unknown kind"),
            pytest.param(INDEX_HEAD + b"\xff\xff\xff\xff\0\0\0\0", id="no nonce"),
            pytest.param(INDEX_HEAD + b"\xff\xff\xff\xfe\0\0\0\0", id="a nonce of 4 GB"),
            pytest.param(INDEX_HEAD + b"\0\0\0\0\xff\xff\xff\xff", id="4 billion names"),
            pytest.param(entry_head(0) + b"\0\0\0\1\xff" + bytes(12), id="a route that is no text"),
            pytest.param(entry_head(0x80) + bytes(16), id="an unknown flag"),
        ],
    )
    def test_malformed_content_with_a_right_checksum_is_none(self, content: bytes) -> None:
        assert unpack_record(with_key(content), KEY) is None

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(INDEX_HEAD + bytes(8), id="an index"),
            pytest.param(entry_head(0) + bytes(20), id="an entry"),
        ],
    )
    def test_content_of_the_same_layout_is_a_record(self, content: bytes) -> None:
        assert unpack_record(with_key(content), KEY) is not None
