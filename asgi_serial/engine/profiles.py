"""Request profiles: everything that the method and fields decide, computed once and remembered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from asgi_serial.bounds.memo import LONGEST_PART, BoundedDict, Memo, weigh
from asgi_serial.cache.key import read_key_fields
from asgi_serial.engine.client import has_known_client
from asgi_serial.engine.head import keep_iterators
from asgi_serial.http.field_names import CREDENTIAL_FIELDS, FRAGMENT_FIELDS
from asgi_serial.http.headers import combine_fields
from asgi_serial.http.request_fields import CLIENT, NOT_STRANGE, sort_strange
from asgi_serial.http.reuse import NO_DIRECTIVES, RequestDirectives
from asgi_serial.http.storability import (
    CACHED_METHODS,
    announces_body,
    forces_revalidation,
    why_not_looked_up,
)
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from asgi_serial.cache.key import Extra
    from asgi_serial.engine.field_rules import FieldRules
    from asgi_serial.engine.negotiator import Negotiator
    from asgi_serial.engine.preferences import Wants
    from asgi_serial.http.cachecontrol import CacheControl
    from asgi_serial.http.cookies import CookieRules
    from asgi_serial.http.request_fields import Strange
    from asgi_serial.settings.model import Settings
    from asgi_serial.settings.policy import Partition
    from asgi_serial.types import Field, Scope

BODY_METHODS = frozenset({"POST", "QUERY"})
"""The methods whose requests may be distinguished by their bodies (opted in by route)."""

Lines: TypeAlias = "tuple[Field, ...]"
"""The field lines of a request, with each name once: lines with the same name are combined."""

MAX_NAMES = 256
"""The largest number of fields in a request whose profile is remembered."""

_DECIDING = (
    *(b"accept", b"accept-encoding", b"cache-control", b"pragma"),
    *(b"x-forwarded-proto", b"x-forwarded-port", *FRAGMENT_FIELDS),
)
_CONDITIONAL = frozenset({b"if-none-match", b"if-modified-since"})
_PRECONDITIONS = frozenset({b"if-match", b"if-none-match"})
# RFC 9110, 13.1.2: 304 for these, 412 for others; QUERY is safe as GET is.
_READS = frozenset({"GET", "HEAD", "QUERY"})
_DESCRIBES_BODY = frozenset({b"content-encoding", b"content-type"})
_name_of = itemgetter(0)
_SEPARATOR = b"\n"
_STEP_BYTES = 232  # a dict with one item, of which a profile has one for each value that decides


@dataclass(frozen=True, slots=True)
class User:
    """The user of a request, as far as fields and a policy identify one.

    `source` is what it was identified by, `partition` are the parts of the key that name it. The
    response to a personal request belongs to one user, whether or not it is stored.
    """

    credentials: frozenset[bytes]  # the kinds of credentials that may prevent storing
    unknown: frozenset[bytes]  # unknown fields that may identify the user
    source: Partition | None = None
    partition: Extra = ()
    is_personal: bool = False
    bypass: Reason | None = None  # why the cache is bypassed: the user cannot be identified safely


class Profile:
    """Everything that a request's method and fields decide, except for the values in its key.

    It contains no data of an individual client: only the presence of cookies, credentials and
    unknown fields counts.
    """

    __slots__ = (
        "anybody",
        "bypass",
        "choices",
        "cookies",
        "demands",
        "describes_body",
        "directives",
        "forces_revalidation",
        "has_range",
        "has_tags",
        "has_usual_key",
        "host_at",
        "is_conditional",
        "is_repeatable",
        "label",
        "method",
        "needs_search",
        "only_if_cached",
        "origin_at",
        "places",
        "proto",
        "strange",
        "unusual",
        "wants",
        "without_cookies",
    )

    method: str
    wants: Wants  # unless a policy says otherwise
    directives: CacheControl | None  # of the request's Cache-Control
    demands: RequestDirectives  # its demands on the cache, if the settings obey requests
    forces_revalidation: bool  # the client refuses a stored response
    strange: Strange  # its fields that are not known to be harmless
    anybody: User  # its user, unless a policy identifies one
    without_cookies: User  # the same, where all cookies are ignored
    label: str  # the method, and whether there are credentials: both may decide about a response
    bypass: Reason | None  # why the cache is bypassed
    cookies: CookieRules | None  # some of its cookies may be ignored, which their values show
    choices: Mapping[bytes, Mapping[bytes | None, bytes]] | None  # see `FieldRules.choices`
    places: dict[bytes, int]  # the indexes of its field lines, by name
    has_usual_key: bool  # it may be answered, and `KeyFields` are all that its key needs
    host_at: int | None  # these four are described at `KeyFields`
    origin_at: int | None
    proto: bytes | None
    unusual: Extra
    only_if_cached: bool  # only a stored response will do (RFC 9111, 5.2.1.7)
    is_repeatable: bool  # an entry answers all such requests with equal keys and tags alike
    needs_search: bool  # may be answered by more than a whole response from the first level
    is_conditional: bool  # a stored response may be answered by 304 (RFC 9110, 13.1)
    has_tags: bool  # names entity tags in a condition
    has_range: bool  # a GET for a part of the resource (RFC 9110, 14.2)
    describes_body: bool  # its body may have to be decoded or translated


class _Shape:
    """The names of a request's fields, in their order, and the profiles of such requests.

    `known` leads to a profile by the method, then by the value of each line in `deciding`, then, if
    there is a Content-Length, by whether it announces a body.
    """

    __slots__ = ("deciding", "known", "length_at", "places")

    def __init__(self, lines: Lines) -> None:
        self.places = {name: place for place, (name, _) in enumerate(lines)}
        self.deciding = [self.places[name] for name in _DECIDING if name in self.places]
        self.length_at = self.places.get(b"content-length")
        self.known: dict[Any, Any] = {}


class Profiles:
    """Remembers the profiles of requests, in memory that is bounded in bytes.

    A profile is found by the names of the fields in order, the method, and the values of the few
    fields that decide. A profile that is too large to remember is computed each time.
    """

    def __init__(self, settings: Settings, fields: FieldRules, negotiator: Negotiator) -> None:
        self._settings = settings
        self._fields = fields
        self._negotiator = negotiator
        # A joined name is hashed and compared in a fifth of the time of a tuple of names.
        self._shapes: BoundedDict[bytes, _Shape] = BoundedDict(shares_values=True)
        self._idle: Memo[str, tuple[Lines, Profile]] = Memo(
            lambda method: ((), self._make(method, _Shape(()), ())), shares_values=True
        )
        self.idle = self._idle.__getitem__
        """Return no lines, and the profile of a request by its method, if no field is read."""

    def read(self, scope: Scope) -> tuple[Lines, Profile]:
        """Return the field lines of a request, and its profile."""
        # By name: a set would go through all that is in the scope, at five times the cost.
        is_anonymous = "extensions" not in scope and "user" not in scope and "auth" not in scope
        if is_anonymous or not has_known_client(scope):
            pairs = scope["headers"]
            try:
                first = pairs[0] if type(pairs) is list else None
                # Whoever makes the fields makes all of them alike, and whoever adds one adds it at
                # an end: a look at each line would cost every request.
                if (
                    type(first) is tuple
                    and type(first[0]) is type(first[1]) is type(pairs[-1][1]) is bytes
                ):
                    shape = self._shapes[_SEPARATOR.join(map(_name_of, pairs))]
                    if len(shape.places) == len(pairs):
                        # By one value after the other: one tuple of pairs is compared as a key in
                        # twice the time.
                        known = shape.known[scope["method"]]
                        for place in shape.deciding:
                            known = known[pairs[place][1]]
                        if shape.length_at is not None:
                            known = known[_announces_body(shape, pairs)]
                        return tuple(pairs), known
            # It is not known, or a line is a list or a buffer, or is malformed, or there is none.
            except (IndexError, KeyError, TypeError, ValueError):
                pass
        lines = _read_lines(scope)
        if is_anonymous and lines == tuple(scope["headers"]):
            return lines, self._add(scope["method"], lines)
        return lines, self.find(scope["method"], lines)

    def find(self, method: str, lines: Lines) -> Profile:
        """Return the profile of a request with these lines, each of which has its own name."""
        return self.read({"method": method, "headers": list(lines)})[1]

    def _add(self, method: str, lines: Lines) -> Profile:
        """Return the profile of a request, computed now, and remember it."""
        shape = self._find_shape(lines)
        if shape is None:
            return self._make_once(method, lines)
        path: list[object] = [method, *[lines[place][1] for place in shape.deciding]]
        if shape.length_at is not None:
            path.append(_announces_body(shape, lines))
        profile = self._make(method, shape, lines)
        # A directive or a name of two bytes takes fifty and more once it is parsed.
        parsed_bytes = weigh((profile.directives, profile.strange))
        size = _STEP_BYTES * len(path) + weigh(tuple(path)) + parsed_bytes
        if size * LONGEST_PART > self._shapes.max_bytes:
            profile.is_repeatable = False
            return profile
        known = shape.known
        for value in path[:-1]:
            known = known.setdefault(value, {})
        known[path[-1]] = profile
        self._shapes.add_bytes(size)
        return profile

    def _find_shape(self, lines: Lines) -> _Shape | None:
        """Return the shape of a request, to be remembered; None if it is too large for that."""
        try:
            names = _SEPARATOR.join(map(_name_of, lines))
        except TypeError:  # a name is text
            return None
        # A name with a separator could be taken for two.
        if len(lines) >= MAX_NAMES or names.count(_SEPARATOR) >= max(len(lines), 1):
            return None
        shape = self._shapes.get(names)
        if shape is None or len(shape.places) != len(lines):  # no name, or an empty one
            shape = _Shape(lines)
            self._shapes.keep(names, shape, weigh(tuple(shape.places)))
            if names not in self._shapes:
                return None
        return shape

    def _make_once(self, method: str, lines: Lines) -> Profile:
        """Return a profile that is too large to be remembered, even by a stored response."""
        profile = self._make(method, _Shape(lines), lines)
        profile.is_repeatable = False
        return profile

    def _make(self, method: str, shape: _Shape, lines: Lines) -> Profile:
        settings, rules, fields = self._settings, self._fields, dict(lines)
        profile = Profile()
        profile.method, profile.places = method, shape.places
        has_cookies = b"cookie" in fields and method in CACHED_METHODS
        profile.cookies = rules.cookies if has_cookies else None
        profile.choices = rules.choices
        profile.host_at = shape.places.get(b"host")
        profile.origin_at = shape.places.get(b"origin")
        profile.proto, profile.unusual = read_key_fields(fields)
        directives = None
        if b"cache-control" in fields:
            directives = rules.cache_controls[fields[b"cache-control"]]
        profile.directives = directives
        # RFC 9111, 5.2.1.6: no-transform: the client asks for no transformation of the content.
        if directives is not None and directives.no_transform:
            profile.wants = self._negotiator.untransformed_wants
        else:
            accepted = fields.get(b"accept"), fields.get(b"accept-encoding")
            profile.wants = self._negotiator.wants[accepted]
        names = [name for name in fields if name not in rules.known and name not in rules.ignored]
        profile.strange = strange = (
            sort_strange(names, rules.meanings.__getitem__) if names else NOT_STRANGE
        )
        profile.anybody = profile.without_cookies = anybody = User(
            *find_credentials(fields, strange)
        )
        if profile.cookies is not None:
            others, _ = find_credentials(fields, strange, frozenset({b"cookie"}))
            profile.without_cookies = replace(anybody, credentials=others)
        profile.label = f"{method} with credentials" if anybody.credentials else method
        profile.demands, profile.forces_revalidation = NO_DIRECTIVES, False
        if settings.cache_obey_requests and (directives is not None or b"pragma" in fields):
            refuses = forces_revalidation(fields, directives)
            profile.forces_revalidation = refuses
            if refuses or directives is not None:
                profile.demands = RequestDirectives(directives, pragma_no_cache=directives is None)
        obeyed = profile.demands.directives
        profile.only_if_cached = (
            obeyed is not None and obeyed.only_if_cached and method in CACHED_METHODS
        )
        profile.bypass = why_not_looked_up(
            method,
            fields,
            profile.demands.directives,
            methods=CACHED_METHODS if method in CACHED_METHODS else BODY_METHODS,
            is_routed=bool(strange.routing),
        )
        if profile.bypass is None and method == "POST" and not _PRECONDITIONS.isdisjoint(fields):
            # RFC 9110, 13.1.1 and 13.1.2: a precondition may be there to prevent a write.
            profile.bypass = Reason.METHOD_NOT_CACHED
        profile.is_conditional = method in _READS and not _CONDITIONAL.isdisjoint(fields)
        profile.has_tags = not _PRECONDITIONS.isdisjoint(fields)
        profile.has_range = method == "GET" and b"range" in fields
        # RFC 9111, 5.2.1: a stored response may come to be too old for the request at any moment.
        profile.is_repeatable = (
            method == "GET"
            and profile.demands is NO_DIRECTIVES
            and not profile.has_range
            and (not profile.is_conditional or b"if-none-match" in fields)
        )
        profile.needs_search = profile.has_range or profile.only_if_cached
        profile.describes_body = not _DESCRIBES_BODY.isdisjoint(fields)
        profile.has_usual_key = (
            profile.bypass is None
            and method not in BODY_METHODS
            and not (settings.cache_key_fields or settings.cache_sort_query)
            and not (settings.cache_key_cookies and b"cookie" in fields)
            and not profile.wants.coded_only
        )
        return profile


def _read_lines(scope: Scope) -> Lines:
    """Return a request's field lines; lines with the same name are combined.

    Source: RFC 9110, 5.3: they are combined in order, with commas.
    """
    pairs = keep_iterators(scope)
    try:
        fields = dict(pairs)
        if any(type(value) is not bytes for value in fields.values()):
            raise TypeError
    except TypeError:  # a name or a value is another kind of buffer
        # Everything that reads the scope after this gets what ASGI promises: bytes.
        pairs = scope["headers"] = [(bytes(name), bytes(value)) for name, value in pairs]
        fields = dict(pairs)
    if len(fields) != len(pairs):
        fields = combine_fields(pairs)
    if has_known_client(scope):
        fields[CLIENT] = b""
    return tuple(fields.items())


def _announces_body(shape: _Shape, lines: Sequence[Field]) -> bool:
    assert shape.length_at is not None
    return announces_body({b"content-length": lines[shape.length_at][1]})


def find_credentials(
    fields: Mapping[bytes, bytes], strange: Strange, lifted: frozenset[bytes] = frozenset()
) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Return the credentials among these fields, and the fields that may identify the user.

    Fields in `lifted` are part of the key. A field by which apps are known to identify users counts
    as a cookie.
    """
    credentials = CREDENTIAL_FIELDS.intersection(fields) - lifted
    if not strange.users <= lifted:
        credentials |= {b"cookie"}
    return credentials, strange.unknown - lifted
