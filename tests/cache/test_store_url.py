import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.errors import ConfigurationError
from asgi_serial.store.url import StoreAddress, parse_store_url, shown_store_url

TLS = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
UNCHECKED = {"ssl_cert_reqs": "none", "ssl_check_hostname": False}


def redis(*servers: tuple[str, int], **parts: Any) -> StoreAddress:
    return StoreAddress(**{"kind": "redis", "servers": servers, **parts})


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("memory://", StoreAddress("memory")),
        ("redis://h", redis(("h", 6379))),
        ("redis://h:1/", redis(("h", 1))),
        ("REDIS://H/15", redis(("h", 6379), database=15)),
        ("redis://[::1]:7/2", redis(("::1", 7), database=2)),
        ("redis://h?db=3", redis(("h", 6379), database=3)),
        ("redis://h/?db=3", redis(("h", 6379), database=3)),
        ("redis://:p%40ss@h", redis(("h", 6379), password="p@ss")),
        ("redis://:p@ss@h", redis(("h", 6379), password="p@ss")),
        ("redis://:p%2B+[@h", redis(("h", 6379), password="p++[")),
        ("redis://u:p@h", redis(("h", 6379), username="u", password="p")),
        ("rediss://h", redis(("h", 6379), tls=TLS)),
        ("valkey://h", redis(("h", 6379))),
        ("valkeys://h", redis(("h", 6379), tls=TLS)),
        ("rediss://h?ssl_cert_reqs=none", redis(("h", 6379), tls=UNCHECKED)),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", redis(("h", 6379), tls=UNCHECKED)),
        (
            "rediss://h?ssl_cert_reqs=optional",
            redis(("h", 6379), tls=TLS | {"ssl_cert_reqs": "optional"}),
        ),
        ("rediss://h?ssl_cert_reqs=required", redis(("h", 6379), tls=TLS)),
        (
            "rediss://h/1?ssl_check_hostname=false&ssl_ca_certs=/etc/a%20b.pem",
            redis(
                ("h", 6379),
                database=1,
                tls=TLS | {"ssl_check_hostname": False, "ssl_ca_certs": "/etc/a b.pem"},
            ),
        ),
        (
            "rediss://h?ssl_certfile=c.pem&ssl_keyfile=k.pem",
            redis(("h", 6379), tls=TLS | {"ssl_certfile": "c.pem", "ssl_keyfile": "k.pem"}),
        ),
        ("unix:///run/redis.sock", redis(kind="unix", path="/run/redis.sock")),
        ("unix:///run/redis.sock?db=2", redis(kind="unix", path="/run/redis.sock", database=2)),
        ("redis+unix:///a%40b", redis(kind="unix", path="/a@b")),
        (
            "valkey+unix://u:p@/a/b",
            redis(kind="unix", path="/a/b", username="u", password="p"),
        ),
        (
            "redis+sentinel://a,b:1/main",
            redis(("a", 26379), ("b", 1), kind="sentinel", master="main"),
        ),
        (
            "redis+sentinel://u:p@a:1,[::1]:2/main/5?sentinel_username=v&sentinel_password=a%26b",
            redis(
                ("a", 1),
                ("::1", 2),
                kind="sentinel",
                master="main",
                database=5,
                username="u",
                password="p",
                sentinel_username="v",
                sentinel_password="a&b",
            ),
        ),
        (
            "valkeys+sentinel://a/main?db=5",
            redis(("a", 26379), kind="sentinel", master="main", database=5, tls=TLS),
        ),
        ("redis+cluster://a,b:1", redis(("a", 6379), ("b", 1), kind="cluster")),
        ("redis+cluster://a:1/0", redis(("a", 1), kind="cluster")),
        (
            "rediss+cluster://:p@a,b/?ssl_cert_reqs=none",
            redis(("a", 6379), ("b", 6379), kind="cluster", password="p", tls=UNCHECKED),
        ),
        ("memcached://h", StoreAddress("memcached", (("h", 11211),))),
        ("memcached://h:5/", StoreAddress("memcached", (("h", 5),))),
    ],
)
def test_a_url_names_a_store(url: str, address: StoreAddress) -> None:
    assert parse_store_url(url) == address


ENCODE = "has an '@' after a '/', '?' or '#'; percent-encode the user and password"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "'***' has no known scheme"),
        ("localhost:6379", "'***' has no known scheme"),
        ("secret", "'***' has no known scheme"),
        ("password=secret", "'***' has no known scheme"),
        ("redis:/secret@h", "'***' has no known scheme"),
        ("redis:h", "has no known scheme"),
        ("http://h", "'http://h' has no known scheme; expected memory://, redis://"),
        ("redis://", "'redis://' has no host"),
        ("redis:///0", "has no host"),
        ("redis://h:0", "the port 0"),
        ("redis://h:65536", "has an invalid host or port"),
        ("redis://[::1", "has an invalid host or port"),
        ("redis://a,b", "names several servers, which only redis+sentinel:// and redis+cluster://"),
        ("redis://h/a", "'redis://h/***' has a path that is not the number of a database"),
        ("redis://h/1/2", "not the number of a database"),
        ("redis://h/²", "not the number of a database"),
        ("redis://h?db=", "has a db that is not the number of a database"),
        ("redis://h?db=secret", "'redis://h?***' has a db that is not the number of a database"),
        ("redis://h/1?db=2", "'redis://h/1?db=2' names the database twice"),
        ("redis://h?db=1&db=2", "has the option 'db' twice"),
        (
            "redis://h/1?password=secret",
            "'redis://h/1?***' has the unknown option 'password' in its query (it may have db)",
        ),
        ("redis://h/1?secret", "has the unknown option *** in its query"),
        ("redis://h/1?SECRET=secret", "has the unknown option *** in its query"),
        ("redis://h?ssl_cert_reqs=none", "'ssl_cert_reqs', which only URLs with TLS have"),
        ("rediss://h?socket_timeout=1", "(it may have db, ssl_cert_reqs, ssl_ca_certs, ssl_cert"),
        ("rediss://h?ssl_cert_reqs=secret", "'ssl_cert_reqs' (it is one of none, optional, requ"),
        ("rediss://h?ssl_check_hostname=2", "'ssl_check_hostname' (it is one of true, yes, 1, f"),
        ("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=1", "but ssl_cert_reqs=none accepts"),
        ("rediss://h?ssl_keyfile=secret", "has ssl_keyfile without ssl_certfile"),
        ("redis://h/1#secret", "'redis://h/1?***' has a fragment"),
        ("redis://h?password=secret", "'redis://h?***' has the unknown option 'password'"),
        ("redis://h/1?username=secret&x=a@secret", f"'redis://***' {ENCODE}"),
        ("redis://:secret@h/1?x=a@secret", f"'redis://***' {ENCODE}"),
        ("redis://:p@ss/w#secret@h", f"'redis://***' {ENCODE}"),
        ("redis://:secret?secret@h:6379/0", f"'redis://***' {ENCODE}"),
        ("redis+cluster://:secret#secret@h:1,h:2", f"'redis+cluster://***' {ENCODE}"),
        ("redis://:%ffsecret@h", "'redis://***@h' is percent-encoded, but not as UTF-8"),
        ("redis://h/secret", "'redis://h/***' has a path"),
        ("redis://h/1/secret", "'redis://h/***' has a path"),
        ("redis://u@h/secret@secret", f"'redis://***' {ENCODE}"),
        ("redis://h:1\nsecret", "'redis://h:***' has an invalid host or port"),
        ("redis://h secret:1/x", "'redis://***' has a path"),
        ("redis://[::1]:secret", "'redis://[::1]:***' has an invalid host or port"),
        ("redis-secret-secret-secret://h", "'***' has no known scheme"),
        ("memory://h", "has more than its scheme"),
        ("memory:///a", "has more than its scheme"),
        ("memory://?db=1", "has the unknown option 'db' in its query (it may have none)"),
        ("memcached://secret:secret@h", "'memcached://***@h' has a user or a path"),
        ("memcached://h/1", "has a user or a path"),
        ("redis://:secret@", "'redis://***@' has no host"),
        ("redis://:secret", "'redis://:***' has an invalid host or port"),
        ("redis://user:secret", "'redis://user:***' has an invalid host or port"),
        ("redis://:sec/secret@h:1", "'redis://***' has"),
        ("secret:secret@redis://h", "'***' has no known scheme"),
        ("secret:secret@h", "'***' has no known scheme"),
        ("http://secret:secret@h", "'http://***@h' has no known scheme"),
        ("unix://", "'unix://' has a host, or no path; expected unix://[[user]:password@]/path"),
        ("unix://h/run/redis.sock", "has a host, or no path"),
        ("unix://:secret/secret", "'unix://:***/***' has a host, or no path"),
        ("unix:///run/redis.sock?ssl_cert_reqs=none", "which only URLs with TLS have"),
        ("redis+sentinel://a:1,b:2", "does not name the master that the sentinels watch; expected"),
        ("redis+sentinel://a/main/x", "'redis+sentinel://a/***' has a path that is not the"),
        ("redis+sentinel://a/main/1/2", "has a path that is not the number of a database"),
        ("redis+sentinel://a,/main", "has no host"),
        ("redis+sentinel://a,b:secret/main", "'redis+sentinel://***' has an invalid host or port"),
        (
            "redis+sentinel://a/main?sentinel_password=secret&secret=1",
            "'redis+sentinel://a/main?***' has the unknown option *** in its query",
        ),
        ("redis+cluster://a,b/1", "has a path, but a cluster has no database other than 0"),
        ("redis+cluster://a?db=1", "has the unknown option 'db' in its query (it may have none)"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_a_secret(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_store_url(url)
    assert message in str(error.value)
    assert "; expected " in str(error.value)
    printed = "".join(traceback.format_exception(error.value))
    assert "secret" not in printed.replace(__name__.rpartition(".")[2], "").replace(
        "without_showing_a_secret", ""
    )


@given(st.text())
def test_any_text_is_an_address_or_our_error(text: str) -> None:
    try:
        parse_store_url(text)
    except ConfigurationError:
        pass


SCHEMES = ("memory", "redis", "rediss", "unix", "redis+sentinel", "valkeys+cluster", "memcached")
OPTIONS = ("db=", "ssl_cert_reqs=", "sentinel_password=", "=", "&", "none", "x")


@given(
    st.sampled_from(SCHEMES),
    st.lists(st.sampled_from((*"@:/?#,[]%1a", "%40", "h:1", *OPTIONS)), max_size=12),
)
def test_anything_after_a_scheme_is_an_address_or_our_error(scheme: str, parts: list[str]) -> None:
    url = f"{scheme}://{''.join(parts)}"
    try:
        address = parse_store_url(url)
    except ConfigurationError:
        return
    assert bool(address.servers) is (address.kind not in ("memory", "unix"))
    assert bool(address.path) is (address.kind == "unix")
    assert bool(address.master) is (address.kind == "sentinel")
    assert (address.tls is not None) is scheme.startswith(("rediss", "valkeys"))


@given(st.text(min_size=1).map(lambda text: f"<{text}>"))
def test_no_password_is_shown_however_it_is_written(password: str) -> None:
    assert password not in shown_store_url(f"redis://user:{password}@host:6379/0")


@given(st.text("@/?#:=&.[] a1é", max_size=20), st.text("@/?#:=&.[] a1é", max_size=20))
def test_no_secret_is_shown_in_whichever_place(before: str, after: str) -> None:
    """But for the host, the name of a scheme and a user that stands in the place of a host."""
    shown = shown_store_url(f"redis://{before}?password={after}s3cret{after}@")
    assert "s3cret" not in shown
    assert "s3cret" not in shown_store_url(f"redis://{before}@h/{after}s3cret")
    port = after.replace("@", "")  # what follows one may be the host
    assert "s3cret" not in shown_store_url(f"redis://h:{port}s3cret{before}")


def test_the_parts_of_a_url_are_shown_without_its_secrets() -> None:
    address = parse_store_url("redis+sentinel://me:s3cret@h/main/1?sentinel_password=s3cret")
    assert repr(address) == (
        "StoreAddress('sentinel', (('h', 26379),), 1, '***', '***', '', 'main', None, '***', None)"
    )
    assert (address.username, address.password) == ("me", "s3cret")
    assert address.sentinel_password == "s3cret"
    assert repr(parse_store_url("redis://h")) == (
        "StoreAddress('redis', (('h', 6379),), 0, None, None, '', '', None, None, None)"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@h:1?db=3", "redis://***@h:1?db=3"),
        ("rediss://h?ssl_ca_certs=/a", "rediss://h?***"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        ("unix://:secret@/run/redis.sock", "unix://***@/run/redis.sock"),
        ("redis+sentinel://u:secret@a,b:1/main/0", "redis+sentinel://***@a,b:1/main/0"),
        ("redis+sentinel://a/main?sentinel_password=secret", "redis+sentinel://a/main?***"),
        ("redis+cluster://:secret@[::1]:1,b:2", "redis+cluster://***@[::1]:1,b:2"),
    ],
)
def test_a_url_is_shown_with_its_servers_and_paths(url: str, shown: str) -> None:
    assert shown_store_url(url) == shown
