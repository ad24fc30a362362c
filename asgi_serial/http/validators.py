"""Entity tags, the tags of variants, and the conditions that a cache answers itself."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.http.fields import MAX_LIST_BYTES, parse_http_date

if TYPE_CHECKING:
    from collections.abc import Mapping


_OPAQUE = rb"[\x21\x23-\x7e\x80-\xff]*+"
_ENTITY_TAG = re.compile(rb'(W/)?"(' + _OPAQUE + rb')"')
# One element of a list, or what stands in the place of one. A tag may hold commas but no quote
# and no escape, so that the next quote ends it: every byte is read at most twice.
_ELEMENT = re.compile(
    rb'[ \t,]*+(?:(W/)?"(?P<opaque>' + _OPAQUE + rb')"[ \t]*+(?:,|\Z)|[^,]*+(?:,|\Z))'
)
_IDENTITY = b"identity"
_PROTECTION = b"-" + _IDENTITY


class EntityTag(NamedTuple):
    """An entity tag; `opaque` is what stands between the quotes."""

    weak: bool
    opaque: bytes


def parse_entity_tag(value: bytes) -> EntityTag | None:
    """The entity tag of an ETag value; None if malformed.

    >>> parse_entity_tag(b'W/"v1"')
    EntityTag(weak=True, opaque=b'v1')

    Source: RFC 9110, 8.8.3.
    """
    match = _ENTITY_TAG.fullmatch(value)
    return EntityTag(match[1] is not None, match[2]) if match is not None else None


def format_entity_tag(tag: EntityTag) -> bytes:
    """The field value of an entity tag."""
    return b'%s"%s"' % (b"W/" if tag.weak else b"", tag.opaque)


def parse_entity_tags(value: bytes) -> tuple[EntityTag, ...] | None:
    """The tags of an If-None-Match or If-Match value; None for `*`, which means any tag.

    What can not be parsed is skipped. A value of more than MAX_LIST_BYTES has none: a GET gets the
    whole response, which is never wrong, and a write fails.

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
    """The ETag value of a variant that was made from the representation with the tag `etag`.

    `etag` comes from `app_tag`. An empty suffix names the representation as the app made it. A
    weak tag stays weak; `weak` makes it so, for a variant whose bytes may differ each time.
    What is no entity tag is returned as it is.

    >>> variant_tag(b'"v1"', b"zstd")
    b'"v1-zstd"'

    Source: RFC 9110, 8.8.3.3: the variants by content coding need tags of their own.
    """
    tag = parse_entity_tag(etag)
    if tag is None:
        return etag
    opaque = b"%s-%s" % (tag.opaque, suffix) if suffix else tag.opaque
    return format_entity_tag(EntityTag(tag.weak or weak, opaque))


def app_tag(etag: bytes, suffixes: frozenset[bytes]) -> bytes:
    """The app's own ETag value, protected by `-identity` where it looks like one of a variant.

    `suffixes` are all that are in use, and hold the parts of each compound one (`msgpack` and
    `zstd` beside `msgpack-zstd`): then no two representations ever share a tag. What is no
    entity tag is returned as it is.

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
    """An If-None-Match or If-Match value as the app may compare it with tags of its own.

    The tags of the variant with `suffix`, or of those with one of several, become the app's
    tags, and so do the tags that `app_tag` has protected. All else is kept, `*` and the tags of
    other variants included. The same object is returned where nothing changed. Several suffixes
    go into one call: what one call has mapped must not be mapped again.

    >>> unmap_condition(b'"v1-zstd", "v1-br"', b"zstd", frozenset({b"zstd", b"br"}))
    b'"v1", "v1-br"'

    Source: RFC 9110, 13.1.2: the condition is about the selected representation only.
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
        # `app_tag` protects what looks suffixed and nothing else: a tag that breaks this rule
        # was made with another suffix, or not here.
        is_protected = own != protected
        if _looks_suffixed(own, suffixes) == is_protected:
            return own
    return opaque


def is_not_modified(
    request: Mapping[bytes, bytes], etag: bytes | None, last_modified: bytes | None, *, now: float
) -> bool:
    """Whether a GET or HEAD that a stored 200 would answer is answered by 304 instead.

    Where the stored response has no Last-Modified, `last_modified` may be its Date (RFC 9111,
    4.3.2). `now` is in epoch seconds.

    Source: RFC 9110, 13.1.2, 13.1.3 and 13.2.2.
    """
    condition = request.get(b"if-none-match")
    # RFC 9110, 13.1.3: a recipient must ignore If-Modified-Since where If-None-Match is there.
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
        return True  # what nearly every client sends, without reading a list
    tags = parse_entity_tags(condition)
    if tags is None:
        return True
    return own is not None and any(weak_match(tag, own) for tag in tags)
