"""Who may use an endpoint of the middleware's own: table by table, and over ASGI."""

import json

import pytest
from pydantic import SecretStr

from asgi_serial.admin.access import COOKIE_NAME, SESSION, read_head, refuse_access
from asgi_serial.admin.sessions import LINK_SECONDS, expiry_of, is_same_text, is_valid, issue
from asgi_serial.bounds.once import MAX_SPENT, Spent
from asgi_serial.http.access import (
    has_bearer_token,
    is_from_this_machine,
    is_loopback_address,
    is_loopback_host,
    is_same_origin,
)
from tests.engine.driver import Request, Whole, ask, awaited, serial_of

TOKEN = "a-token-of-some-length"
NOW = 1_800_000_000.0
LONG = b"x" * 1_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Bearer a-token-of-some-length", True),
        (b"BEARER  a-token-of-some-length ", True),
        (b"Basic a-token-of-some-length", False),
        (b"Bearer", False),
        (b"Bearer ", False),
        (b"", False),
        (b"Bearer a-token-of-some-lengt", False),
        (b"Bearer a-token-of-some-length2", False),
        (b"Bearer \xff\x00", False),
        (b"Bearer a-token-of-some-length, Bearer a-token-of-some-length", False),
        (b"Bearer " + LONG, False),
        (b"Bearer " + b" " * 1_000_000 + TOKEN.encode(), False),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bearer_token_is_the_whole_token_and_nothing_else(value, expected):
    assert has_bearer_token(value, TOKEN.encode()) is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *[(each, True) for each in ("127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1")],
        *[(each, False) for each in ("10.0.0.1", "::ffff:10.0.0.1", "::", "0.0.0.0", "", "x")],
        *[(each, False) for each in ("testclient", "/run/app.sock", None, 2130706433, b"::1")],
    ],
)
def test_loopback_is_told_from_every_other_address(address, expected):
    assert is_loopback_address(address) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"localhost", True),
        (b"LocalHost:8000", True),
        (b"app.localhost", True),
        (b"localhost.", True),
        (b"127.0.0.1:80", True),
        (b"[::1]:8000", True),
        (b"[::ffff:127.0.0.1]", True),
        (b"localhost.example.org", False),
        (b"notlocalhost", False),
        (b"127.0.0.1.example.org", False),
        (b"127.0.0.1@example.org", False),
        (b"example.org", False),
        (b"localhost, example.org", False),
        (b"localhost:80:80", False),
        (b"[::1", False),
        (b"", False),
        (b"\xff", False),
        (LONG, False),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_host_of_this_machine_is_told_from_every_other_name(host, expected):
    assert is_loopback_host(host) is expected


HERE = ("127.0.0.1", 5000)
LOCAL = (b"host", b"localhost:8000")


@pytest.mark.parametrize(
    ("client", "pairs", "expected"),
    [
        pytest.param(HERE, [LOCAL], True, id="a request from here"),
        pytest.param(["::1", 1], [(b"host", b"[::1]")], True, id="over IPv6"),
        pytest.param(HERE, [LOCAL, (b"origin", b"http://localhost:3000")], True, id="a local page"),
        pytest.param(None, [LOCAL], False, id="a socket in the file system"),
        pytest.param((), [LOCAL], False, id="no address"),
        pytest.param(iter(HERE), [LOCAL], False, id="an address to be read once"),
        pytest.param(("10.0.0.1", 1), [LOCAL], False, id="another machine"),
        pytest.param(HERE, [], False, id="no Host"),
        pytest.param(HERE, [LOCAL, LOCAL], False, id="two Hosts"),
        pytest.param(HERE, [(b"host", b"example.org")], False, id="another Host"),
        pytest.param(HERE, [LOCAL, (b"origin", b"https://evil.example")], False, id="its page"),
        pytest.param(HERE, [LOCAL, (b"origin", b"null")], False, id="a page without an origin"),
        *[
            pytest.param(HERE, [LOCAL, (name, b"x")], False, id=name.decode())
            for name in (
                *(b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-host"),
                *(b"X-Forwarded-Proto", b"x_forwarded_for", b"x-original-url", b"cf-connecting-ip"),
                *(b"cdn-loop", b"x-amzn-trace-id", b"true-client-ip", b"X_Client_IP"),
                *(b"fastly-client-ip", b"x-cluster-client-ip", b"x-azure-clientip"),
            )
        ],
    ],
)
def test_this_machine_is_known_by_address_and_host_and_the_lack_of_a_proxy(client, pairs, expected):
    assert is_from_this_machine(client, pairs) is expected


@pytest.mark.parametrize(
    ("origin", "site", "expected"),
    [
        (b"https://a.example:8000", b"same-origin", True),
        (b"http://a.example:8000", None, True),
        (b"HTTP://a.example:8000", None, False),
        (b"http://A.EXAMPLE:8000", None, True),
        (None, b"same-origin", True),
        (None, None, False),
        (None, b"none", False),
        (b"null", b"same-origin", False),
        (b"https://a.example", None, False),
        (b"https://a.example:8000", b"same-site", False),
        (b"https://b.example:8000", b"same-origin", False),
        (b"https://a.example:8000.evil", None, False),
        (b"ftp://a.example:8000", None, False),
        (b"", None, False),
        (b"https://" + LONG, None, False),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_form_of_another_origin_is_told_from_our_own(origin, site, expected):
    assert is_same_origin(b"a.example:8000", origin, site) is expected


def test_without_a_host_no_origin_is_the_same():
    assert not is_same_origin(b"", b"https://", None)


class TestSessions:
    def test_a_value_holds_for_its_time_purpose_and_token_only(self):
        value = issue(TOKEN, SESSION, NOW, 60)
        assert is_valid(value, TOKEN, SESSION, NOW + 59)
        assert not is_valid(value, TOKEN, SESSION, NOW + 60)
        assert not is_valid(value, TOKEN, "link", NOW)
        assert not is_valid(value, "another", SESSION, NOW)

    def test_two_values_differ(self):
        assert issue(TOKEN, SESSION, NOW, 60) != issue(TOKEN, SESSION, NOW, 60)

    def test_no_byte_of_it_can_be_changed(self):
        value = issue(TOKEN, SESSION, NOW, 60)
        for place, char in enumerate(value):
            other = "1" if char != "1" else "2"
            assert not is_valid(value[:place] + other + value[place + 1 :], TOKEN, SESSION, NOW)

    @pytest.mark.parametrize("value", ["", ".", "..", "\xff", "1.2.3", "x" * 1_000_000, "9" * 60])
    def test_what_was_not_made_here_is_refused(self, value):
        assert not is_valid(value, TOKEN, SESSION, NOW)

    def test_a_link_works_once(self):
        spent = Spent()
        first, second = (issue(TOKEN, "link", NOW, LINK_SECONDS) for _ in range(2))
        assert expiry_of(first) == NOW + LINK_SECONDS
        links = (first, first, second)
        assert [spent.spend(each, expiry_of(each), NOW) for each in links] == [True, False, True]

    def test_links_are_forgotten_when_they_expire_and_refused_when_there_are_too_many(self):
        spent = Spent()
        used = [spent.spend(str(number), NOW + 10, NOW) for number in range(MAX_SPENT + 1)]
        assert used == [True] * MAX_SPENT + [False]
        assert spent.spend("new", NOW + 20, NOW + 10)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [(TOKEN, True), ("", False), (TOKEN + "x", False), ("\udcff", False), ("x" * 10**6, False)],
        ids=lambda value: repr(value)[:30],
    )
    def test_a_token_in_a_form_is_the_whole_token(self, given, expected):
        assert is_same_text(given, TOKEN) is expected


def head_of(*pairs, client=HERE):
    return read_head({"method": "GET", "headers": iter(pairs), "client": client})


def refuse(head, token=TOKEN, **more):
    secret = None if token is None else SecretStr(token)
    return refuse_access(head, secret, setting="report_token", realm="test", **more)


class TestRefusing:
    def test_without_a_token_it_is_for_this_machine(self):
        assert refuse(head_of(LOCAL), None) is None
        refusal = refuse(head_of(LOCAL, client=("10.0.0.1", 1)), None)
        assert refusal.status == 403
        assert "Set report_token" in refusal.detail

    def test_a_token_is_asked_for_on_this_machine_too(self):
        refusal = refuse(head_of(LOCAL))
        assert (refusal.status, dict(refusal.fields)) == (
            401,
            {b"www-authenticate": b'Bearer realm="test"'},
        )
        assert refuse(head_of(LOCAL, (b"authorization", b"Bearer " + TOKEN.encode()))) is None

    def test_a_session_counts_only_where_the_endpoint_takes_one(self):
        cookie = COOKIE_NAME + b"=" + issue(TOKEN, SESSION, NOW, 60).encode()
        head = head_of(LOCAL, (b"cookie", b"a=1; " + cookie))
        assert refuse(head, now=NOW) is None
        assert refuse(head).status == 401
        assert refuse(head, now=NOW + 60).status == 401
        twice = head_of(LOCAL, (b"cookie", cookie + b"; " + cookie))
        assert refuse(twice, now=NOW).status == 401
        odd = head_of(LOCAL, (b"cookie", COOKIE_NAME + b"=\xff"))
        assert refuse(odd, now=NOW).status == 401


@pytest.mark.parametrize(
    ("fields", "client", "status"),
    [
        pytest.param({"host": "localhost"}, ("127.0.0.1", 1), 200, id="from here"),
        pytest.param({"host": "example.org"}, ("127.0.0.1", 1), 403, id="to another name"),
        pytest.param({"host": "localhost"}, ("192.0.2.1", 1), 403, id="from elsewhere"),
        pytest.param(
            {"host": "localhost", "via": "1.1 p"}, ("127.0.0.1", 1), 403, id="past a proxy"
        ),
        pytest.param({"host": "localhost"}, None, 403, id="from nowhere"),
    ],
)
@awaited
async def test_the_report_without_a_token_is_for_this_machine(fields, client, status):
    serial = serial_of(Whole(b""), report_path="/-/timing")
    request = Request(path="/-/timing", scope={"client": client}).having(**fields)
    assert (await ask(serial, request)).status == status


@awaited
async def test_a_token_of_a_megabyte_is_refused():
    serial = serial_of(
        Whole(b""), report_path="/r", report_token=TOKEN, purge_path="/p", purge_token=TOKEN
    )
    for path, method in (("/r", "GET"), ("/p", "POST")):
        request = Request(method, path).having(
            host="localhost", authorization="Bearer " + "x" * 10**6
        )
        assert (await ask(serial, request)).status == 401


@pytest.mark.parametrize(
    ("path", "root", "status"),
    [("/-/timing", "", 200), ("/app/-/timing", "/app", 200), ("/-/timing/x", "", 418)],
)
@awaited
async def test_a_path_of_our_own_is_below_the_mount(path, root, status):
    serial = serial_of(Whole(b"", status=418), report_path="/-/timing")
    request = Request(path=path, scope={"root_path": root}).having(host="localhost")
    answer = await ask(serial, request.having(accept="application/json"))
    assert answer.status == status
    if status == 200:
        assert json.loads(answer.body)["totals"]["count"] == 0
