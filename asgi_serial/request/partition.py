"""Choose the cache partition of a user, and keep its responses private."""

from __future__ import annotations

import logging
from dataclasses import replace
from hashlib import blake2b
from inspect import iscoroutine
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from asgi_serial.cache.key import COOKIES, PARTITION
from asgi_serial.http.headers import read_fields, without
from asgi_serial.http.users import COOKIE, make_private, other_cookies, partition_values
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asgi_serial.cache.key import Extra
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.profiles import Profile, User
    from asgi_serial.settings.policy import RoutePolicy
    from asgi_serial.types import Fields, Scope


class MayBePersonal(Protocol):
    """The part of a request's plan that identifies its user."""

    @property
    def scope(self) -> Scope:
        """The scope of the request."""

    @property
    def profile(self) -> Profile:
        """The profile of the request."""

    @property
    def ignores_cookies(self) -> bool:
        """Whether its cookies are no credentials."""

    def credentials_but(self, lifted: frozenset[bytes] = frozenset()) -> frozenset[bytes]:
        """Return the kinds of credentials in the request, without the fields in `lifted`."""

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The combined values of all fields, by name."""


logger = logging.getLogger("asgi_serial")


def identify_user(engine: Engine, plan: MayBePersonal, policy: RoutePolicy | None) -> User:
    """Return the requesting user, as far as the policy names what identifies users.

    If the user cannot be identified safely, the cache is bypassed.
    """
    sources = None if policy is None else policy.cache_partition
    anybody = plan.profile.anybody
    if plan.ignores_cookies:
        anybody = plan.profile.without_cookies
    if sources is None:
        return anybody
    anybody = replace(anybody, source=sources)
    if callable(sources):
        return _identify_by_function(engine, plan, anybody, sources)
    return _identify_by_fields(engine, plan, anybody, sources)


def _identify_by_function(
    engine: Engine, plan: MayBePersonal, anybody: User, find_user: Callable[[Scope], str | None]
) -> User:
    try:
        user = name_user(find_user(plan.scope))
        digest = None if user is None else digest_partition(engine, user)
    except Exception:
        logger.exception("The function of cache_partition failed; the request bypasses the cache.")
        return replace(anybody, bypass=Reason.REQUEST_HAS_CREDENTIALS, is_personal=True)
    if digest is None:
        return anybody
    # The function has considered all fields, so none of them prevents storing.
    return _identified(plan, anybody, ((PARTITION, digest),), frozenset(plan.fields))


def name_user(found: object) -> str | None:
    """Return the user's name from the result of a partition function; None for nobody.

    Raises: TypeError for anything but a name or a number. The strings of other objects may be the
    same for two users: they show a class, or an address in memory that is used again.

    >>> name_user("ada"), name_user(7), name_user("")
    ('ada', '7', None)
    """
    if found is None or found is False or found == "":
        return None
    if not isinstance(found, str | int | UUID) or found is True:
        if iscoroutine(found):
            found.close()  # otherwise Python warns about a coroutine that was never awaited
        raise TypeError(
            f"The function of cache_partition has returned {found!r}; expected the user's name or "
            "number (str, int or UUID), or None for nobody."
        )
    return str(found)


def _identify_by_fields(
    engine: Engine, plan: MayBePersonal, anybody: User, sources: tuple[str, ...]
) -> User:
    names = frozenset(source.partition(":")[0].encode() for source in sources)
    if not plan.profile.strange.twins.isdisjoint(names):
        # Another spelling of the field may name another user, and the app may read that.
        return replace(anybody, bypass=Reason.REQUEST_HAS_CREDENTIALS, is_personal=True)
    fields = read_fields(plan.scope["headers"], names)
    values = partition_values(sources, fields)
    if values is None:
        return anybody
    parts: tuple[tuple[bytes, bytes], ...] = ((PARTITION, digest_partition(engine, values)),)
    named = {
        source.removeprefix(COOKIE).encode() for source in sources if source.startswith(COOKIE)
    }
    # A named cookie identifies the user, but the response may depend on the other cookies, too.
    cookies = fields.get(b"cookie", b"")
    if plan.profile.cookies is not None:
        cookies = plan.profile.cookies.without_ignored(cookies)
    others = b"" if "cookie" in sources else other_cookies(cookies, named)
    if others:
        parts = (*parts, (COOKIES, digest_partition(engine, [("cookie", others)])))
    return _identified(plan, anybody, parts, names)


def _identified(plan: MayBePersonal, anybody: User, parts: Extra, lifted: frozenset[bytes]) -> User:
    """Return the user of a partition; the fields that identify the user do not prevent storing."""
    return replace(
        anybody,
        credentials=plan.credentials_but(lifted),
        unknown=plan.profile.strange.unknown - lifted,
        partition=parts,
        is_personal=True,
    )


def digest_partition(engine: Engine, user: str | Iterable[tuple[str, bytes]]) -> bytes:
    """Return the name of a user's partition, a keyed digest that does not reveal the user."""
    named = [("", user.encode("utf-8", "surrogatepass"))] if isinstance(user, str) else user
    digest = blake2b(key=blake2b(engine.secret).digest(), digest_size=16)
    for name, value in sorted(named):
        digest.update(b"%d:%s%d:%s" % (len(name), name.encode(), len(value), value))
    return digest.hexdigest().encode()


def keep_private(
    engine: Engine, status: int, pairs: Fields, fields: dict[bytes, bytes]
) -> tuple[Fields, dict[bytes, bytes]]:
    """Return the fields of a user's response, changed so that no shared cache stores it."""
    if status == 304 and b"cache-control" not in fields:
        return pairs, fields  # the response that it validates is private already
    said = make_private(fields.get(b"cache-control", b""))
    dropped = engine.fields.freshness - {b"expires"}
    kept = {name: value for name, value in fields.items() if name not in dropped}
    pairs = [*without(pairs, dropped), (b"cache-control", said)]
    return pairs, {**kept, b"cache-control": said}
