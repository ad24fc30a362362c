"""What was purged, and when: by tag, by URI, by the beginning of a path, by partition."""

import re
from array import array
from collections.abc import Iterable, Mapping
from math import inf, isfinite
from threading import Lock
from typing import NamedTuple, TypeAlias
from urllib.parse import quote_from_bytes, unquote_to_bytes

from asgi_serial.cache.drops import DropTable
from asgi_serial.cache.entry import Key
from asgi_serial.cache.key import (
    HOST,
    PATH,
    QUERY,
    RAW_PATH,
    ROOT,
    as_bytes,
    read_query,
    resource_of,
    split_host,
)

MAX_REMEMBERED = {"tag": 10_000, "uri": 10_000, "partition": 10_000, "prefix": 256}
"""How many purges of a kind are remembered each by itself.

There are two more kinds: `all`, and `digest`, whose number has no bound (see `DropTable`).
"""

Name: TypeAlias = tuple[bytes | None, bytes]
"""What a purge is remembered by: the host, or None, and the value."""

MAX_VALUE_CHARACTERS = 4096
MAX_HOST_CHARACTERS = 255
MAX_TAGS = 128
MAX_TAG_BYTES = 256
_DIGEST_DIGITS = 32
_DIGESTS = re.compile("(?:[0-9a-f]{32})+")
DIGESTS_IN_ONE = MAX_VALUE_CHARACTERS // _DIGEST_DIGITS
"""How many URIs one purge of the kind `digest` may be about."""
_BLANKS = " \t\r\n\f\v"  # those of bytes.strip


_BUCKETS = 4096


class Purge(NamedTuple):
    """What is not to be used any more, if it was made at a time or before it.

    - `tag`: responses with this tag, as characters of UTF-8 or of Latin-1;
    - `uri`: those of one path with its query, or without one: `/a?b=1`, whatever the scheme. It is
      the path that the client sent, or that the app got, with or without the `root_path` before;
    - `prefix`: those whose path, decoded, begins with it: `/a` is the beginning of `/ab`, too;
    - `digest`: those of the URIs with these `uri_digest`s, in hexadecimal digits one after the
      other: what writes have invalidated;
    - `partition`: those of one user;
    - `all`: everything. `value` is empty.

    Percent-encoding, `+` for a blank in a query, and the order of parameters make no difference:
    rather is a resource purged that was not meant than one kept that was. `host` as in the Host
    field; None for any host.
    """

    kind: str
    value: str
    host: str | None
    at: float  # in epoch seconds


def find_fault(purge: Purge) -> str | None:
    """What is wrong with a purge, as a sentence's predicate; None where nothing is."""
    kind, value, host, at = purge
    if kind not in ("all", "digest") and kind not in MAX_REMEMBERED:
        return f"is of the kind {kind!r}; expected tag, uri, prefix, partition or all."
    if not isfinite(at):
        return f"is of the time {at!r}; expected epoch seconds."
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"has {len(value)} characters; expected at most {MAX_VALUE_CHARACTERS}."
    if host is not None:
        if kind not in ("uri", "prefix"):
            return f"is a {kind} with the host {host[:50]!r}; expected one with a path only."
        if fault := _find_fault_of_host(host):
            return fault
    return _find_fault_of_value(kind, value)


def _find_fault_of_host(host: str) -> str | None:
    if len(host) <= MAX_HOST_CHARACTERS and host.isascii() and host.isprintable():
        return None
    return f"has the host {host[:50]!r}; expected ASCII, a name in other letters by IDNA."


def _find_fault_of_value(kind: str, value: str) -> str | None:
    if kind == "all":
        return f"is {value[:50]!r}; expected nothing beside the kind all." if value else None
    if not value:
        return "is empty."
    if kind == "digest" and _DIGESTS.fullmatch(value) is None:
        return f"is {value[:50]!r}; expected 32 hexadecimal digits for each URI."
    if kind == "tag" and (value != value.strip(_BLANKS) or len(value) > MAX_TAG_BYTES):
        return f"is {value[:50]!r}; expected at most {MAX_TAG_BYTES} bytes, no blanks around them."
    if kind in ("uri", "prefix") and (value[0] != "/" or "#" in value):
        return f"is {value[:50]!r}; expected a path, which begins with a slash, without a fragment."
    if kind == "prefix" and "?" in value:
        return f"is {value[:50]!r}; expected the beginning of a path, without a query."
    return None


class PurgeTable:
    """The purges of a process, bounded; safe to ask while another thread adds.

    Of those that are too many the earliest are forgotten, and nothing is believed any more that
    was made before one of them and could have been meant: what has a tag, or a partition, where
    such were forgotten; all, where URIs or prefixes were.
    """

    def __init__(self) -> None:
        self._times = {kind: _Times(most) for kind, most in MAX_REMEMBERED.items()}
        self._all_at = -inf
        self._lock = Lock()
        self.drops = DropTable()
        """What writes have invalidated, here and elsewhere; `purged_at` leaves it out."""
        self.epoch = 0
        """Another number after each purge but `digest`. Read it before `purged_at`, not after."""

    def add(self, purge: Purge) -> None:
        """Remember a purge.

        Raises: ValueError, with the words of `find_fault`.
        """
        fault = find_fault(purge)
        if fault is not None:
            raise ValueError(f"the purge {fault}")
        if purge.kind == "digest":
            for start in range(0, len(purge.value), _DIGEST_DIGITS):
                digest = purge.value[start : start + _DIGEST_DIGITS]
                self.drops.drop_at(bytes.fromhex(digest), purge.at)
            return
        with self._lock:
            if purge.kind == "all":
                self._all_at = max(self._all_at, purge.at)
            else:
                self._times[purge.kind].add(_names_of(purge), purge.at)
            self.epoch += 1

    def purged_at(self, tags: tuple[bytes, ...], key: Key, partition: str | None) -> float:
        """The latest time of a purge that covers such an entry; -inf where none does.

        `key` is the entry's, with the indexes that it hangs on.
        """
        resource = resource_of(key)
        hosts = (None, _host_name(as_bytes(resource[HOST])))
        paths = _paths_of(resource)
        query = _query_name(as_bytes(resource[QUERY]))
        times = self._times
        found = [self._all_at, *[times["tag"].latest((None, tag)) for tag in tags]]
        if partition is not None:
            found.append(times["partition"].latest((None, as_bytes(partition))))
        found += [times["uri"].latest((host, path + query)) for path in paths for host in hosts]
        for (host, prefix), at in times["prefix"].items():
            if host in hosts and any(path.startswith(prefix) for path in paths):
                found.append(at)
        found.append(times["prefix"].floor)  # last: what was forgotten meanwhile is below it
        return max(found)


class _Times:
    """The latest time for each of some names, and floors under those that are not remembered.

    A floor is for the names that share a bucket: who makes many be forgotten does away with few
    entries that they are not about. Only one thread at a time may add. A reader sees each name at
    its time or at a floor above it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: dict[Name, float] = {}
        self._floors = array("d", [-inf]) * _BUCKETS
        self.floor = -inf  # the highest of them

    def add(self, names: Iterable[Name], at: float) -> None:
        for name in names:
            self._times[name] = max(at, self._times.get(name, -inf))
        if len(self._times) > self._most:
            # An eighth at once, so that this is seldom. The floors first: see `latest`.
            limit = sorted(self._times.values())[self._most // 8]
            for name, known in self._times.items():
                if known <= limit:
                    bucket = hash(name) % _BUCKETS
                    self._floors[bucket] = max(self._floors[bucket], known)
            self.floor = limit
            self._times = {name: at for name, at in self._times.items() if at > limit}

    def latest(self, name: Name) -> float:
        # The time first: if it is forgotten between the two, the floor is above it already.
        at = self._times.get(name, -inf)
        return max(at, self._floors[hash(name) % _BUCKETS])

    def items(self) -> tuple[tuple[Name, float], ...]:
        return tuple(self._times.items())


def purges_of_uris(drops: Mapping[bytes, float]) -> list[Purge]:
    """Return the purges that tell others what writes have invalidated: times by `uri_digest`.

    As many URIs as fit are told in one, with the latest of their times.
    """
    items = sorted(drops.items(), key=lambda item: item[1])
    return [
        Purge("digest", b"".join([digest for digest, _ in some]).hex(), None, some[-1][1])
        for some in (
            items[start : start + DIGESTS_IN_ONE] for start in range(0, len(items), DIGESTS_IN_ONE)
        )
    ]


def parse_tags(fields: Mapping[bytes, bytes], names: Iterable[bytes]) -> tuple[bytes, ...] | None:
    """The tags in a response's fields of these names; None where they are too many or too long.

    Those of Surrogate-Key are separated by white space, those of any other field by commas; they
    are told apart by case. A response whose tags are not all known can not be purged by them: it
    must not be stored.
    """
    tags: dict[bytes, None] = {}
    for name in names:
        value = fields.get(name, b"")
        if name == b"surrogate-key":
            # Several lines were joined by a comma and a space.
            found = value.replace(b", ", b" ").split()
        else:
            found = [tag for part in value.split(b",") if (tag := part.strip())]
        tags.update(dict.fromkeys(found))
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG_BYTES for tag in tags):
        return None
    return tuple(tags)


def _names_of(purge: Purge) -> tuple[Name, ...]:
    """The names by which `purged_at` looks for what a purge covers."""
    value = as_bytes(purge.value)
    if purge.kind == "partition":
        return ((None, value),)
    if purge.kind == "tag":
        # Frameworks encode the values of fields as Latin-1, apps of their own as they like.
        in_latin = [purge.value.encode("latin-1")] if max(purge.value) <= "\xff" else []
        return tuple([(None, name) for name in (value, *in_latin)])
    host = None if purge.host is None else _host_name(purge.host.encode("ascii"))
    path, _, query = value.partition(b"?")
    return ((host, unquote_to_bytes(path) + _query_name(query)),)


def _host_name(host: bytes) -> bytes:
    """The host without what makes no difference to whoever purges: case, and the usual ports."""
    return split_host(host.lower())[0]


def _paths_of(resource: Key) -> set[bytes]:
    """The decoded paths by which a resource may be known: to clients, to a proxy, to the app."""
    path = as_bytes(resource[PATH])
    raw_path, _, _ = as_bytes(resource[RAW_PATH]).partition(b"?")
    return {path, as_bytes(resource[ROOT]) + path, unquote_to_bytes(raw_path) or path}


def _query_name(query: bytes) -> bytes:
    pairs = [b"%b=%b" % (_quoted(name), _quoted(value)) for name, value in read_query(query)]
    return b"?" + b"&".join(pairs) if pairs else b""


def _quoted(text: bytes) -> bytes:
    return quote_from_bytes(text).encode()
