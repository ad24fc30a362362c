"""The memory of what responses have taught: policies of handlers, and apps without conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from asgi_serial.bounds.memo import BoundedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asgi_serial.cache.entry import Key
    from asgi_serial.settings.policy import RoutePolicy
    from asgi_serial.types import Scope

RouteKey: TypeAlias = tuple[str | bytes | None, ...]
"""The method, scheme, host and path of a request, and the fields it is routed by."""

MAX_LEARNED = 1024
UNCONDITIONAL_SECONDS = 600.0


class Learned:
    """Policies that handlers have said, by route, and resources whose app ignores conditions.

    `has_partitions` says whether any response may be one user's own.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        key_fields: tuple[bytes, ...],
        *,
        has_partitions: bool,
    ) -> None:
        self._clock = clock
        self._key_fields = key_fields
        self.has_partitions = has_partitions
        self.policies: BoundedDict[RouteKey, RoutePolicy] = BoundedDict(shares_values=True)
        self._unconditional: dict[int, float] = {}
        self.has_unconditional = False  # any app was seen to ignore conditions

    def ignores_conditions(self, key: Key) -> bool:
        """Whether the app was seen to answer 200 where 304 was to be expected."""
        return self._unconditional.get(hash(key), 0.0) > self._clock()

    def note_unconditional(self, key: Key) -> None:
        """Send the app no conditions about this resource for a while."""
        if len(self._unconditional) >= MAX_LEARNED:
            self._unconditional.clear()
        self.has_unconditional = True
        self._unconditional[hash(key)] = self._clock() + UNCONDITIONAL_SECONDS

    def learn(self, scope: Scope, fields: Mapping[bytes, bytes], policy: RoutePolicy) -> None:
        """Remember a handler's policy, by which the next requests of its route are looked up.

        A response is stored by what its own handler says: where nothing was learned, or what was
        is not true any more, there are misses.
        """
        if policy.cache_partition is not None:
            self.has_partitions = True
        self.policies.keep(self.route_key(scope, fields), policy)

    def find_policy(self, scope: Scope, fields: Mapping[bytes, bytes]) -> RoutePolicy | None:
        """Return the policy that the handler of the request's route has last said."""
        return self.policies.get(self.route_key(scope, fields))

    def route_key(self, scope: Scope, fields: Mapping[bytes, bytes]) -> RouteKey:
        """Return all that requests are usually routed by."""
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
