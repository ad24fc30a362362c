"""The cache of one user: which it is, and how its responses are kept from all others."""

from __future__ import annotations

import logging
from hashlib import blake2b
from typing import TYPE_CHECKING

from asgi_serial.engine.heads import read_fields, without
from asgi_serial.http.partition import make_private, partition_values
from asgi_serial.http.storing import CREDENTIAL_FIELDS
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import RequestPlan
    from asgi_serial.policy import RoutePolicy
    from asgi_serial.types import Fields

logger = logging.getLogger("asgi_serial")

_NOBODY = (None, "", False)


def enter_partition(engine: Engine, plan: RequestPlan, policy: RoutePolicy | None) -> None:
    """Have the cache be that of the user who asks, where the policy says what tells users apart.

    It bypasses the cache where nobody can say who asks.
    """
    sources = None if policy is None else policy.cache_partition
    if sources is None:
        return
    if callable(sources):
        try:
            user = sources(plan.scope)
            plan.partition = None if user in _NOBODY else digest_partition(engine, str(user))
        except Exception:
            logger.exception("The function that tells users apart has failed.")
            plan.bypass = Reason.REQUEST_HAS_CREDENTIALS
            return
        lifted = CREDENTIAL_FIELDS | engine.user_fields
    else:
        values = partition_values(sources, read_fields(plan.scope["headers"], _names_of(sources)))
        plan.partition = None if values is None else digest_partition(engine, values)
        lifted = _names_of(sources)
    if plan.partition is not None:
        # What tells the users apart is no reason any more not to store what belongs to one.
        left = plan.credentials - lifted
        others = (engine.user_fields - lifted).isdisjoint(plan.fields)
        plan.credentials = left if others else left | {b"cookie"}


def _names_of(sources: Iterable[str]) -> frozenset[bytes]:
    return frozenset(source.partition(":")[0].encode() for source in sources)


def digest_partition(engine: Engine, user: str | Iterable[tuple[str, bytes]]) -> bytes:
    """The name of a user's partition, by which nobody who sees it learns who that is."""
    named = [("", user.encode("utf-8", "surrogatepass"))] if isinstance(user, str) else user
    digest = blake2b(key=blake2b(engine.secret).digest(), digest_size=16)
    for name, value in sorted(named):
        digest.update(b"%d:%s%d:%s" % (len(name), name.encode(), len(value), value))
    return digest.hexdigest().encode()


def keep_private(
    engine: Engine, status: int, pairs: Fields, fields: dict[bytes, bytes]
) -> tuple[Fields, dict[bytes, bytes]]:
    """The fields of a response by which no other cache stores what is one user's."""
    if status == 304 and b"cache-control" not in fields:
        return pairs, fields  # what it confirms says so already
    said = make_private(fields.get(b"cache-control", b""))
    dropped = engine.freshness_fields - {b"expires"}
    kept = {name: value for name, value in fields.items() if name not in dropped}
    pairs = [*without(pairs, dropped), (b"cache-control", said)]
    return pairs, {**kept, b"cache-control": said}
