"""What a write invalidates, and that it touches nothing else, however many come."""

import threading
from math import inf
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asgi_serial.cache.drops import DropTable
from asgi_serial.cache.entry import DROPPED, UNHELD, VaryIndex
from asgi_serial.cache.key import key_of_kind, make_realm, part_key, uri_digest
from asgi_serial.cache.purges import Purge, PurgeTable, find_fault

from .entries import make_entry
from .keys import make_key_from

AT = 1_800_000_000.0


def digest_of(
    path="/a",
    raw_path=None,
    query=b"",
    *,
    host=b"a.example",
    root_path="",
    scheme="https",
    method="GET",
    namespace="",
    **more,
):
    scope = {"scheme": scheme, "root_path": root_path, "path": path, "raw_path": raw_path}
    fields = {b"host": host}
    return uri_digest(make_key_from(make_realm(namespace), scope, method, fields, query, **more))


def digest_of_number(number):
    return digest_of(f"/{number}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"raw_path": b"/a"}, {"raw_path": b"/%61"}, id="another raw path"),
        pytest.param({"path": "/a/"}, {}, id="a slash at the end"),
        pytest.param({"path": "//a"}, {}, id="a repeated slash"),
        pytest.param({"path": "//"}, {"path": "/"}, id="the root's slash repeated"),
        pytest.param(
            {"path": "/root/", "root_path": "/root"}, {"path": "/root"}, id="a slash after the root"
        ),
        pytest.param({"query": b"x=a%20b"}, {"query": b"x=a+b"}, id="a blank as a plus"),
        pytest.param({"query": b"x=%c3%a9"}, {"query": b"x=%C3%A9"}, id="hexadecimal digits"),
        pytest.param({"query": b"x=~'"}, {"query": b"%78=%7E%27"}, id="unreserved characters"),
        pytest.param({"query": b"a=1&b=2"}, {"query": b"b=2&a=1"}, id="another order of names"),
        pytest.param({"query": b"a&b=1"}, {"query": b"a=&&b=1&"}, id="empty values and pairs"),
        pytest.param({"host": b"a.example:443"}, {"host": b"a.example"}, id="the usual port"),
        pytest.param({"scheme": "http"}, {}, id="the scheme"),
        pytest.param({"method": "POST"}, {}, id="the method"),
        pytest.param({"extra": ((b"x-tenant", b"1"),)}, {}, id="fields of the key"),
        pytest.param({"body": (None, None, b"digest")}, {}, id="a body"),
        pytest.param(
            {"path": "/root/a", "root_path": "/root"}, {"path": "/root/a"}, id="the root within it"
        ),
        pytest.param(
            {"path": "/a", "root_path": "/root"},
            {"path": "/root/a", "root_path": "/root"},
            id="the root taken out",
        ),
        pytest.param(
            {"path": "/root", "root_path": "/root"}, {"path": "/root"}, id="the root itself"
        ),
    ],
)
def test_spellings_of_one_uri(one, other):
    """RFC 3986, 6.2.2: the app routes by what they have in common."""
    assert digest_of(**one) == digest_of(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"path": "/A"}, {}, id="a path in capitals"),
        pytest.param({"path": "/a/b"}, {"path": "/ab"}, id="a slash within"),
        pytest.param({"path": "/"}, {}, id="the root of all"),
        pytest.param({"path": "/ab", "root_path": "/a"}, {"path": "/ab"}, id="half a segment"),
        pytest.param({"host": b"b.example"}, {}, id="another host"),
        pytest.param({"host": b"a.example:81"}, {}, id="another port"),
        pytest.param({"namespace": "other"}, {}, id="another namespace"),
        pytest.param({"query": b"x"}, {}, id="a query and none"),
        pytest.param({"query": b"x=1&x=2"}, {"query": b"x=2&x=1"}, id="values in another order"),
        pytest.param({"query": b"x=a%2Bb"}, {"query": b"x=a+b"}, id="an encoded plus"),
        pytest.param({"query": b"x=1%26y=2"}, {"query": b"x=1&y=2"}, id="an encoded ampersand"),
        pytest.param({"query": b"x%3D1=2"}, {"query": b"x=1=2"}, id="an encoded equals sign"),
        pytest.param({"path": "/a?x"}, {"query": b"x"}, id="a question mark in the path"),
        pytest.param({"path": "/a", "query": b"b"}, {"path": "/ab"}, id="what runs together"),
    ],
)
def test_other_uris(one, other):
    assert digest_of(**one) != digest_of(**other)


def test_all_that_is_stored_of_a_uri_has_its_digest():
    scope = {"scheme": "https", "root_path": "", "path": "/a", "raw_path": b"/a"}
    key = make_key_from(make_realm(""), scope, "GET", {b"host": b"a.example"}, b"")
    kind = ("*", "http", b"https", b":443")
    hanging = ((key, b"nonce"), b"another", b"en")
    found = {uri_digest(one) for one in (key, part_key(key), key_of_kind(key, kind), hanging)}
    assert found == {digest_of()}


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=4), st.binary(max_size=4)), max_size=4),
    st.text(max_size=8),
    st.booleans(),
)
@example([(b"\n", b"\n")], "\n", False)
@example([(b"+", b" ")], "\ud800", True)
def test_every_spelling_of_a_query_has_one_digest(parameters, path, has_pluses):
    """A client may encode each byte of a name or a value, or only those that it must."""
    needed = b"&".join(
        [quote_from_bytes(n).encode() + b"=" + quote_from_bytes(v).encode() for n, v in parameters]
    )
    every = b"&".join(
        [
            b"".join(b"%%%02x" % byte for byte in name)
            + b"="
            + b"".join(b"%%%02x" % byte for byte in value)
            for name, value in parameters
        ]
    )
    if has_pluses:
        needed = needed.replace(b"%20", b"+")
    assert digest_of("/" + path, query=needed) == digest_of("/" + path, query=every)
    purges = PurgeTable()
    target = f"/{quote_from_bytes(path.encode('utf-8', 'surrogatepass'))}?{needed.decode()}"
    purges.add(Purge("uri", target, None, AT))
    scope = {"path": "/" + path, "raw_path": None}
    key = make_key_from(make_realm(""), scope, "GET", {}, every)
    assert purges.purged_at((), key, None) == AT


def stored_in(table, digest, held=True):
    """An entry of this URI, in the first level as far as the table knows."""
    entry = make_entry()
    entry.uri, entry.epoch = digest, 7
    if held:
        table.uris.entered(entry)
    return entry


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_drop_marks_what_is_stored_of_its_uri(number):
    table = DropTable()
    same = [stored_in(table, digest_of("/a")) for _ in range(number)]
    other = stored_in(table, digest_of("/b"))
    table.drop(digest_of("/a"), AT)
    assert {entry.epoch for entry in same} == {DROPPED}
    assert other.epoch == 7
    assert stored_in(table, digest_of("/a")).epoch == 7  # of what is stored from now on


def test_an_entry_that_is_stored_again_is_marked_by_the_next_drop():
    table = DropTable()
    entry = stored_in(table, digest_of())
    table.drop(digest_of(), AT)
    entry.epoch = 8
    table.uris.entered(entry)
    table.uris.entered(entry)
    table.drop(digest_of(), AT)
    assert entry.epoch == DROPPED


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_has_left_the_first_level_is_neither_marked_nor_confirmed(number):
    table = DropTable()
    entries = [stored_in(table, digest_of()) for _ in range(number)]
    left, *others = entries
    table.uris.left(left)
    table.uris.left(left)
    assert not table.uris.confirm(left, 8)
    assert all(table.uris.confirm(entry, 8) for entry in others)
    table.drop(digest_of(), AT)
    assert [entry.epoch for entry in entries] == [UNHELD] + [DROPPED] * (number - 1)


def test_what_was_dropped_stays_so_when_it_leaves_and_is_never_confirmed():
    table = DropTable()
    entry = stored_in(table, digest_of())
    table.drop(digest_of(), AT)
    newer = stored_in(table, digest_of())
    assert not table.uris.confirm(entry, 8)
    table.uris.left(entry)
    assert (entry.epoch, newer.epoch) == (DROPPED, 7)
    assert table.uris.confirm(newer, 8)


def test_nothing_is_remembered_of_a_uri_of_which_nothing_is_stored():
    table = DropTable()
    entries = [stored_in(table, digest_of_number(number // 2)) for number in range(1000)]
    assert len(table.uris) == 500
    for entry in entries:
        table.uris.left(entry)
    assert len(table.uris) == 0


def test_other_values_of_the_first_level_are_of_no_uri():
    table = DropTable()
    table.uris.entered(VaryIndex((), b""))
    table.uris.left(VaryIndex((), b""))
    assert len(table.uris) == 0


def test_each_drop_has_a_time_of_its_own():
    table = DropTable()
    assert table.dropped_at(digest_of()) == -inf
    times = [table.drop(digest_of(), AT), table.drop(digest_of(), AT), table.drop(digest_of(), 1.0)]
    assert times == sorted(set(times))
    assert times[0] == AT
    assert times[-1] == pytest.approx(AT, abs=1e-3)
    assert table.dropped_at(digest_of()) == times[-1]
    assert table.dropped_at(digest_of("/b")) == -inf


def test_what_others_have_dropped_counts_up_to_the_time_that_is_told():
    table = DropTable()
    stored = stored_in(table, digest_of())
    table.drop_at(digest_of(), AT + 1)
    table.drop_at(digest_of(), AT)
    assert stored.epoch == DROPPED
    assert table.dropped_at(digest_of()) == AT + 1


def test_a_flood_of_writes_touches_what_it_does_not_name_hardly_ever():
    """One in 400 is to be expected; the stored responses themselves stay, all of them."""
    table = DropTable()
    innocent = {number: stored_in(table, digest_of_number(-number)) for number in range(1, 2001)}
    for number in range(16_000):
        table.drop(digest_of_number(number), AT + number)
    assert {stored.epoch for stored in innocent.values()} == {7}
    hit = sum(table.dropped_at(digest_of_number(-number)) > -inf for number in innocent)
    assert hit < 40  # five are expected; forty would come once in 1e20 runs
    named = [table.dropped_at(digest_of_number(number)) for number in range(16_000)]
    assert all(at >= AT + number for number, at in enumerate(named))


def test_the_table_has_one_size():
    table = DropTable()
    sizes = set()
    for number in range(1000):
        table.drop(digest_of_number(number), AT)
        assert table._times is not None
        sizes.add(len(table._times))
    assert sizes == {2**18}


def test_no_client_knows_which_slots_are_its_own():
    one, other = DropTable(), DropTable()
    assert set(one._slots_of(digest_of())) != set(other._slots_of(digest_of()))


def test_threads_that_drop_and_store_lose_nothing():
    table, found, is_over = DropTable(), [], threading.Event()
    known = [digest_of_number(number) for number in range(50)]

    def store():
        while not is_over.is_set():
            for digest in known:
                stored = stored_in(table, digest)
                found.append((digest, stored, table.dropped_at(digest)))

    finders = [threading.Thread(target=store) for _ in range(2)]
    for finder in finders:
        finder.start()
    times = [table.drop(known[number % 50], AT) for number in range(5000)]
    is_over.set()
    for finder in finders:
        finder.join()
    assert len(set(times)) == 5000
    assert [table.dropped_at(digest) for digest in known] == times[-50:]
    # What was dropped after it was asked whether it was is marked.
    epochs = {entry.epoch for digest, entry, at in found if table.dropped_at(digest) > at}
    assert epochs <= {DROPPED}


def test_a_write_of_another_process_is_known_by_its_digest():
    purges = PurgeTable()
    stored = stored_in(purges.drops, digest_of())
    epoch = purges.epoch
    purge = Purge("digest", digest_of().hex(), None, AT)
    assert find_fault(purge) is None
    purges.add(purge)
    assert stored.epoch == DROPPED
    assert purges.drops.dropped_at(digest_of()) == AT
    assert purges.epoch == epoch  # what is stored of others need not be compared


@pytest.mark.parametrize(
    "value", ["", "0" * 31, "0" * 33, "0" * 31 + "x", "0" * 31 + "A", "0" * 32 + "\n"]
)
def test_what_is_no_digest_is_no_purge(value):
    assert find_fault(Purge("digest", value, None, AT)) is not None
