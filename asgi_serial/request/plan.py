"""The plan of a request: decisions made once, from values that were read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

from asgi_serial.cache.key import (
    CODED_ONLY,
    KEYED_COOKIES,
    BodyPart,
    Extra,
    as_bytes,
    make_key,
    sorted_query,
)
from asgi_serial.engine.profiles import BODY_METHODS, find_credentials
from asgi_serial.formats.registry import JSON
from asgi_serial.http.headers import content_length, read_fields
from asgi_serial.http.vary import vary_values
from asgi_serial.reasons import Reason
from asgi_serial.request.forward import FORWARD_MISS
from asgi_serial.request.partition import identify_user
from asgi_serial.request.skip import ask_to_skip
from asgi_serial.settings.policy import HANDLER_SWITCHES, merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.entry import Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import Wants
    from asgi_serial.engine.profiles import Lines, Profile, User
    from asgi_serial.request.forward import Forward
    from asgi_serial.settings.policy import PolicyTable, RoutePolicy
    from asgi_serial.types import Scope

METHOD_NOT_CACHED = Reason.METHOD_NOT_CACHED
_MARK = ord("?")  # an integer is sought in a tenth of the time of a string of one byte


class Changes(TypedDict, total=False):
    """The attributes that differ in a plan that is made from another one."""

    policy: RoutePolicy | None
    own_policies: tuple[RoutePolicy, ...]
    user: User
    bypass: Reason | None
    key: Key | None
    skip: Callable[[Scope], bool] | None
    guard: Extra
    forward: Forward
    asked: float
    content_codings: tuple[str, ...]
    body_format: str
    is_normalized: bool
    hides_query: bool
    ignores_cookies: bool


class RequestPlan:
    """The plan of one request and, as far as it determines it, of the response.

    Nobody changes a plan that `plan_request` has returned. A stage that learns more (it has read
    the body, has looked the request up, has heard the handler's policy) returns another plan, which
    `with_` makes, and later stages are given that one.
    """

    # Most requests set these. A slot is read in a tenth of the time of a default on the class.
    __slots__ = (
        "__dict__",
        "_are_cookies_harmless",
        "_cookies_that_count",
        "_fields",
        "asked",
        "bypass",
        "caching",
        "forward",
        "key",
        "lines",
        "may_end_early",
        "method",
        "policy",
        "profile",
        "scope",
        "shown_query",
        "user",
        "wants",
    )

    scope: Scope  # the request as it arrived: see `keep_scope`
    lines: Lines
    profile: Profile
    wants: Wants
    method: str
    user: User
    policy: RoutePolicy | None  # that of the path, then that of the response
    caching: bool  # the cache takes part on this route
    asked: float  # when the request arrived, or went to the app after a wait; in epoch seconds
    bypass: Reason | None  # why the cache is bypassed by this request
    key: Key | None
    may_end_early: bool  # it may be rejected before the cache is searched
    shown_query: bytes | None  # its query in the key, if some parameters are ignored
    forward: Forward  # the result of the lookup, if it goes to the app
    _fields: dict[bytes, bytes] | None
    _cookies_that_count: bytes | None
    _are_cookies_harmless: bool | None

    # The others have their default here.
    content_codings: tuple[str, ...] = ()  # of the request's body, to be decoded
    undecoded: tuple[Reason, ...] = ()  # why the body is passed to the app as it was sent
    body_format = ""  # the request body's format, if it has to be translated to JSON
    reads_json = False  # the app is known to read only JSON
    keys_on_body = False  # the key depends on the request's body
    may_key_on_body = False  # it would, if the handler asked for it
    path_policy: RoutePolicy | None = None
    own_policies: tuple[RoutePolicy, ...] = ()  # of the handler, and of the apps around it
    ignores_cookies = False  # it has no cookies but such as are ignored, or in the key
    hides_query = False  # the app sees `shown_query`, and not those parameters
    is_normalized = False  # the app sees the chosen values of fields, not those that were sent
    skip: Callable[[Scope], bool] | None = None  # has been asked whether it bypasses the cache
    guard: Extra = ()  # the part of the key that says so, if the function is a handler's

    def __init__(self, scope: Scope, lines: Lines, profile: Profile) -> None:
        self.scope = scope
        self.lines = lines
        self.profile = profile
        self._fields = self._cookies_that_count = self._are_cookies_harmless = None
        self.policy = self.key = self.bypass = self.shown_query = None
        self.forward = FORWARD_MISS
        self.caching = self.may_end_early = False
        self.asked = 0.0
        self.method = profile.method
        self.wants = profile.wants
        self.user = profile.anybody

    def with_(self, **changes: Unpack[Changes]) -> RequestPlan:
        """Return the same plan, but for these attributes."""
        plan = _new(RequestPlan)
        # A loop over the names takes three times as long.
        plan.scope = self.scope
        plan.lines = self.lines
        plan.profile = self.profile
        plan.wants = self.wants
        plan.method = self.method
        plan.user = self.user
        plan.policy = self.policy
        plan.key = self.key
        plan.bypass = self.bypass
        plan.shown_query = self.shown_query
        plan.forward = self.forward
        plan.caching = self.caching
        plan.may_end_early = self.may_end_early
        plan.asked = self.asked
        plan._fields = self._fields
        plan._cookies_that_count = self._cookies_that_count
        plan._are_cookies_harmless = self._are_cookies_harmless
        plan.__dict__.update(self.__dict__)
        for name, value in changes.items():
            setattr(plan, name, value)
        return plan

    def keep_scope(self) -> None:
        """Keep the request as it is now: its scope goes to the app, which may change it.

        Everything here says the same as before, but from a copy.
        """
        scope = self.scope
        # The `copy` method of a plain dict takes half the time of `dict()`.
        kept = self.scope = scope.copy() if type(scope) is dict else dict(scope)
        kept["headers"] = [*scope["headers"]]

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The combined values of all fields, by name."""
        fields = self._fields
        if fields is None:
            try:
                fields = dict(self.lines)
            except TypeError:  # a name is another kind of buffer, which cannot be hashed
                fields = {bytes(name): value for name, value in self.lines}
            if self.ignores_cookies:
                self._reduce_cookies(fields)
            self._fields = fields
        return fields

    def value_of(self, name: bytes) -> bytes | None:
        """Return the combined value of one field; None if it is missing."""
        place = self.profile.places.get(name)
        return None if place is None else self.lines[place][1]

    def chosen_value_of(self, name: bytes) -> bytes | None:
        """Return the value by which requests are compared: the chosen one, if one is chosen."""
        choices, value = self.profile.choices, self.value_of(name)
        return value if choices is None or name not in choices else choices[name][value]

    def vary_values(self, names: tuple[bytes, ...]) -> tuple[tuple[bytes, bytes | None], ...]:
        """Return the fields that a response varies on, with their values in this request."""
        if not names:
            return ()
        fields = read_fields(self.scope["headers"], frozenset(names))
        if b"cookie" in fields:
            # The app sees no other cookies, so its response depends on no other.
            shown = self.shown_cookies(fields.pop(b"cookie"))
            if shown:
                fields[b"cookie"] = b"\n".join(shown)
        if self.profile.choices is not None:
            for name in self.profile.choices.keys() & names:
                fields[name] = self.profile.choices[name][fields.get(name)]
        return tuple(zip(names, vary_values(names, fields), strict=True))

    @property
    def cookies_that_count(self) -> bytes:
        """The combined value of the Cookie lines without the ignored cookies."""
        value = self._cookies_that_count
        if value is None:
            profile = self.profile
            value = self.lines[profile.places[b"cookie"]][1]
            if profile.cookies is not None:
                value = profile.cookies.without_ignored(value)
            self._cookies_that_count = value
        return value

    @property
    def are_cookies_harmless(self) -> bool:
        """Whether it has cookies, and each of them is ignored or in the key.

        That is found out only if it matters: most stored responses are for requests with cookies.
        """
        known = self._are_cookies_harmless
        if known is None:
            profile = self.profile
            cookies = profile.cookies
            known = (
                cookies is not None
                and (cookies.has_keyed or not self.cookies_that_count)
                and cookies.are_harmless(self.lines[profile.places[b"cookie"]][1]) is not None
            )
            self._are_cookies_harmless = known
        return known

    def without_ignored_cookies(self) -> RequestPlan:
        """Return a plan in which cookies, which are harmless, are no credentials."""
        if self.ignores_cookies:
            return self
        plan = self.with_(ignores_cookies=True, user=self.profile.without_cookies)
        plan._fields = None
        return plan

    def credentials_but(self, lifted: frozenset[bytes] = frozenset()) -> frozenset[bytes]:
        """Return the kinds of credentials in the request, without the fields in `lifted`."""
        if self.ignores_cookies:
            lifted |= {b"cookie"}
        return find_credentials(self.fields, self.profile.strange, lifted)[0]

    def shown_cookies(self, value: bytes) -> list[bytes]:
        """Return the Cookie lines that the app sees; `value` combines those of the request.

        RFC 6265, 5.4: a client sends one. If there are more, an app may read only the first or the
        last of them.
        """
        kept = self.cookies_that_count
        if kept != value:
            return [kept] if kept else []
        return [bytes(line) for name, line in self.scope["headers"] if name == b"cookie"]

    @property
    def has_ignored_cookies(self) -> bool:
        """Whether it is a GET or HEAD with cookies that are ignored."""
        if self.profile.cookies is None:
            return False
        return self.cookies_that_count != self.value_of(b"cookie")

    def _reduce_cookies(self, fields: dict[bytes, bytes]) -> None:
        """Leave only those cookies in these fields that the app sees."""
        del fields[b"cookie"]
        if self.cookies_that_count:
            fields[b"cookie"] = self.cookies_that_count

    @property
    def chosen(self) -> dict[bytes, bytes]:
        """The values chosen for fields that were sent with another value, or not at all."""
        choices = self.profile.choices or {}
        chosen = {name: choose[self.value_of(name)] for name, choose in choices.items()}
        return {name: value for name, value in chosen.items() if value != self.value_of(name)}

    def hide_ignored(self) -> RequestPlan:
        """Return a plan that hides what is not in the key, if the response may be stored.

        That is parameters of the query, and values of fields. A request with credentials shows them
        all. Its response is stored only if a setting shares it, or if the app is asked about a
        stored one, which it was asked for in the same way.
        """
        policy, bypass = self.policy, self.bypass
        is_shared = policy is not None and bool(policy.cache_shared)
        is_asked_for = self.forward.stored is not None or self.forward.completes is not None
        is_personal = self.user.credentials and not (is_shared or is_asked_for)
        if is_personal and (self.shown_query is not None or self.chosen):
            bypass = bypass or Reason.REQUEST_HAS_CREDENTIALS
        hides = self.key is not None and bypass is None
        hides_query = hides and self.shown_query is not None
        return self.with_(bypass=bypass, is_normalized=hides, hides_query=hides_query)

    @property
    def differs_from_key(self) -> bool:
        """Whether the app saw other values than those by which the response would be found."""
        return self.profile.choices is not None and not self.is_normalized and bool(self.chosen)

    @property
    def wants_stored_only(self) -> bool:
        """Whether only a stored response will do (RFC 9111, 5.2.1.7: only-if-cached)."""
        return self.profile.only_if_cached and self.caching


_new = object.__new__


def plan_request(
    engine: Engine,
    scope: Scope,
    fields: dict[bytes, bytes] | None = None,
    *,
    wants: Wants | None = None,
) -> RequestPlan:
    """Plan a request from its head; never raise, whatever it contains.

    `fields` and `wants` replace the request's own, for a request made on its behalf.
    """
    if fields is None:
        # If no field decides anything, unless a handler enables a feature, none is read.
        is_idle = engine.is_idle and not HANDLER_SWITCHES
        profiles = engine.profiles
        lines, profile = profiles.idle(scope["method"]) if is_idle else profiles.read(scope)
    else:
        lines = tuple(fields.items())
        profile = engine.profiles.find(scope["method"], lines)
    plan = RequestPlan(scope, lines, profile)
    if wants is not None:
        plan.wants = wants
    policy = None
    if engine.policies is not None:
        policy = plan.policy = plan.path_policy = find_policy(engine.policies, scope)
        if policy is not None:
            plan.wants = find_wants(engine, plan)
    if profile.describes_body:
        _plan_body(engine, plan)
    if engine.caching if policy is None or policy.cache is None else policy.cache:
        plan.caching = True
        plan.asked = engine.clock()
        query: bytes = scope.get("query_string", b"")
        target = scope
        if query and engine.shown_queries is not None:
            target, shown = keyed_target(engine, scope, query)
            if shown is not query:
                plan.shown_query = query = shown
        if (
            profile.has_usual_key
            and plan.wants is profile.wants
            and not engine.learned.decides_early
        ):
            plan.key = make_key(engine.realm, target, profile, lines, query)
        else:
            if plan.are_cookies_harmless:
                plan = plan.without_ignored_cookies()
            _plan_lookup(engine, plan)
    return plan


def keyed_target(engine: Engine, scope: Scope, query: bytes) -> tuple[Scope, bytes]:
    """Return the scope and the query for a key: the given ones, if no parameter is ignored."""
    shown = engine.fields.shown_query(query)
    if shown is not query and _MARK in as_bytes(scope.get("raw_path")):
        scope = {**scope, **target_with(scope, shown)}
    return scope, shown


def target_with(scope: Scope, query: bytes) -> dict[str, bytes]:
    """Return the items of a scope that hold its query, with another query in them.

    Some servers leave the query in `raw_path`.
    """
    path, mark, _ = as_bytes(scope.get("raw_path")).partition(b"?")
    target = {"query_string": query}
    if mark:
        target["raw_path"] = path + mark + query if query else path
    return target


def _plan_lookup(engine: Engine, plan: RequestPlan) -> None:
    """Decide whether the request may be answered from the cache, and by which key."""
    profile, bypass = plan.profile, plan.profile.bypass
    if engine.learned.decides_early:
        policy = merge(engine.learned.find_policy(plan.scope, plan.fields), plan.policy)
        plan.user = identify_user(engine, plan, policy)
        bypass = plan.user.bypass or bypass
        asked = None if bypass is not None else ask_to_skip(engine, plan, policy)
        if asked is not None:
            plan.skip, bypass, plan.guard = asked
    if bypass is not None:
        plan.bypass = bypass
        plan.may_end_early = plan.may_end_early or profile.only_if_cached
    elif profile.method in BODY_METHODS:
        _plan_body_key(engine, plan)
    else:
        plan.key = request_key(engine, plan, None)


def find_policy(policies: PolicyTable, scope: Scope) -> RoutePolicy | None:
    """Return the policy of a path below the app's root, or of the path as it was sent."""
    method, path, root = scope["method"], scope["path"], scope.get("root_path", "")
    raw_path = scope.get("raw_path")
    if root and path.startswith(root):
        policy = policies.find(method, path[len(root) :], raw_path)
        if policy is not None:
            return policy
    return policies.find(method, path, raw_path)


def find_wants(engine: Engine, plan: RequestPlan) -> Wants:
    """Return what the client wants, under the policy of the route so far."""
    fields, policy, directives = plan.fields, plan.policy, plan.profile.directives
    if policy is None or (policy.compression is None and policy.formats is None):
        return plan.profile.wants
    accepted = fields.get(b"accept"), fields.get(b"accept-encoding")
    # RFC 9111, 5.2.1.6: the client asks intermediaries not to transform the content.
    forbids = directives is not None and directives.no_transform
    compression = choose(policy.compression, engine.settings.compression)
    formats = choose(policy.formats, engine.settings.formats)
    return engine.negotiator.read_wants(compression, formats, accepted, forbids=forbids)


def choose(*said: bool | None) -> bool:
    """Return the first value that is not None; the last one never is."""
    return next((word for word in said if word is not None), False)


def _plan_body(engine: Engine, plan: RequestPlan) -> None:
    fields, policy = plan.fields, plan.policy
    encoded = b"content-encoding" in fields
    decoding = engine.settings.decoding
    if policy is not None:
        decoding = choose(policy.decoding, decoding)
    if encoded and decoding:
        plan.content_codings = engine.negotiator.content_codings[fields[b"content-encoding"]]
    elif encoded:
        plan.undecoded = (Reason.DECODING_TURNED_OFF,)
    # A body that stays encoded cannot be parsed.
    is_readable = plan.wants.formats and b"content-type" in fields and (decoding or not encoded)
    if is_readable:
        format = engine.negotiator.types[fields[b"content-type"]].format
        if format not in ("", JSON):
            _plan_translation(engine, plan, format)
    plan.may_end_early = bool(plan.content_codings or plan.body_format)


def _plan_translation(engine: Engine, plan: RequestPlan, format: str) -> None:
    """Decide whether a body in this format is translated to JSON: an app may read the format."""
    said = None if plan.policy is None else plan.policy.format_uploads
    uploads = engine.settings.format_uploads if said is None else said
    if uploads is not False:
        plan.reads_json = said is True or engine.reads_json(plan.scope)
        if plan.reads_json or uploads is True:
            plan.body_format = format
            return
    plan.undecoded = (Reason.UPLOAD_NOT_TRANSLATED,)


def _plan_body_key(engine: Engine, plan: RequestPlan) -> None:
    policy = merge(engine.learned.find_policy(plan.scope, plan.fields), plan.policy)
    length = content_length(plan.fields)
    if length is not None and length > engine.settings.cache_max_key_body:
        plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
    elif policy is not None and policy.cache_body:
        plan.keys_on_body = plan.may_end_early = True
    else:
        # The handler may still ask for it when its response starts, so the body is kept until then.
        plan.may_key_on_body = policy is None or policy.cache_body is None
        plan.bypass = METHOD_NOT_CACHED


def request_key(
    engine: Engine,
    plan: RequestPlan,
    body: BodyPart | None,
    method: str = "",
    *,
    scope: Scope | None = None,
) -> Key:
    """Return the key of the resource that a request is for; `body` is its `body_part`.

    `method` and `scope` replace those of this request.
    """
    scope, profile, extra = scope or plan.scope, plan.profile, plan.guard + plan.user.partition
    query: bytes = scope.get("query_string", b"")
    if query and engine.shown_queries is not None:
        scope, query = keyed_target(engine, scope, query)
    cookies = engine.fields.cookies  # those in the key are so for each method
    if cookies is not None and engine.settings.cache_key_cookies:
        value = plan.value_of(b"cookie")
        keyed = b"" if value is None else cookies.keyed_in_lines(plan.shown_cookies(value))
        extra = ((KEYED_COOKIES, keyed), *extra) if keyed else extra
    extra = (*[(name, plan.chosen_value_of(name)) for name in engine.fields.key_fields], *extra)
    if plan.wants.coded_only:
        extra = (*extra, (CODED_ONLY, None))
    if engine.settings.cache_sort_query:
        query = sorted_query(query)
    return make_key(engine.realm, scope, profile, plan.lines, query, extra, body, method)
