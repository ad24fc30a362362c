"""Policies: options for single routes, from handlers and from path patterns.

A handler sets its policy by the decorator `serial` or by `set_policy`; the settings set policies by
path pattern. The handler's options take precedence over the pattern's, and those over the settings.
"""

import difflib
import functools
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias, TypedDict, TypeVar, Unpack, overload

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.errors import ConfigurationError
from asgi_serial.http.methods import METHODS
from asgi_serial.http.paths import is_plain, resolve_path
from asgi_serial.settings.foreign_names import POLICY_HINTS
from asgi_serial.settings.routed_handler import has_scope, is_routed_to, is_served_by
from asgi_serial.settings.values import (
    explain_unknown,
    explain_value,
    optional,
    parse_duration,
    parse_partition,
    parse_skip,
    parse_switch,
)
from asgi_serial.types import Scope

logger = logging.getLogger("asgi_serial")

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


Partition: TypeAlias = tuple[str, ...] | Callable[[Scope], str | None]


class RoutePolicy(NamedTuple):
    """The options of one route; None leaves an option to the next source in precedence."""

    compression: bool | None = None
    """Whether responses are compressed."""
    formats: bool | None = None
    """Whether the format of responses is negotiated; false also turns off request translation."""
    format_uploads: bool | None = None
    """Whether the route reads JSON, so that requests in other formats are translated for it."""
    decoding: bool | None = None
    """Whether the Content-Encoding of requests is decoded."""
    cache: bool | None = None
    """Whether responses are looked up in the cache and stored."""
    cache_ttl: float | None = None
    """The lifetime, in seconds, of responses that state none of their own."""
    cache_shared: bool | None = None
    """Whether responses to requests with credentials may be shared with everybody."""
    cache_body: bool | None = None
    """Whether requests with a body are cached, with the body as part of the key."""
    cache_partition: Partition | None = None
    """The identification of users, each of whom gets a cache partition.

    Field names and `cookie:<name>`, or a function that returns the user of a scope, or None.
    """
    skip: Callable[[Scope], bool] | None = None
    """A function of the scope that returns whether a request goes past the cache."""
    timing: bool | None = None
    """Whether requests are measured, and counted in the report."""


class PolicyOptions(TypedDict, total=False):
    """The options of a policy in the forms that users may write."""

    compression: bool | None
    formats: bool | None
    format_uploads: bool | None
    decoding: bool | None
    cache: bool | None
    cache_ttl: float | str | timedelta | None
    cache_shared: bool | None
    cache_body: bool | None
    cache_partition: Iterable[str] | str | Callable[[Scope], str | None] | None
    skip: Callable[[Scope], bool] | None
    timing: bool | None


_PARSERS: Mapping[str, Callable[[object], object]] = {
    name: optional(
        {
            "cache_ttl": parse_duration,
            "cache_partition": parse_partition,
            "skip": parse_skip,
        }.get(name, parse_switch)
    )
    for name in RoutePolicy._fields
}


def build_policy(options: Mapping[str, object]) -> RoutePolicy:
    """Return the policy with these options.

    >>> build_policy({"cache_ttl": "5m"}).cache_ttl
    300.0

    Raises: ConfigurationError, with a line for each fault.
    """
    values: dict[str, Any] = {}
    faults = []
    for name, value in options.items():
        parse = _PARSERS.get(name)
        if parse is None:
            faults.append(
                explain_unknown(name, _PARSERS, kind="a policy option", hints=POLICY_HINTS)
            )
            continue
        try:
            values[name] = parse(value)
        except ValueError as expected:
            faults.append(explain_value(name, value, expected))
    if faults:
        raise ConfigurationError("\n".join(faults))
    return RoutePolicy(**values)


def caching_options(policy: RoutePolicy) -> list[str]:
    """Return the options by which a policy asks something of the cache without turning it on.

    `cache_partition` is none of them: it marks responses as private without a cache, too.
    """
    if policy.cache:
        return []
    names = ("cache_ttl", "cache_shared", "cache_body", "skip")
    return [name for name in names if getattr(policy, name)]


def read_policy(options: Mapping[str, object]) -> RoutePolicy:
    """Return the policy that one user wrote at one place, whose options agree with each other.

    Raises: ConfigurationError, with a line for each fault.
    """
    policy = build_policy(options)
    faults = []
    if policy.cache is False:
        faults += [(name, "cache") for name in caching_options(policy)]
    if policy.formats is False and policy.format_uploads:
        faults.append(("format_uploads", "formats"))
    if faults:
        raise ConfigurationError(
            "\n".join(
                f"{name} is {options[name]!r}, although {switch} is off; remove one of them."
                for name, switch in faults
            )
        )
    return policy


def merge(higher: RoutePolicy | None, lower: RoutePolicy | None) -> RoutePolicy | None:
    """Return `higher` with its unset options taken from `lower`."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    return RoutePolicy._make(
        below if above is None else above for above, below in zip(higher, lower, strict=True)
    )


_SWITCHES = ("compression", "formats", "decoding", "cache", "cache_shared", "cache_body")


def is_permission(policy: RoutePolicy) -> bool:
    """Whether a policy permits something, rather than only restricting."""
    given = policy.cache_ttl is not None or policy.cache_partition is not None
    return given or any(getattr(policy, name) for name in _SWITCHES)


def is_early(policy: RoutePolicy) -> bool:
    """Whether a policy decides what a request is looked up by, or whether it is looked up."""
    return policy.cache_partition is not None or policy.skip is not None


def restrict(policies: Iterable[RoutePolicy], default_ttl: float | None) -> RoutePolicy | None:
    """Return the restrictions of all policies, without their permissions; None if there are none.

    A lifetime restricts only if it is shorter than `default_ttl`. A partition turns the cache off,
    because it is uncertain whether the responses belong to single users, and so does `skip`,
    because it is uncertain for which requests it decides.
    """
    policies = tuple(policies)
    values: dict[str, Any] = {
        name: False
        for name in (*_SWITCHES, "timing")
        if any(getattr(each, name) is False for each in policies)
    }
    if default_ttl is not None:
        shorter = [each.cache_ttl for each in policies if each.cache_ttl is not None]
        values["cache_ttl"] = min((ttl for ttl in shorter if ttl < default_ttl), default=None)
    of_users = [each.cache_partition for each in policies if each.cache_partition is not None]
    if of_users:
        values |= {"cache": False, "cache_partition": of_users[0]}
    if any(each.skip is not None for each in policies):
        values["cache"] = False
    restricted = RoutePolicy(**values)
    return None if restricted == _OPEN else restricted


_OPEN = RoutePolicy()


def within(inner: RoutePolicy, outer: RoutePolicy, default_ttl: float | None) -> RoutePolicy:
    """Return the outer policy, limited to the cache options that the inner one permits, too.

    The inner policy's partition takes precedence.
    """
    ttl = default_ttl if outer.cache_ttl is None else outer.cache_ttl
    if ttl is not None and inner.cache_ttl is not None:
        ttl = min(ttl, inner.cache_ttl)
    partition = inner.cache_partition or outer.cache_partition
    return outer._replace(
        cache_ttl=ttl,
        cache_shared=bool(outer.cache_shared and inner.cache_shared),
        cache_body=bool(outer.cache_body and inner.cache_body),
        cache_partition=partition,
    )


class RouteRule(NamedTuple):
    """A policy for the requests whose method and path match; made by `build_rule`."""

    pattern: str
    """The pattern as the user wrote it, such as `POST /search` or `/items/*`."""
    method: str | None
    path: re.Pattern[str]
    policy: RoutePolicy

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule applies to this request; a rule for GET also applies to HEAD."""
        # RFC 9110, 9.3.2: the server should send the same fields for HEAD as for GET.
        if self.method is not None and self.method != ("GET" if method == "HEAD" else method):
            return False
        return self.path.fullmatch(path) is not None


_RULE = re.compile(r"(?:([A-Za-z][A-Za-z-]*) +)?(/.*|\*\*)")
_WILDCARD = re.compile(r"(\*\*|\*|\{\w+\})")


def build_rule(pattern: str, policy: RoutePolicy) -> RouteRule:
    """Return a rule for the pattern `[METHOD ]path`.

    In the path, `*` matches a segment or a part of one, `{name}` the same but never the empty
    string, and `**` anything.

    >>> build_rule("GET /items/*", RoutePolicy()).matches("GET", "/items/7")
    True

    Raises: ConfigurationError.
    """
    written = _RULE.fullmatch(pattern.strip())
    path = _compile_path(written[2]) if written else None
    if written is None or path is None:
        raise ConfigurationError(
            f"[{pattern!r}] is not a route pattern; expected [METHOD ]/path, with * or {{name}} "
            "for a segment or a part of it, at most one in each, and ** for anything, at most once."
        )
    method = written[1].upper() if written[1] else None
    if method == "HEAD":
        # RFC 9110, 9.3.2: the server should send the same fields for HEAD as for GET.
        raise ConfigurationError(
            f"[{pattern!r}] would match no request, because a rule for GET also applies to HEAD; "
            "expected GET as the method."
        )
    if method is not None and method not in METHODS:
        nearest = difflib.get_close_matches(method, METHODS, n=1)
        expected = f"did you mean {nearest[0]}?" if nearest else "expected one such as GET or POST."
        raise ConfigurationError(
            f"[{pattern!r}] has the method {written[1]!r}, which is not one of HTTP; {expected} "
            "A pattern without a method applies to all of them."
        )
    if is_permission(policy) and not is_plain(_WILDCARD.sub("x", written[2])):
        raise ConfigurationError(
            f"[{pattern!r}] permits something, but would match no request; expected a path without "
            "dot segments, //, backslashes, semicolons and percent-encoding."
        )
    return RouteRule(pattern, method, path, policy)


def is_on_somewhere(switch: str, *, by_default: bool, rules: Iterable[RouteRule]) -> bool:
    """Whether a part is on for all routes, or a rule turns it on for some."""
    return by_default or any(getattr(rule.policy, switch) for rule in rules)


def covers(rule: RouteRule, other: RouteRule) -> bool:
    """Whether `rule` matches every request that `other` matches.

    >>> covers(build_rule("/a/**", RoutePolicy()), build_rule("GET /a/{name}", RoutePolicy()))
    True
    """
    if rule.method not in (None, other.method):
        return False
    path = other.pattern.strip().rpartition(" ")[2]
    # A wildcard of `other` stands for anything if those of `rule` take its place: it is empty, or
    # made of a character that no pattern has, or has more segments than `rule` spells out.
    segment = "\0"
    segments = "\0/" * (rule.pattern.count("/") + 2) + "\0"
    fillings = [("", segment, ""), (segment, segment, segment), (segment, segment, segments)]
    return all(
        rule.path.fullmatch(
            _WILDCARD.sub(
                lambda found: {"*": one, "**": many}.get(found[0], named),  # noqa: B023
                path,
            )
        )
        for one, named, many in fillings
    )


def _compile_path(path: str) -> re.Pattern[str] | None:
    """Return the expression for `path`; None if it is not a pattern, or not one of linear cost.

    With two wildcards in one segment, or two `**`, the expression would try every length of one
    for every length of the other: a long path from a client would take quadratic time.
    """
    pieces = _WILDCARD.split(path)
    literals, wildcards = pieces[::2], pieces[1::2]
    crowded = any(len(_WILDCARD.findall(segment)) > 1 for segment in path.split("/"))
    if crowded or wildcards.count("**") > 1 or any("{" in text or "}" in text for text in literals):
        return None
    expression = {"**": ".*", "*": "[^/]*"}
    for index, text in enumerate(pieces):
        pieces[index] = expression.get(text, "[^/]+") if index % 2 else re.escape(text)
    return re.compile("".join(pieces), re.DOTALL)


class PolicyTable:
    """Finds the policy of a request: that of the first rule that matches.

    A path that a server may read as another one (`/static/..%2faccount`) gets no permissions, but
    the restrictions of every rule that matches it or the path that it may be read as. A path that
    ends with a slash also gets the restrictions of the path without it. `cache_ttl` is the default
    lifetime.

    Results are kept in a bounded memory, which no client can fill with paths of its own.
    """

    def __init__(
        self,
        rules: Iterable[RouteRule],
        *,
        cache_ttl: float | None = None,
    ) -> None:
        self._rules = tuple(rules)
        self._cache_ttl = cache_ttl
        self._found: BoundedDict[tuple[str, str, bytes | None], RoutePolicy | None]
        self._found = BoundedDict(shares_values=True)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def find(self, method: str, path: str, raw_path: bytes | None = None) -> RoutePolicy | None:
        """Return the policy for `method` (upper case) and `path` (decoded), or None.

        `raw_path` is the whole path as sent, if known.
        """
        key = (method, path, raw_path)
        try:
            return self._found[key]
        except KeyError:
            return self._search(method, path, raw_path)

    def _search(self, method: str, path: str, raw_path: bytes | None) -> RoutePolicy | None:
        if is_plain(path, raw_path):
            policy = self._first(method, path)
            bare = path.rstrip("/")
            if bare and bare != path:
                # Litestar routes both paths to the same handler.
                policy = self._limit(policy, self._first(method, bare))
        else:
            resolved = resolve_path(path)
            taken_for = (path, resolved, resolved.rstrip("/") or "/")
            policy = restrict(
                (
                    rule.policy
                    for rule in self._rules
                    if any(rule.matches(method, other) for other in taken_for)
                ),
                self._cache_ttl,
            )
        self._found.keep((method, path, raw_path), policy)
        return policy

    def _first(self, method: str, path: str) -> RoutePolicy | None:
        return next((rule.policy for rule in self._rules if rule.matches(method, path)), None)

    def _limit(self, policy: RoutePolicy | None, other: RoutePolicy | None) -> RoutePolicy | None:
        """Return `policy` with the restrictions of `other`, whose path the app may read instead."""
        if other is None or other is policy:
            return policy
        known = policy or _OPEN
        if other.cache_partition == known.cache_partition:
            other = other._replace(cache_partition=None)
        ttl = self._cache_ttl if known.cache_ttl is None else known.cache_ttl
        return merge(restrict((other,), ttl), policy)


_NO_SCOPE: Scope = {}  # never changed


class RequestPolicy:
    """The policies that apply to one request so far; shared by the threads that serve it."""

    __slots__ = ("__dict__",)  # subclasses may have slots for some of these

    # Defaults on the class: most requests never set any of these, and assigning them costs time.
    has_policy = False
    """Whether any policy has been added."""
    inner_policies: tuple[RoutePolicy, ...] = ()
    """The path policies of engines further in, each of which limits the one here."""
    app_scope: Scope = _NO_SCOPE
    """The scope that the app was called with, in which its framework may name the handler."""
    handler_policy: RoutePolicy | None = None
    """The policy of the handler that the request was routed to."""
    app_policies: tuple[RoutePolicy, ...] = ()
    """The policies of ASGI apps that have been called with the scope and not returned yet."""
    other_policies: tuple[RoutePolicy, ...] = ()
    """The policies of other functions, whose restrictions apply, but not their permissions."""
    has_ignored_permission = False
    """Whether `others` contains a permission, which was ignored."""

    def add_policy(self, policy: RoutePolicy, *, may_permit: bool) -> None:
        """Add a policy; its permissions count if `may_permit`, as for that of the handler."""
        self.has_policy = True
        if may_permit:
            self.handler_policy = merge(policy, self.handler_policy)
        elif policy not in self.other_policies:
            self.other_policies = (*self.other_policies, policy)
            self.has_ignored_permission = self.has_ignored_permission or is_permission(policy)

    def add_inner_policy(self, below: RoutePolicy, forbidden: RoutePolicy) -> None:
        """Add an inner engine's policy for the path, and its restrictions."""
        self.add_policy(forbidden, may_permit=False)
        if below not in self.inner_policies:
            self.inner_policies = (*self.inner_policies, below)

    @property
    def own_policies(self) -> tuple[RoutePolicy, ...]:
        """The policies of the handler, and of the apps that have been called on the way to it."""
        own = self.handler_policy
        return self.app_policies if own is None else (own, *self.app_policies)

    def resolve(self, below: RoutePolicy | None, default_ttl: float | None) -> RoutePolicy | None:
        """Return the policy of the response, given that of the path, `below`.

        The handler takes precedence over the path. The restrictions of others apply to both.
        """
        for inner in self.inner_policies:
            below = within(inner, below or _OPEN, default_ttl)
        policy = merge(self.handler_policy, below)
        for app_policy in self.app_policies:
            policy = merge(app_policy, policy)
        if not self.other_policies:
            return policy
        known = policy or _OPEN
        ttl = default_ttl if known.cache_ttl is None else known.cache_ttl
        forbidden = restrict(
            (
                each._replace(cache_partition=None)
                if each.cache_partition == known.cache_partition
                else each
                for each in self.other_policies
            ),
            ttl,
        )
        return merge(forbidden, policy)


HANDLER_SWITCHES: set[str] = set()
"""The parts that some handler of this process turns on, although the settings may not; `timing` if
one turns it off, which must be heard even if nothing else is on."""

HANDLER_OPTIONS: set[str] = set()
"""The options that some handler of this process sets; if there are any, decisions that depend on
them wait for the start of the response."""

CURRENT: ContextVar[RequestPolicy | None] = ContextVar("asgi_serial_policy", default=None)
"""The policies of the current request, from its start to that of the response."""


@overload
def serial(handler: _Handler, /) -> _Handler: ...


@overload
def serial(**options: Unpack[PolicyOptions]) -> Callable[[_Handler], _Handler]: ...


def serial(handler: Any = None, /, **options: Unpack[PolicyOptions]) -> Any:
    """Return a decorator that sets the policy of a handler, in every framework.

    Put it directly above the function, below the decorator that routes to it. The policy of the
    function that the request was routed to takes precedence. Other decorated functions that are
    called can only restrict the cache, not permit anything. Without parentheses it sets nothing.

    >>> @serial(cache_ttl="5m", compression=False)
    ... async def handler(request): ...

    Raises: ConfigurationError, when decorating.
    """
    if handler is not None and not callable(handler):
        raise ConfigurationError(
            f"serial() is given {handler!r} without a name; expected options by name, such as "
            "serial(cache_ttl='60s')."
        )
    policy = _build_handler_policy(options)

    def decorate(handler: Any) -> Any:
        wrapper = _wrap(handler, policy)
        setattr(wrapper, _POLICY, policy)
        decorations = DECORATIONS.get()
        if decorations is not None:
            decorations.append(Decoration(handler, wrapper, policy))
        return wrapper

    return decorate if handler is None else decorate(handler)


_POLICY = "__asgi_serial_policy__"
_MAX_DECORATORS = 16


def policy_of(handler: object) -> RoutePolicy | None:
    """Return the policy of the decorators around a function, the outermost first; or None."""
    policy: RoutePolicy | None = None
    for _ in range(_MAX_DECORATORS):
        policy = merge(policy, getattr(handler, _POLICY, None))
        handler = getattr(handler, "__wrapped__", None)
        if handler is None:
            break
    return policy


def set_policy(**options: Unpack[PolicyOptions]) -> None:
    """Set the policy of the current request from within the handler, before the response starts.

    Outside a request it does nothing. It can only restrict, not permit, if the calling code is not
    known to serve this very request (rather than, say, a request made while serving it).

    Raises: ConfigurationError.
    """
    policy = _build_handler_policy(options)
    current = CURRENT.get()
    if current is not None:
        may_permit = not is_permission(policy) or is_served_by(current.app_scope, sys._getframe(1))
        current.add_policy(policy, may_permit=may_permit)
        if not may_permit:
            logger.debug(_IGNORED, "set_policy()", policy)


def _build_handler_policy(options: PolicyOptions) -> RoutePolicy:
    for name, done in (("decoding", "decoded"), ("format_uploads", "translated")):
        if name in options:
            raise ConfigurationError(
                f"{name} cannot be set by a handler, because its request is {done} before the "
                "handler is called; set it in the setting `routes`."
            )
    policy = read_policy(options)
    HANDLER_OPTIONS.update(name for name in policy._fields if getattr(policy, name) is not None)
    HANDLER_SWITCHES.update(name for name in ("compression", "formats") if getattr(policy, name))
    if policy.timing is False:
        HANDLER_SWITCHES.add("timing")
    return policy


_IGNORED = (
    "The permissions of %s were ignored, because it is not known to be the handler to which the "
    "request was routed. Use functools.wraps in the decorators above it, or set the policy in the "
    "setting `routes`: %r"
)


class Decoration(NamedTuple):
    """A function that `serial` has decorated, and what it was given back as."""

    function: Any
    wrapper: Any
    policy: RoutePolicy


DECORATIONS: ContextVar[list[Decoration] | None] = ContextVar(
    "asgi_serial_decorations", default=None
)
"""A list that takes each decoration, for those who look for ones without effect."""


def _add_policy_of(policy: RoutePolicy, function: Any, args: tuple[Any, ...]) -> None:
    """Add the policy of a function that the caller of our caller has called with `args`."""
    current = CURRENT.get()
    if current is None:
        return
    scope = current.app_scope
    may_permit = scope.get("endpoint") is function or is_routed_to(
        function, scope, args, sys._getframe(1).f_back
    )
    current.add_policy(policy, may_permit=may_permit)
    if not may_permit and is_permission(policy):
        logger.debug(_IGNORED, function, policy)


def _wrap(handler: Any, policy: RoutePolicy) -> Any:
    """Wrap `handler` in a function of the same kind, since frameworks ask for it before a call."""
    wrapper: Any
    is_function = inspect.isroutine(handler) or isinstance(handler, functools.partial)
    if not is_function or isinstance(handler, staticmethod | classmethod):
        raise ConfigurationError(
            f"serial() decorates {handler!r}; expected a function. "
            "Put it below the framework's own decorator, or on the methods of a class."
        )
    if inspect.iscoroutinefunction(handler):

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            current = CURRENT.get()
            if current is None or not has_scope(args, current.app_scope):
                _add_policy_of(policy, wrapper, args)
                return await handler(*args, **kwargs)
            # An ASGI app. Its policy applies only until it returns: if no response has started by
            # then, the response is not its own.
            current.has_policy = True
            current.app_policies = (*current.app_policies, policy)
            try:
                return await handler(*args, **kwargs)
            finally:
                # Not necessarily the last one: apps called meanwhile may return later.
                policies = current.app_policies
                place = policies.index(policy)
                current.app_policies = policies[:place] + policies[place + 1 :]

    elif inspect.isasyncgenfunction(handler):

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            _add_policy_of(policy, wrapper, args)
            async with aclosing(handler(*args, **kwargs)) as items:
                async for item in items:
                    yield item

    elif inspect.isgeneratorfunction(handler):

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            _add_policy_of(policy, wrapper, args)
            return (yield from handler(*args, **kwargs))

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            _add_policy_of(policy, wrapper, args)
            return handler(*args, **kwargs)

    return functools.wraps(handler)(wrapper)
