"""Remember the policies of handlers, and resources that ignore conditions, from past responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.settings.policy import is_early

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asgi_serial.cache.entry import Key
    from asgi_serial.settings.policy import RoutePolicy
    from asgi_serial.types import Scope

RouteKey: TypeAlias = tuple[str | bytes | None, ...]
"""The method, scheme, host and path of a request, and the fields by which it is routed."""

MAX_LEARNED = 1024
UNCONDITIONAL_SECONDS = 600.0


class Learned:
    """The policies of handlers, by route, and the resources that ignore conditions.

    `decides_early` is true if any policy is needed before the lookup: it names users, or has a
    function that decides which requests go past the cache.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        key_fields: tuple[bytes, ...],
        *,
        decides_early: bool,
    ) -> None:
        self._clock = clock
        self._key_fields = key_fields
        self.decides_early = decides_early
        self.policies: BoundedDict[RouteKey, RoutePolicy] = BoundedDict(shares_values=True)
        self._unconditional: dict[int, float] = {}
        self.has_unconditional = False  # some resource has ignored conditions

    def ignores_conditions(self, key: Key) -> bool:
        """Whether the app recently answered 200 for this resource where it could answer 304."""
        return self._unconditional.get(hash(key), 0.0) > self._clock()

    def note_unconditional(self, key: Key) -> None:
        """Stop sending the app conditions for this resource for a while."""
        if len(self._unconditional) >= MAX_LEARNED:
            self._unconditional.clear()
        self.has_unconditional = True
        self._unconditional[hash(key)] = self._clock() + UNCONDITIONAL_SECONDS

    def learn(self, scope: Scope, fields: Mapping[bytes, bytes], policy: RoutePolicy) -> None:
        """Remember a handler's policy for the look-ups of further requests to its route.

        Storing always follows the policy of the response's own handler. So a missing or outdated
        policy here only causes misses.
        """
        if is_early(policy):
            self.decides_early = True
        self.policies.keep(self.route_key(scope, fields), policy)

    def find_policy(self, scope: Scope, fields: Mapping[bytes, bytes]) -> RoutePolicy | None:
        """Return the last policy of the handler of the request's route."""
        return self.policies.get(self.route_key(scope, fields))

    def route_key(self, scope: Scope, fields: Mapping[bytes, bytes]) -> RouteKey:
        """Return everything by which requests are usually routed."""
        return (
            "GET" if scope["method"] == "HEAD" else scope["method"],
            scope.get("scheme"),
            fields.get(b"host", b"").lower(),
            fields.get(b"x-forwarded-proto"),
            scope.get("root_path"),
            scope["path"],
            scope.get("raw_path"),
            *[fields.get(name) for name in self._key_fields],
        )
