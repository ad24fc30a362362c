"""What a purge covers, and that nothing it covers is believed, however much is forgotten."""

import re
import threading
from itertools import chain
from math import inf, nan
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asgi_serial.cache.key import make_realm, resource_of, uri_index_of
from asgi_serial.cache.purges import MAX_REMEMBERED, Purge, PurgeTable, find_fault
from asgi_serial.caching.storing import parse_tags

from .keys import make_key_from

AT = 1_800_000_000.0


def key_of(
    path="/a", *, raw_path=None, query=b"", host=b"a.example", root_path="", method="GET", **more
):
    scope = {"scheme": "https", "root_path": root_path, "path": path, "raw_path": raw_path}
    return make_key_from(make_realm(""), scope, method, {b"host": host}, query, **more)


def table_of(*purges):
    table = PurgeTable()
    for kind, value, *host in purges:
        table.add(Purge(kind, value, host[0] if host else None, AT))
    return table


def covers(purge, *, key=None, tags=(), partition=None):
    return table_of(purge).purged_at(tags, key or key_of(), partition) == AT


@pytest.mark.parametrize(
    ("purge", "entry"),
    [
        pytest.param(("all", ""), {}, id="everything"),
        pytest.param(("tag", "b"), {"tags": (b"a", b"b")}, id="one of its tags"),
        pytest.param(("tag", "é"), {"tags": ("é".encode(),)}, id="a tag in UTF-8"),
        pytest.param(("tag", "é"), {"tags": (b"\xe9",)}, id="a tag in Latin-1"),
        pytest.param(("tag", "東"), {"tags": ("東".encode(),)}, id="a tag in no Latin letters"),
        pytest.param(("partition", "é"), {"partition": "é"}, id="its partition"),
        pytest.param(("uri", "/a"), {"key": key_of("/a")}, id="its path"),
        pytest.param(("uri", "/a?"), {"key": key_of("/a")}, id="its path, and an empty query"),
        pytest.param(("uri", "/a?x=1"), {"key": key_of("/a", query=b"x=1")}, id="its query"),
        pytest.param(
            ("uri", "/a?y=2&x=1"),
            {"key": key_of("/a", query=b"x=1&y=2")},
            id="its parameters in another order",
        ),
        pytest.param(
            ("uri", "/a?x=%61"), {"key": key_of("/a", query=b"x=a")}, id="its query spelled else"
        ),
        pytest.param(
            ("uri", "/a?x=a+b"), {"key": key_of("/a", query=b"x=a%20b")}, id="a blank as a plus"
        ),
        pytest.param(("uri", "/caf%C3%A9"), {"key": key_of("/café")}, id="an encoded path"),
        pytest.param(("uri", "/café"), {"key": key_of("/café")}, id="a decoded path"),
        pytest.param(
            ("uri", "/caf%E9"),
            {"key": key_of("/caf\ufffd", raw_path=b"/caf%e9")},
            id="a path that is no UTF-8",
        ),
        pytest.param(("uri", "/\ud800"), {"key": key_of("/\ud800")}, id="a lone surrogate"),
        pytest.param(
            ("uri", "/a%2Fb"), {"key": key_of("/a/b", raw_path=b"/a%2fb")}, id="an encoded slash"
        ),
        pytest.param(
            ("uri", "/a"), {"key": key_of("/a", raw_path=b"/a?x=1")}, id="a raw path with a query"
        ),
        pytest.param(
            ("uri", "/api/a"), {"key": key_of("/a", root_path="/api")}, id="the root before it"
        ),
        pytest.param(
            ("uri", "/api/a"),
            {"key": key_of("/api/a", root_path="/api")},
            id="the root within it",
        ),
        pytest.param(
            ("uri", "/a"), {"key": key_of("/a", root_path="/api")}, id="the path after the root"
        ),
        pytest.param(
            ("uri", "/out/a"), {"key": key_of("/a", raw_path=b"/out/a")}, id="the path as sent"
        ),
        pytest.param(("uri", "/a", "A.example"), {}, id="its host in any case"),
        pytest.param(("uri", "/a", "a.example:443"), {}, id="the usual port told"),
        pytest.param(
            ("uri", "/a", "a.example"), {"key": key_of(host=b"a.example:80")}, id="and not told"
        ),
        pytest.param(("uri", "/a", "[::1]:81"), {"key": key_of(host=b"[::1]:81")}, id="its port"),
        pytest.param(("uri", "/a"), {"key": key_of(method="POST")}, id="answers to any method"),
        pytest.param(("prefix", "/"), {}, id="the shortest prefix"),
        pytest.param(("prefix", "/a"), {"key": key_of("/ab", query=b"x")}, id="within a segment"),
        pytest.param(("prefix", "/%61/"), {"key": key_of("/a/b")}, id="an encoded prefix"),
        pytest.param(("prefix", "/a", "a.example"), {}, id="a prefix of its host"),
    ],
)
def test_what_a_purge_covers(purge, entry):
    assert covers(purge, **entry)


@pytest.mark.parametrize(
    ("purge", "entry"),
    [
        pytest.param(("tag", "a"), {"tags": (b"A", b"ab")}, id="tags in another case, or longer"),
        pytest.param(("tag", "a"), {}, id="what has no tags"),
        pytest.param(("tag", "東a"), {"tags": (b"a",)}, id="the Latin letters of a tag"),
        pytest.param(("partition", "p"), {"partition": "q"}, id="another partition"),
        pytest.param(("partition", "p"), {"tags": (b"p",)}, id="what is in no partition"),
        pytest.param(("uri", "/a"), {"key": key_of("/ab")}, id="a longer path"),
        pytest.param(("uri", "/a"), {"key": key_of("/A")}, id="a path in another case"),
        pytest.param(("uri", "/a"), {"key": key_of("/a", query=b"x=1")}, id="a path with a query"),
        pytest.param(("uri", "/a?x=1"), {"key": key_of("/a")}, id="a path without the query"),
        pytest.param(
            ("uri", "/a?x=1&x=2"),
            {"key": key_of("/a", query=b"x=2&x=1")},
            id="one parameter's values in another order",
        ),
        pytest.param(("uri", "/a", "b.example"), {}, id="another host"),
        pytest.param(
            ("uri", "/a", "a.example"), {"key": key_of(host=b"a.example:8080")}, id="another port"
        ),
        pytest.param(("prefix", "/a", "b.example"), {}, id="a prefix of another host"),
        pytest.param(("prefix", "/b"), {}, id="another beginning"),
    ],
)
def test_what_a_purge_does_not_cover(purge, entry):
    assert not covers(purge, **entry)


@pytest.mark.parametrize("kind", ["uri", "prefix"])
def test_a_purge_covers_all_that_hangs_on_a_resource(kind):
    fork = key_of(extra=((b"x-tenant", b"t"),), body=(None, None, b"digest"))
    hanging = ((fork, b"nonce"), b"another", b"en")
    assert resource_of(hanging) == fork
    assert uri_index_of(fork) is not None
    assert covers((kind, "/a"), key=hanging)


def test_an_absent_path_of_the_scope_is_no_fault():
    assert covers(("uri", "/a"), key=make_key_from("2 ", {"path": "/a"}, "GET", {}, b""))


def test_the_latest_purge_counts_and_each_is_an_epoch():
    table = PurgeTable()
    assert (table.epoch, table.purged_at((b"t",), key_of(), None)) == (0, -inf)
    epochs = []
    for purge, latest in [
        (Purge("tag", "t", None, AT), AT),
        (Purge("tag", "t", None, AT - 1), AT),
        (Purge("uri", "/a", None, AT + 1), AT + 1),
        (Purge("all", "", None, AT + 2), AT + 2),
        (Purge("all", "", None, AT), AT + 2),
        (Purge("prefix", "/", None, AT + 3), AT + 3),
    ]:
        table.add(purge)
        assert table.purged_at((b"t",), key_of(), None) == latest
        epochs.append(table.epoch)
    assert len(set(epochs)) == len(epochs)


@pytest.mark.parametrize("kind", MAX_REMEMBERED)
def test_a_purge_that_is_forgotten_still_covers_what_was_made_before_it(kind):
    table, most = PurgeTable(), MAX_REMEMBERED[kind]
    slash = "/" if kind in ("uri", "prefix") else ""

    def at(value):
        tags, key, partition = (), key_of("/elsewhere"), None
        if kind == "tag":
            tags = (b"%d" % value,)
        elif kind == "partition":
            partition = str(value)
        else:
            key = key_of(f"/{value}")
        return table.purged_at(tags, key, partition)

    for number in range(10_000, 10_000 + most):
        table.add(Purge(kind, f"{slash}{number}", None, AT + number))
    assert at(1) == -inf  # all are remembered, and this is none of them
    table.add(Purge(kind, f"{slash}{10_000 + most}", None, AT + 10_000 + most))
    for number in range(10_000, 10_000 + most + 1):
        assert at(number) >= AT + number
    assert at(10_000 + most) == AT + 10_000 + most
    others = [at(number) for number in range(1000)]
    if kind == "prefix":
        # One that is forgotten may be the beginning of any path.
        assert min(others) > AT + 10_000
    else:
        # Less than a quarter is forgotten, and few that were not meant suffer by it.
        assert sum(other > -inf for other in others) < len(others) / 2
        assert max(others) < AT + 10_000 + most / 4


def test_purges_at_one_time_are_forgotten_together():
    table = PurgeTable()
    for number in range(MAX_REMEMBERED["prefix"] + 1):
        table.add(Purge("prefix", f"/{number:04}", None, AT))
    assert table.purged_at((), key_of("/x"), None) == AT


def test_no_purge_is_lost_on_a_reader_while_others_are_added():
    table, faults, is_over = PurgeTable(), [], threading.Event()
    table.add(Purge("prefix", "/a", None, AT))

    def read():
        while not is_over.is_set():
            if table.purged_at((), key_of(), None) < AT:
                faults.append("lost")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(2000):
        table.add(Purge("prefix", f"/b{number % 700}", None, AT + number))
    is_over.set()
    for reader in readers:
        reader.join()
    assert faults == []


@pytest.mark.parametrize(
    ("purge", "says"),
    [
        pytest.param(Purge("tags", "a", None, AT), "kind 'tags'", id="another kind"),
        pytest.param(Purge("tag", "a", None, nan), "time nan", id="no time"),
        pytest.param(Purge("all", "", None, inf), "time inf", id="no end"),
        pytest.param(Purge("all", "x", None, AT), "'x'; expected nothing", id="all and more"),
        pytest.param(Purge("tag", "", None, AT), "is empty", id="no tag"),
        pytest.param(Purge("partition", "", None, AT), "is empty", id="no partition"),
        pytest.param(Purge("digest", "0" * 33, None, AT), "32 hexadecimal", id="half a digest"),
        pytest.param(Purge("digest", "0" * 4128, None, AT), "4096", id="too many digests"),
        pytest.param(Purge("tag", " a", None, AT), "' a'", id="a blank before a tag"),
        pytest.param(Purge("tag", "a" * 257, None, AT), "256 bytes", id="a tag too long"),
        pytest.param(Purge("uri", "a", None, AT), "slash", id="a relative path"),
        pytest.param(Purge("uri", "/a#b", None, AT), "fragment", id="a fragment"),
        pytest.param(Purge("prefix", "a", None, AT), "slash", id="a relative prefix"),
        pytest.param(Purge("prefix", "/a?b", None, AT), "without a query", id="a prefix's query"),
        pytest.param(Purge("uri", "/" * 4097, None, AT), "4097 characters", id="too long"),
        pytest.param(Purge("tag", "a", "a.example", AT), "host 'a.example'", id="a tag's host"),
        pytest.param(Purge("all", "", "a.example", AT), "host", id="all of a host"),
        pytest.param(Purge("uri", "/", "é.example", AT), "IDNA", id="a host in other letters"),
        pytest.param(Purge("uri", "/", "a\n", AT), "ASCII", id="a line break in a host"),
        pytest.param(Purge("uri", "/", "a" * 256, AT), "host", id="a host too long"),
    ],
)
def test_what_is_no_purge(purge, says):
    assert says in find_fault(purge)
    table = PurgeTable()
    with pytest.raises(ValueError, match="the purge "):
        table.add(purge)
    assert (table.epoch, table.purged_at((b"a",), key_of("/"), "p")) == (0, -inf)


@given(
    st.sampled_from([*MAX_REMEMBERED, "all", "other"]),
    st.text(st.characters(), max_size=20) | st.text("/?#%a é", max_size=20).map("/".__add__),
    st.none() | st.text(max_size=10),
    st.floats(),
)
def test_any_purge_is_kept_or_has_a_fault(kind, value, host, at):
    purge, table = Purge(kind, value, host, at), PurgeTable()
    if find_fault(purge) is None:
        table.add(purge)
        assert table.epoch == 1
    else:
        with pytest.raises(ValueError, match="the purge"):
            table.add(purge)


def spell(query):
    """Spell a query with an escape for each character that is not a delimiter."""
    parts = re.split(rb"([&=+])", query)
    data = ["".join(f"%{byte:02x}" for byte in unquote_to_bytes(part)) for part in parts[::2]]
    delimiters = [part.decode() for part in parts[1::2]] + [""]
    return "".join(chain.from_iterable(zip(data, delimiters, strict=True)))


@given(
    st.text(st.characters(), max_size=10),
    st.binary(max_size=10) | st.text("%2bB0aA+&=!", max_size=10).map(str.encode),
    st.text(max_size=3),
)
@example(path="", query=b"%0A", root="")
@example(path="", query=b"!&+", root="")
def test_a_resource_is_covered_by_its_own_uri(path, query, root):
    """RFC 3986, 6.2.2.2: URIs that differ in the escapes of unreserved characters are the same."""
    key = key_of("/" + path.replace("%", ""), query=query, root_path=root)
    value = f"{'/' + path}".replace("%", "").replace("?", "%3F").replace("#", "%23")
    spelled = spell(query)
    assert covers(("uri", f"{value}?{spelled}"), key=key)
    assert covers(("prefix", value), key=key)


COMMAS, SPACES = b"cache-tag", b"surrogate-key"


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        pytest.param({}, (), id="no field"),
        pytest.param({COMMAS: b"a,b"}, (b"a", b"b"), id="commas"),
        pytest.param({COMMAS: b" a b ,, c\t,"}, (b"a b", b"c"), id="blanks and empty elements"),
        pytest.param({COMMAS: b"A,a,A"}, (b"A", b"a"), id="case is kept, repetition is not"),
        pytest.param({SPACES: b"a b\t c"}, (b"a", b"b", b"c"), id="white space"),
        pytest.param({SPACES: b"a,b c"}, (b"a,b", b"c"), id="a comma in a key"),
        pytest.param({SPACES: b"a b, c"}, (b"a", b"b", b"c"), id="keys in several lines"),
        pytest.param({SPACES: b"a b", COMMAS: b"b,c"}, (b"b", b"c", b"a"), id="both fields"),
        pytest.param({b"x-other": b"a"}, (), id="a field that is not configured"),
        pytest.param(
            {COMMAS: b",".join(b"%d" % n for n in range(128))},
            tuple(b"%d" % n for n in range(128)),
            id="as many as may be",
        ),
        pytest.param({COMMAS: b",".join(b"%d" % n for n in range(129))}, None, id="too many"),
        pytest.param(
            {SPACES: b" ".join(b"%d" % n for n in range(100)), COMMAS: b"a," * 29 + b"b"},
            (b"a", b"b", *[b"%d" % n for n in range(100)]),
            id="many of which some are the same",
        ),
        pytest.param({COMMAS: b"a" * 256}, (b"a" * 256,), id="as long as may be"),
        pytest.param({SPACES: b"a" * 257}, None, id="too long"),
    ],
)
def test_the_tags_of_a_response(fields, tags):
    assert parse_tags(fields, (COMMAS, SPACES)) == tags


@given(st.dictionaries(st.sampled_from([COMMAS, SPACES]), st.binary(max_size=400)))
def test_any_field_has_tags_by_which_it_can_be_purged_or_is_not_stored(fields):
    tags = parse_tags(fields, (COMMAS, SPACES))
    for tag in tags or ():
        assert find_fault(Purge("tag", tag.decode("latin-1"), None, AT)) is None
        assert covers(("tag", tag.decode("latin-1")), tags=(tag,))
