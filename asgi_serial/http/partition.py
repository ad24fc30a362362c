"""Entries for each user: what tells users apart, and how their responses say that they are private.

Inside a partition the cache is the private cache of one user (RFC 9111, 1): `private` does not
forbid it to store, and `s-maxage` is not said to it.
"""

from collections.abc import Container, Iterable, Mapping

from asgi_serial.http.fields import MAX_LIST_BYTES, split_list

COOKIE = "cookie:"

_OF_SHARED_CACHES = frozenset({b"public", b"s-maxage", b"proxy-revalidate"})


def partition_values(
    sources: Iterable[str], request: Mapping[bytes, bytes]
) -> tuple[tuple[str, bytes], ...] | None:
    """Each source with its value; None where one is missing, or stands twice.

    A source is the lower-case name of a field, or `cookie:` and the name of a cookie. What a
    request does not say is not a user: two who are not logged in are not the same.

    >>> partition_values(["cookie:sid"], {b"cookie": b"a=1; sid=x"})
    (('cookie:sid', b'x'),)
    """
    found = []
    for source in sources:
        if source.startswith(COOKIE):
            value = find_cookie(request.get(b"cookie", b""), source[len(COOKIE) :].encode())
        else:
            value = request.get(source.encode())
        if not value:
            return None
        found.append((source, value))
    return tuple(found)


def find_cookie(value: bytes, name: bytes) -> bytes | None:
    """The value of a cookie in a Cookie field; None where it is missing, or stands twice.

    A field of more than MAX_LIST_BYTES is not read, and has none.
    Source: RFC 6265, 4.2.1. Of two with one name a server can not tell which is whose.
    """
    if len(value) > MAX_LIST_BYTES:
        return None
    found = [
        content.strip(b" \t")
        for pair in value.replace(b", ", b"; ").split(b";")
        for given, _, content in [pair.partition(b"=")]
        if given.strip(b" \t") == name
    ]
    return found[0] if len(found) == 1 else None


def other_cookies(value: bytes, named: Container[bytes]) -> bytes:
    """Return what a Cookie field says beside the cookies that are named, or all that is too long.

    >>> other_cookies(b"sid=x; role=admin", {b"sid"})
    b'role=admin'
    """
    if len(value) > MAX_LIST_BYTES:
        return value
    pairs = [pair.strip(b" \t") for pair in value.replace(b", ", b"; ").split(b";")]
    return b"; ".join(
        pair for pair in pairs if pair and pair.partition(b"=")[0].rstrip(b" \t") not in named
    )


def make_private(cache_control: bytes) -> bytes:
    """A Cache-Control value by which nobody but its user stores the response.

    >>> make_private(b"public, max-age=60, s-maxage=600")
    b'private, max-age=60'

    Source: RFC 9111, 5.2.2.7.
    """
    if len(cache_control) > MAX_LIST_BYTES:
        return b"private, no-store"
    kept = [
        element
        for element in split_list(cache_control)
        if element.partition(b"=")[0].strip(b" \t").lower() not in _OF_SHARED_CACHES | {b"private"}
    ]
    return b", ".join([b"private", *kept])
