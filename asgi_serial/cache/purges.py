"""Record purges by tag, URI, path prefix and partition, and look up whether they cover an entry."""

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
"""The limits of purges that are remembered individually, by kind.

There are two more kinds: `all`, and `digest`, which has no such limit (see `DropTable`).
"""

Name: TypeAlias = tuple[bytes | None, bytes]
"""The name of a purge: the host (or None) and the value."""

MAX_VALUE_CHARACTERS = 4096
MAX_HOST_CHARACTERS = 255
MAX_TAGS = 128
MAX_TAG_BYTES = 256
_DIGEST_DIGITS = 32
_DIGESTS = re.compile("(?:[0-9a-f]{32})+")
DIGESTS_IN_ONE = MAX_VALUE_CHARACTERS // _DIGEST_DIGITS
"""The most URIs in one purge of the kind `digest`."""
_BLANKS = " \t\r\n\f\v"  # the characters that bytes.strip removes


_BUCKETS = 4096


class Purge(NamedTuple):
    """Invalidates the responses that it covers, if they were made at its time or earlier.

    - `tag`: responses with this tag, encoded as UTF-8 or Latin-1;
    - `uri`: responses of a path with or without a query, such as `/a?b=1`, for any scheme. The path
      is that of the client or of the app, with or without the `root_path`;
    - `prefix`: responses whose decoded path begins with it; `/a` also covers `/ab`;
    - `digest`: responses of URIs with these concatenated `uri_digest`s, in hexadecimal digits; used
      for invalidation by writes;
    - `partition`: responses of one user;
    - `all`: all responses; `value` is empty.

    Percent-encoding, `+` for a space in a query, and the order of parameters make no difference: it
    is safer to purge too much than too little. `host` is a value of the Host field; None means any
    host.
    """

    kind: str
    value: str
    host: str | None
    at: float  # in epoch seconds


def find_fault(purge: Purge) -> str | None:
    """Return the fault of a purge, as the predicate of a sentence; None if it is valid."""
    kind, value, host, at = purge
    if kind not in ("all", "digest") and kind not in MAX_REMEMBERED:
        return f"is of the kind {kind!r}; expected tag, uri, prefix, partition or all."
    if not isfinite(at):
        return f"is of the time {at!r}; expected epoch seconds."
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"has {len(value)} characters; expected at most {MAX_VALUE_CHARACTERS}."
    if host is not None:
        if kind not in ("uri", "prefix"):
            return f"is of the kind {kind!r} with the host {host[:50]!r}; expected no host."
        if fault := _find_fault_of_host(host):
            return fault
    return _find_fault_of_value(kind, value)


def _find_fault_of_host(host: str) -> str | None:
    if len(host) <= MAX_HOST_CHARACTERS and host.isascii() and host.isprintable():
        return None
    return f"has the host {host[:50]!r}; expected ASCII, with other letters encoded by IDNA."


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
    """The purges of a process, in bounded memory; look-ups are safe while another thread adds.

    When there are too many, the earliest purges are dropped. Entries that were made before a
    dropped purge and could be covered by it then count as purged.
    """

    def __init__(self) -> None:
        self._times = {kind: _Times(most) for kind, most in MAX_REMEMBERED.items()}
        self._all_at = -inf
        self._lock = Lock()
        self.drops = DropTable()
        """The invalidations by writes, here and elsewhere; `purged_at` does not include them."""
        self.epoch = 0
        """Changes with every purge except `digest`. Read it before `purged_at`, not after."""

    def add(self, purge: Purge, heard_at: float = inf) -> None:
        """Add a purge that this process learned of at `heard_at`; inf if that is unknown.

        Raises: ValueError with the message of `find_fault`.
        """
        fault = find_fault(purge)
        if fault is not None:
            raise ValueError(f"the purge {fault}")
        if purge.kind == "digest":
            for start in range(0, len(purge.value), _DIGEST_DIGITS):
                digest = purge.value[start : start + _DIGEST_DIGITS]
                self.drops.drop_at(bytes.fromhex(digest), purge.at, heard_at)
            return
        with self._lock:
            self.drops.note_change(heard_at)
            if purge.kind == "all":
                self._all_at = max(self._all_at, purge.at)
            else:
                self._times[purge.kind].add(_names_of(purge), purge.at)
            self.epoch += 1

    def purged_at(self, tags: tuple[bytes, ...], key: Key, partition: str | None) -> float:
        """Return the latest time of a purge that covers an entry; -inf if there is none.

        `key` is the entry's key, including those of its indexes.
        """
        resource = resource_of(key)
        hosts = (None, _host_name(as_bytes(resource[HOST])))
        paths = _paths_of(resource)
        query = _query_name(as_bytes(resource[QUERY]))
        times = self._times
        found = [self.tags_purged_at(tags)]
        if partition is not None:
            found.append(times["partition"].latest((None, as_bytes(partition))))
        found += [times["uri"].latest((host, path + query)) for path in paths for host in hosts]
        for (host, prefix), at in times["prefix"].items():
            if host in hosts and any(path.startswith(prefix) for path in paths):
                found.append(at)
        # The floor comes last, so that it covers purges that were dropped meanwhile.
        found.append(times["prefix"].floor)
        return max(found)

    def tags_purged_at(self, tags: tuple[bytes, ...]) -> float:
        """Return the latest time of a purge of one of these tags, or of everything."""
        times = self._times["tag"]
        return max(self._all_at, *[times.latest((None, tag)) for tag in tags], -inf)


class _Times:
    """The latest time of each name, and floors for names that were dropped.

    A floor applies to the names in one bucket, so that dropping many names affects few other
    entries. Only one thread at a time may add. A reader sees each name at its time, or at a floor
    above that.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: dict[Name, float] = {}
        self._floors = array("d", [-inf]) * _BUCKETS
        self.floor = -inf  # the highest floor

    def add(self, names: Iterable[Name], at: float) -> None:
        for name in names:
            self._times[name] = max(at, self._times.get(name, -inf))
        if len(self._times) > self._most:
            # Drop an eighth at once, so that this happens rarely. Set the floors first; see
            # `latest`.
            limit = sorted(self._times.values())[self._most // 8]
            for name, known in self._times.items():
                if known <= limit:
                    bucket = hash(name) % _BUCKETS
                    self._floors[bucket] = max(self._floors[bucket], known)
            self.floor = limit
            self._times = {name: at for name, at in self._times.items() if at > limit}

    def latest(self, name: Name) -> float:
        # Read the time first: if it is dropped before the floor is read, the floor covers it.
        at = self._times.get(name, -inf)
        return max(at, self._floors[hash(name) % _BUCKETS])

    def items(self) -> tuple[tuple[Name, float], ...]:
        return tuple(self._times.items())


def purges_of_uris(drops: Mapping[bytes, float]) -> list[Purge]:
    """Return the purges for URIs that writes have invalidated, given as times by `uri_digest`.

    Each purge holds as many URIs as fit, with the latest of their times.
    """
    items = sorted(drops.items(), key=lambda item: item[1])
    return [
        Purge("digest", b"".join([digest for digest, _ in some]).hex(), None, some[-1][1])
        for some in (
            items[start : start + DIGESTS_IN_ONE] for start in range(0, len(items), DIGESTS_IN_ONE)
        )
    ]


def _names_of(purge: Purge) -> tuple[Name, ...]:
    """Return the names under which `purged_at` looks a purge up."""
    value = as_bytes(purge.value)
    if purge.kind == "partition":
        return ((None, value),)
    if purge.kind == "tag":
        # Frameworks encode field values as Latin-1; other apps may use UTF-8.
        in_latin = [purge.value.encode("latin-1")] if max(purge.value) <= "\xff" else []
        return tuple([(None, name) for name in (value, *in_latin)])
    host = None if purge.host is None else _host_name(purge.host.encode("ascii"))
    path, _, query = value.partition(b"?")
    return ((host, unquote_to_bytes(path) + _query_name(query)),)


def _host_name(host: bytes) -> bytes:
    """Return the host in lower case and without a default port."""
    return split_host(host.lower())[0]


def _paths_of(resource: Key) -> set[bytes]:
    """Return the decoded paths of a resource as clients, proxies and the app know it."""
    path = as_bytes(resource[PATH])
    raw_path, _, _ = as_bytes(resource[RAW_PATH]).partition(b"?")
    return {path, as_bytes(resource[ROOT]) + path, unquote_to_bytes(raw_path) or path}


def _query_name(query: bytes) -> bytes:
    pairs = [b"%b=%b" % (_quoted(name), _quoted(value)) for name, value in read_query(query)]
    return b"?" + b"&".join(pairs) if pairs else b""


def _quoted(text: bytes) -> bytes:
    return quote_from_bytes(text).encode()
