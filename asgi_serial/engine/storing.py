"""What of a response is kept, and for how long."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.cache.entry import Entry, Representation
from asgi_serial.engine.heads import content_length, read_fields, without
from asgi_serial.engine.plan import BODY_METHODS
from asgi_serial.http.freshness import freshness_lifetime, initial_age
from asgi_serial.http.storing import (
    CACHED_METHODS,
    CREDENTIAL_FIELDS,
    allows_credentials,
    selecting_names,
    selecting_values,
    unstored_names,
    why_not_stored,
)
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Key, Variant
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import RequestPlan
    from asgi_serial.engine.representation import Base
    from asgi_serial.types import Fields

# A field of the answer that carries a stored response, never of the stored response itself.
_ANSWER_FIELDS = frozenset({b"age", b"cache-status", b"server-timing"})

# Every entry has one of these four; each set of its own would take 200 bytes.
_CREDENTIALS = tuple(sorted(CREDENTIAL_FIELDS))
_SETS = {
    names: frozenset(names) for count in range(3) for names in combinations(_CREDENTIALS, count)
}

NO_FRESHNESS = Reason.NO_FRESHNESS


class Storing(NamedTuple):
    """The decision to keep a response; times in epoch seconds."""

    key: Key
    born: float
    expires: float
    credentialed: frozenset[bytes]  # the credentials of requests that it may answer
    selecting: tuple[tuple[bytes, bytes | None], ...]


def plan_storing(
    engine: Engine,
    request: RequestPlan,
    status: int,
    fields: Mapping[bytes, bytes],
) -> Storing | Reason:
    """Whether this response is kept and for how long, or why it is not."""
    if request.bypass is not None:
        return request.bypass
    policy = request.policy
    ttl, shared = engine.settings.cache_ttl, False
    if policy is not None:
        if policy.cache is False:
            return Reason.TURNED_OFF
        ttl = ttl if policy.cache_ttl is None else policy.cache_ttl
        shared = bool(policy.cache_shared)
    cache_control = fields.get(b"cache-control", b"")
    if not cache_control and ttl is None and b"expires" not in fields:
        return NO_FRESHNESS  # the usual answer, given before anything is parsed
    if request.key is None:
        return Reason.REQUEST_HAS_BODY
    length = content_length(fields)
    if length is not None and length > engine.settings.cache_max_object:
        return Reason.OBJECT_TOO_LARGE
    directives = engine.cache_controls[cache_control]
    now = engine.clock()
    lifetime = freshness_lifetime(directives, fields, now=now)
    if lifetime is None:
        lifetime = ttl
    age = initial_age(
        fields.get(b"age"), fields.get(b"date"), request_time=request.asked, response_time=now
    )
    reason = why_not_stored(
        request.method,
        status,
        request.credentials,
        fields,
        directives,
        lifetime=lifetime,
        explicitly_shared=shared,
        age=age,
        # A path may take writes beside what its handler wants to be cached.
        methods=CACHED_METHODS | BODY_METHODS if policy and policy.cache_body else CACHED_METHODS,
    )
    names = selecting_names(fields.get(b"vary", b""))
    if reason is not None or lifetime is None or names is None:
        return reason or NO_FRESHNESS
    if request.wants.compression:
        # The app was not shown this field, so its answer can not have depended on it.
        names = tuple([name for name in names if name != b"accept-encoding"])
    return Storing(
        request.key,
        now - age,
        now - age + lifetime,
        _SETS[
            tuple(
                name
                for name in _CREDENTIALS
                if allows_credentials((name,), directives, explicitly_shared=shared)
            )
        ],
        read_selecting(request, names),
    )


def read_selecting(
    request: RequestPlan, names: tuple[bytes, ...]
) -> tuple[tuple[bytes, bytes | None], ...]:
    """The varying fields with the values that this request has for them."""
    if not names:
        return ()
    fields = read_fields(request.scope["headers"], frozenset(names))
    return tuple(zip(names, selecting_values(names, fields), strict=True))


def stored_fields(pairs: Fields, connection: bytes | None) -> Fields:
    """A new list of the fields that are kept."""
    return without(pairs, unstored_names(connection) | _ANSWER_FIELDS)


def build_entry(
    storing: Storing,
    status: int,
    base: Base,
    negotiates: tuple[bool, bool],
    route: str,
    representations: dict[Variant, Representation],
    app_bytes: int,
) -> Entry:
    """The entry of a response that has passed whole."""
    return Entry(
        storing.key,
        status,
        stored_fields(base.pairs, base.fields.get(b"connection")),
        born=storing.born,
        expires=storing.expires,
        credentialed=storing.credentialed,
        route=route,
        selecting=storing.selecting,
        negotiates=negotiates,
        representations=representations,
        app_bytes=app_bytes,
    )
