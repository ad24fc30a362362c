import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.errors import ConfigurationError
from asgi_serial.store.url import StoreAddress, parse_store_url, shown_store_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("memory://", StoreAddress("memory")),
        ("redis://h", StoreAddress("redis", "h", 6379)),
        ("redis://h:1/", StoreAddress("redis", "h", 1)),
        ("REDIS://H/15", StoreAddress("redis", "h", 6379, 15)),
        ("redis://[::1]:7/2", StoreAddress("redis", "::1", 7, 2)),
        ("redis://:p%40ss@h", StoreAddress("redis", "h", 6379, 0, None, "p@ss")),
        ("redis://u:p@h", StoreAddress("redis", "h", 6379, 0, "u", "p")),
        ("rediss://h", StoreAddress("redis", "h", 6379, is_encrypted=True)),
        ("valkey://h", StoreAddress("redis", "h", 6379)),
        ("valkeys://h", StoreAddress("redis", "h", 6379, is_encrypted=True)),
        ("memcached://h", StoreAddress("memcached", "h", 11211)),
        ("memcached://h:5/", StoreAddress("memcached", "h", 5)),
    ],
)
def test_a_url_names_a_store(url: str, address: StoreAddress) -> None:
    assert parse_store_url(url) == address


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
        ("redis://h/a", "'redis://h/***' has a path that is not the number of a database"),
        ("redis://h/1/2", "not the number of a database"),
        ("redis://h/²", "not the number of a database"),
        ("redis://h/1?password=secret", "'redis://h/1?***' has a query"),
        ("redis://h/1#secret", "'redis://h/1?***' has a query or a fragment"),
        ("redis://h?password=secret", "'redis://h?***' has a query"),
        ("redis://h/1?username=secret&x=a@secret", "'redis://***' has a query"),
        ("redis://:secret@h/1?x=a@secret", "'redis://***' has a query"),
        ("redis://h/secret", "'redis://h/***' has a path"),
        ("redis://h/1/secret", "'redis://h/***' has a path"),
        ("redis://u@h/secret@secret", "'redis://***' has a path"),
        ("redis://h:1\nsecret", "'redis://h:***' has an invalid host or port"),
        ("redis://h secret:1/x", "'redis://***' has a path"),
        ("redis://[::1]:secret", "'redis://[::1]:***' has an invalid host or port"),
        ("redis-secret-secret-secret://h", "'***' has no known scheme"),
        ("memory://h", "has more than its scheme"),
        ("memory:///a", "has more than its scheme"),
        ("memcached://secret:secret@h", "'memcached://***@h' has a user or a path"),
        ("memcached://h/1", "has a user or a path"),
        ("redis://:secret@", "'redis://***@' has no host"),
        ("redis://:secret", "'redis://:***' has an invalid host or port"),
        ("redis://user:secret", "'redis://user:***' has an invalid host or port"),
        ("redis://:sec/secret@h:1", "'redis://***' has"),
        ("secret:secret@redis://h", "'***' has no known scheme"),
        ("secret:secret@h", "'***' has no known scheme"),
        ("http://secret:secret@h", "'http://***@h' has no known scheme"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_a_secret(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_store_url(url)
    assert message in str(error.value)
    printed = "".join(traceback.format_exception(error.value))
    assert "secret" not in printed.replace(__name__.rpartition(".")[2], "").replace(
        "without_showing_a_secret", ""
    )


@given(st.text())
def test_any_text_is_an_address_or_our_error(text: str) -> None:
    try:
        assert parse_store_url(text).kind in ("memory", "redis", "memcached")
    except ConfigurationError:
        pass


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
    address = parse_store_url("redis://someone:s3cret@h/1")
    assert repr(address) == "StoreAddress('redis', 'h', 6379, 1, '***', '***', False)"
    assert (address.username, address.password) == ("someone", "s3cret")
    assert repr(parse_store_url("redis://h")) == (
        "StoreAddress('redis', 'h', 6379, 0, None, None, False)"
    )
