"""Entity tags, the tags of variants, and the conditional requests that a cache answers itself."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from asgi_serial.http.fields import MAX_LIST_BYTES, parse_http_date

_OPAQUE = rb"[\x21\x23-\x7e\x80-\xff]*+"
_ENTITY_TAG = re.compile(rb'(W/)?"(' + _OPAQUE + rb')"')
# One element of a list, well-formed or not. A tag may contain commas but neither quotes nor
# escapes, so the next quote always ends it, and every byte is read at most twice.
_ELEMENT = re.compile(
    rb'[ \t,]*+(?:(W/)?"(?P<opaque>' + _OPAQUE + rb')"[ \t]*+(?:,|\Z)|[^,]*+(?:,|\Z))'
)
_IDENTITY = b"identity"
_PROTECTION = b"-" + _IDENTITY


class EntityTag(NamedTuple):
    """An entity tag; `opaque` is the text between the quotes."""

    weak: bool
    opaque: bytes


def parse_entity_tag(value: bytes) -> EntityTag | None:
    """Return the entity tag of an ETag value; None if it is malformed.

    >>> parse_entity_tag(b'W/"v1"')
    EntityTag(weak=True, opaque=b'v1')

    Source: RFC 9110, 8.8.3.
    """
    match = _ENTITY_TAG.fullmatch(value)
    return EntityTag(match[1] is not None, match[2]) if match is not None else None


def format_entity_tag(tag: EntityTag) -> bytes:
    """Return the field value of an entity tag."""
    return b'%s"%s"' % (b"W/" if tag.weak else b"", tag.opaque)


def parse_entity_tags(value: bytes) -> tuple[EntityTag, ...] | None:
    """Return the tags of an If-None-Match or If-Match value; None for `*`, which matches any tag.

    Malformed elements are skipped. A value longer than MAX_LIST_BYTES has no tags: a GET then gets
    the whole response, which is always correct, and a write fails its precondition.

    Source: RFC 9110, 13.1.1 and 13.1.2.
    """
    if len(value) > MAX_LIST_BYTES:
        return ()
    if value.strip(b" \t") == b"*":
        return None
    return tuple(
        EntityTag(match[1] is not None, match["opaque"])
        for match in _ELEMENT.finditer(value)
        if match["opaque"] is not None
    )


def strong_match(a: EntityTag, b: EntityTag) -> bool:
    """Whether two tags are equal and neither is weak (RFC 9110, 8.8.3.2)."""
    return not a.weak and not b.weak and a.opaque == b.opaque


def weak_match(a: EntityTag, b: EntityTag) -> bool:
    """Whether two tags are equal, weak or not (RFC 9110, 8.8.3.2)."""
    return a.opaque == b.opaque


def variant_tag(etag: bytes, suffix: bytes, *, weak: bool = False) -> bytes:
    """Return the ETag value of a variant of the representation with the tag `etag`.

    `etag` comes from `app_tag`. An empty suffix stands for the app's own representation. Weak tags
    stay weak; `weak` weakens the tag of a variant whose bytes may differ each time it is made.
    A value that is not an entity tag is returned unchanged.

    >>> variant_tag(b'"v1"', b"zstd")
    b'"v1-zstd"'

    Source: RFC 9110, 8.8.3.3: representations that differ in their content coding need different
    strong entity tags.
    """
    tag = parse_entity_tag(etag)
    if tag is None:
        return etag
    opaque = b"%s-%s" % (tag.opaque, suffix) if suffix else tag.opaque
    return format_entity_tag(EntityTag(tag.weak or weak, opaque))


def app_tag(etag: bytes, suffixes: frozenset[bytes]) -> bytes:
    """Return the app's own ETag value, with `-identity` appended if it looks like a variant's.

    `suffixes` holds every suffix in use, and the parts of compound ones (`msgpack` and `zstd`
    beside `msgpack-zstd`). Together with `variant_tag` this guarantees that no two representations
    share a tag. A value that is not an entity tag is returned unchanged.

    >>> app_tag(b'"v1-zstd"', frozenset({b"zstd"}))
    b'"v1-zstd-identity"'
    """
    tag = parse_entity_tag(etag)
    if tag is None or not _looks_suffixed(tag.opaque, suffixes):
        return etag
    return format_entity_tag(EntityTag(tag.weak, tag.opaque + _PROTECTION))


def _looks_suffixed(opaque: bytes, suffixes: frozenset[bytes]) -> bool:
    _, hyphen, last = opaque.rpartition(b"-")
    return bool(hyphen) and (last in suffixes or last == _IDENTITY)


def unmap_condition(
    value: bytes, suffix: bytes | tuple[bytes, ...], suffixes: frozenset[bytes]
) -> bytes:
    """Return an If-None-Match or If-Match value that the app can compare with its own tags.

    Tags of variants with `suffix`, or with one of several suffixes, become the app's tags, and so
    do tags that `app_tag` has protected. Everything else stays, including `*` and the tags of
    other variants. The same object is returned if nothing changes. Pass all suffixes in one call:
    a mapped tag must not be mapped twice.

    >>> unmap_condition(b'"v1-zstd", "v1-br"', b"zstd", frozenset({b"zstd", b"br"}))
    b'"v1", "v1-br"'

    Source: RFC 9110, 13.1.2: the condition applies to the selected representation only.
    """
    if b"-" not in value or len(value) > MAX_LIST_BYTES:
        return value
    mapped = (suffix,) if isinstance(suffix, bytes) else suffix

    def restore(element: re.Match[bytes]) -> bytes:
        whole: bytes = element[0]
        opaque = element["opaque"]
        if opaque is None:
            return whole
        start = element.start("opaque") - element.start()
        own = _own_opaque(opaque, mapped, suffixes)
        return whole[:start] + own + whole[start + len(opaque) :]

    restored = _ELEMENT.sub(restore, value)
    return value if restored == value else restored


def _own_opaque(opaque: bytes, mapped: tuple[bytes, ...], suffixes: frozenset[bytes]) -> bytes:
    for ending in (*[b"-" + suffix for suffix in mapped if suffix], b""):
        if not opaque.endswith(ending):
            continue
        protected = opaque.removesuffix(ending)
        own = protected.removesuffix(_PROTECTION)
        # `app_tag` protects exactly the tags that look suffixed. A tag that breaks this rule was
        # made with another suffix or by someone else.
        is_protected = own != protected
        if _looks_suffixed(own, suffixes) == is_protected:
            return own
    return opaque


def is_not_modified(
    request: Mapping[bytes, bytes], etag: bytes | None, last_modified: bytes | None, *, now: float
) -> bool:
    """Whether a GET or HEAD that selects a stored 200 is answered with 304.

    If the stored response has no Last-Modified, `last_modified` may be its Date (RFC 9111, 4.3.2).
    `now` is in epoch seconds.

    Source: RFC 9110, 13.1.2, 13.1.3 and 13.2.2.
    """
    condition = request.get(b"if-none-match")
    # RFC 9110, 13.1.3: "A recipient MUST ignore If-Modified-Since if the request contains an
    # If-None-Match header field".
    if condition is not None:
        return _matches_any(condition, etag)
    since = request.get(b"if-modified-since")
    if since is None or last_modified is None:
        return False
    since_seconds = parse_http_date(since, now)
    modified_seconds = parse_http_date(last_modified, now)
    if since_seconds is None or modified_seconds is None:
        return False
    return modified_seconds <= since_seconds


def _matches_any(condition: bytes, etag: bytes | None) -> bool:
    own = parse_entity_tag(etag) if etag is not None else None
    if own is not None and condition == etag:
        return True  # nearly every client sends the tag as it got it; this spares parsing a list
    tags = parse_entity_tags(condition)
    if tags is None:
        return True
    return own is not None and any(weak_match(tag, own) for tag in tags)
