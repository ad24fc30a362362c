"""Identify the user of a request, and mark the responses of one user as private.

Within a user's partition the cache acts as a private cache (RFC 9111, 1): it may store `private`
responses, and it ignores `s-maxage`.
"""

from collections.abc import Container, Iterable, Mapping

from asgi_serial.http.fields import MAX_LIST_BYTES, split_list

COOKIE = "cookie:"

_OF_SHARED_CACHES = frozenset({b"public", b"s-maxage", b"proxy-revalidate"})


def partition_values(
    sources: Iterable[str], request: Mapping[bytes, bytes]
) -> tuple[tuple[str, bytes], ...] | None:
    """Return each source with its value; None if one is missing or a cookie is given twice.

    A source is the lower-case name of a field, or `cookie:` and the name of a cookie. A missing
    value identifies nobody: two clients that are not logged in do not share a partition.

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
    """Return the value of a cookie; None if it is missing or given twice.

    A field longer than MAX_LIST_BYTES is not parsed and has no cookies.

    Source: RFC 6265, 4.2.2: servers should not rely on the order of cookies with the same name,
    so it is unknown which of the two the app would use.
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
    """Return a Cookie value without the cookies in `named`.

    A value longer than MAX_LIST_BYTES is returned unchanged.

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
    """Return a Cache-Control value that lets only the user's own caches store the response.

    A value longer than MAX_LIST_BYTES is not parsed; `private, no-store` replaces it.

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
