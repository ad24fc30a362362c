"""The settings model, and the only place that reads the environment."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Self, TypedDict, get_args

from pydantic import BaseModel, ConfigDict, PlainValidator, SecretStr, ValidationError

from asgi_serial.codecs.registry import coding_names, default_codings, levels_of
from asgi_serial.errors import ConfigurationError
from asgi_serial.http.cookies import ANALYTICS_COOKIES
from asgi_serial.http.field_names import (
    CONDITIONS,
    CREDENTIAL_FIELDS,
    REPLAYED_FIELDS,
    REQUEST_FIELDS,
)
from asgi_serial.http.names import may_be_one
from asgi_serial.settings.conflicts import find_conflicts, find_overrides
from asgi_serial.settings.foreign_names import SETTING_HINTS
from asgi_serial.settings.policy import RoutePolicy, RouteRule, build_rule, read_policy
from asgi_serial.settings.values import (
    Offers,
    Source,
    choices,
    explain_unknown,
    explain_value,
    integer,
    matching,
    optional,
    parse_automatic,
    parse_buckets,
    parse_cookie_names,
    parse_duration,
    parse_field_names,
    parse_field_patterns,
    parse_ignored_cookies,
    parse_media_types,
    parse_offers,
    parse_parameter_names,
    parse_size,
    parse_switch,
    parse_time_limit,
    path_such_as,
)
from asgi_serial.store.url import parse_store_url
from asgi_serial.timing.instruments import DEFAULT_BUCKETS

PREFIX = "ASGI_SERIAL_"
"""The prefix of the environment variables."""

LIBRARY_PREFIX = "ASGI_SERIAL_MODEL_"
"""The prefix of the serialization library's variables, which the library reads itself."""

# RFC 9211, 2: Cache-Status names a cache by a string or token; this is a token (RFC 9651, 3.3.4).
_CACHE_NAME = r"[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*"
# A Bearer token (RFC 6750, 2.1).
_BEARER = r"[A-Za-z0-9._~+/-]+=*"


def _secret(pattern: str, expected: str) -> PlainValidator:
    parse = matching(pattern, expected)

    def parse_secret(value: object) -> SecretStr | None:
        if value is None:
            return None
        return SecretStr(parse(value.get_secret_value() if isinstance(value, SecretStr) else value))

    return PlainValidator(parse_secret)


_read_url = matching(
    r"[A-Za-z][A-Za-z0-9+.-]*://\S*",
    "a URL such as memory://, redis://host:6379/0 or memcached://host:11211",
)


def parse_cache_url(value: object) -> SecretStr:
    """Parse the URL of a store.

    Raises: ValueError if the value is not a URL; ConfigurationError, whose message holds no secret,
        if the URL names no store that can be used.
    """
    url = _read_url(value.get_secret_value() if isinstance(value, SecretStr) else value)
    try:
        parse_store_url(url)
    except ConfigurationError as error:
        raise ConfigurationError(f": {error}") from None
    return SecretStr(url)


def parse_codings(value: object) -> tuple[str, ...]:
    """Read a list of content codings."""
    return choices(coding_names())(value)


def _parse_level(setting: str) -> Callable[[object], int]:
    levels = levels_of(setting)
    return integer(levels.lowest, levels.highest)


def _default(setting: str) -> Any:
    return levels_of(setting).default


def parse_routes(value: object) -> tuple[RouteRule, ...]:
    """Parse rules, or a mapping from patterns to policies, also as JSON text.

    Raises: ConfigurationError, whose lines lack the name of the setting; the caller adds it.
    """
    if isinstance(value, str):
        value = _read_json(value)
    if not isinstance(value, Mapping):
        return _read_rules(value)
    rules, faults = [], []
    for pattern, options in value.items():
        try:
            rules.append(build_rule(pattern, _read_policy(options)))
        except ConfigurationError as error:
            lines = str(error).splitlines()
            faults += [line if line[0] == "[" else f"[{pattern!r}] {line}" for line in lines]
    if faults:
        raise ConfigurationError("\n".join(faults))
    return tuple(rules)


def parse_patterns(value: object) -> tuple[RouteRule, ...]:
    """Parse the patterns of routes that are left out of the timing.

    Raises: ConfigurationError, whose lines lack the name of the setting; the caller adds it.
    """
    written = value.split(",") if isinstance(value, str) else value
    patterns: list[Any] = [*written] if isinstance(written, Iterable) else [None]
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError("a list of path patterns such as /healthz, GET /internal/**")
    rules, faults = [], []
    for pattern in patterns:
        try:
            if stripped := pattern.strip():
                rules.append(build_rule(stripped, RoutePolicy(timing=False)))
        except ConfigurationError as error:
            faults += str(error).splitlines()
    if faults:
        raise ConfigurationError("\n".join(faults))
    return tuple(rules)


def parse_ignored_fields(value: object) -> tuple[str, ...]:
    """Parse a list of field names that excludes those that the cache itself depends on."""
    try:
        names = parse_field_names(value)
    except ValueError:
        names = ("cookie",)
    # RFC 9111, 3.5: "A shared cache MUST NOT use a cached response to a request with an
    # Authorization header field [...] to satisfy any subsequent request", unless the response
    # allows it. So Authorization cannot be ignored.
    if not REQUEST_FIELDS.isdisjoint(name.encode() for name in names):
        raise ValueError(
            "a list of field names such as X-App-Version, CF-IPCountry, without those that the "
            "cache itself depends on, such as Authorization, Cookie or Host"
        )
    return names


# A cache answers by these fields itself, so that each value of them needs no response of its own.
_UNKEYABLE = (
    CREDENTIAL_FIELDS
    | CONDITIONS
    | {
        *(b"cache-control", b"content-length", b"pragma", b"range", b"transfer-encoding"),
    }
)


def parse_key_fields(value: object) -> tuple[str, ...]:
    """Parse a list of field names that excludes credentials and what the cache itself handles."""
    names = parse_field_names(value)
    if not _UNKEYABLE.isdisjoint(name.encode() for name in names):
        raise ValueError(
            "a list of field names such as X-Tenant, Accept-Language, without conditions, "
            "Cache-Control and Range, which the cache handles itself, and without Authorization "
            "and Cookie: to store responses for each user, set cache_partition for their routes"
        )
    return names


def parse_stripped_fields(value: object) -> tuple[str, ...]:
    """Parse a list of names of response fields, each of which may end in `*`.

    Fields that a stored response needs are excluded.
    """
    names = parse_field_patterns(value)
    for name in names:
        needed = sorted(one for one in REPLAYED_FIELDS if may_be_one(name, one))
        if needed:
            raise ValueError(
                "a list of names of response fields such as x-request-id, x-ratelimit-*, without "
                f"those that a stored response needs: {name!r} would strip {needed[0]!r}"
                + (" (for that there is cache_set_cookie)" if "set-cookie" in needed else "")
            )
    return names


Switch = Annotated[bool, PlainValidator(parse_switch)]
Size = Annotated[int, PlainValidator(parse_size)]
TimeLimit = Annotated[float, PlainValidator(parse_time_limit)]


PRESETS: Mapping[str, Mapping[str, object]] = {
    # Act as a gateway that does not touch the content, to be tested against RFC 9111.
    "conformance": {
        "formats": False,
        "compression": False,
        "decoding": False,
        "encodings_cache": False,
        "timing": False,
        "cache_confirm": True,
        "cache_heuristic": True,
        "cache_parts": True,
        "cache_posted": True,
        "cache_stale_if_error": 3600.0,
    },
}
"""The values that a preset sets; a value from the environment or the code takes precedence."""


class Settings(BaseModel):
    """All settings of the middleware; immutable, compared by value, made by `Settings.load`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    preset: Annotated[
        str | None, PlainValidator(optional(matching(r"conformance", "conformance")))
    ] = None
    """Defaults for one purpose. conformance: only the cache, in front of any origin server."""
    enabled: Switch = True
    """Process requests and responses; off: they pass unchanged."""

    formats: Switch = True
    """Negotiate JSON, MessagePack or CBOR for responses, and translate requests to JSON."""
    format_uploads: Annotated[bool | None, PlainValidator(parse_automatic)] = None
    """Translate requests to JSON: auto (for routes that are known to read JSON), on, off."""
    format_strict: Switch = False
    """Answer 406 if no format is acceptable, rather than send the app's own."""
    format_max_depth: Annotated[int, PlainValidator(integer(1, 254))] = 200
    """The deepest nesting of a document that is translated."""
    format_max_size: Size = 2_000_000
    """The largest document that is translated."""

    compression: Switch = True
    """Compress responses."""
    codings: Annotated[tuple[str, ...], PlainValidator(parse_codings)] = default_codings()
    """The codings on offer, the server's favourite first: zstd, br, gzip, deflate."""
    min_size: Size = 500
    """The smallest body that is compressed."""
    gzip_level: Annotated[int, PlainValidator(_parse_level("gzip_level"))] = _default("gzip_level")
    """The level of gzip and deflate, 0 to 9."""
    brotli_level: Annotated[int | None, PlainValidator(optional(_parse_level("brotli_level")))] = (
        _default("brotli_level")
    )
    """The level of br, 0 to 11; unset: 5 for bodies up to 32 kB, 4 above."""
    zstd_level: Annotated[int, PlainValidator(_parse_level("zstd_level"))] = _default("zstd_level")
    """The level of zstd, -7 to 19."""
    compressible_types: Annotated[tuple[str, ...], PlainValidator(parse_media_types)] = ()
    """Media types to compress in addition to those that are known to shrink."""
    whole_limit: Size = 1_000_000
    """The largest Content-Length at which a body in pieces is collected and encoded at once."""

    decoding: Switch = True
    """Decode requests that have a Content-Encoding."""
    max_encoded: Size = 10_000_000
    """The largest request body as it arrives, before decoding."""
    max_decoded: Size = 50_000_000
    """The largest request body after decoding."""
    max_ratio: Annotated[int, PlainValidator(integer(1, 1_000_000))] = 200
    """The highest ratio of decoded to encoded size of a request body."""
    max_codings: Annotated[int, PlainValidator(integer(1, 10))] = 3
    """The largest number of codings in a request's Content-Encoding."""
    max_gathered: Size = 100_000_000
    """The memory for all request bodies that are read before the app is called."""
    body_timeout: TimeLimit = 60.0
    """The longest that such a body may take to arrive."""

    cache: Switch = True
    """Store responses and answer requests with them."""
    cache_url: Annotated[
        SecretStr | None,
        PlainValidator(optional(parse_cache_url)),
    ] = None
    """The second level, shared by processes: the URL of a store, such as redis://host:6379/0."""
    cache_ttl: Annotated[float | None, PlainValidator(optional(parse_duration))] = None
    """The lifetime of responses that state none of their own; unset: those are not stored."""
    cache_negative_ttl: Annotated[float | None, PlainValidator(optional(parse_duration))] = None
    """The lifetime of errors that state none; unset: as others, a 404 or 410 a tenth up to 10 s."""
    cache_heuristic: Switch = False
    """Estimate a lifetime from Last-Modified if nothing states one (RFC 9111, 4.2.2)."""
    cache_targets: Annotated[tuple[str, ...], PlainValidator(parse_field_names)] = (
        "asgi-serial-cache-control",
        "cdn-cache-control",
    )
    """Targeted fields that override Cache-Control, the most specific first (RFC 9213)."""
    cache_obey_requests: Switch = True
    """Obey Cache-Control and Pragma in requests."""
    cache_confirm: Switch = False
    """Store responses that need validation before each use (no-cache, max-age=0)."""
    cache_posted: Switch = False
    """Store the response to a POST for GET, if its Content-Location is the URI of the POST."""
    cache_keep_stale: Annotated[float, PlainValidator(parse_duration)] = 3600.0
    """How long a stale response is kept that can be validated."""
    cache_grace: Annotated[float, PlainValidator(parse_duration)] = 0.0
    """How long a stale response may be used during its refresh, unless it states that itself."""
    cache_stale_if_error: Annotated[float, PlainValidator(parse_duration)] = 0.0
    """How long a stale response may be used if the app fails, unless it states that itself."""
    cache_max_refreshes: Annotated[int, PlainValidator(integer(0, 10_000))] = 32
    """The largest number of stale responses that are refreshed in the background at once."""
    cache_max_ranges: Annotated[int, PlainValidator(integer(0, 1000))] = 16
    """The most ranges of a response in one request; a request for more gets the whole response."""
    cache_parts: Switch = False
    """Store partial responses (206), combine them, and answer ranges within them."""
    cache_tag_fields: Annotated[tuple[str, ...], PlainValidator(parse_field_names)] = (
        "cache-tag",
        "surrogate-key",
    )
    """Response fields that hold the tags for purging."""
    cache_poll: Annotated[float, PlainValidator(parse_time_limit)] = 1.0
    """The interval at which a process asks the second level for purges by others."""
    cache_secret: Annotated[
        SecretStr | None, _secret(r"[!-~]{16,1000}", "at least 16 visible ASCII characters")
    ] = None
    """The secret for hashing users, the same in all processes; unset: random in each process."""
    cache_memory: Size = 64_000_000
    """The size of the first level, in each process."""
    cache_max_object: Size = 5_000_000
    """The largest response that is stored."""
    cache_max_key_body: Size = 64_000
    """The largest request body that can be part of the key."""
    cache_status: Switch = True
    """Report the cache's part in a response in Cache-Status (RFC 9211)."""
    cache_name: Annotated[
        str, PlainValidator(matching(_CACHE_NAME, "a token such as asgi_serial (RFC 9651, 3.3.4)"))
    ] = "asgi_serial"
    """The name of this cache in Cache-Status."""
    cache_status_key: Switch = False
    """Add a digest of the key to Cache-Status, to see which requests share one."""
    cache_store_timeout: TimeLimit = 0.25
    """The longest that a request waits for the second level."""
    cache_wait: Annotated[float, PlainValidator(parse_duration)] = 5.0
    """The longest that a request waits for another's call of the app before it makes its own."""
    cache_lead: Annotated[float, PlainValidator(parse_duration)] = 30.0
    """The longest that a call of the app continues for waiting requests after its client left."""
    cache_namespace: Annotated[
        str, PlainValidator(matching(r"[!-~]{0,100}", "at most 100 visible ASCII characters"))
    ] = ""
    """A part of every key, for apps that share a second level."""
    cache_sort_query: Switch = False
    """Ignore the order of query parameters."""
    cache_key_fields: Annotated[tuple[str, ...], PlainValidator(parse_key_fields)] = ()
    """Request fields that are part of the key."""
    cache_ignore_fields: Annotated[tuple[str, ...], PlainValidator(parse_ignored_fields)] = ()
    """Request fields on which no response depends, whoever sends them."""
    cache_ignore_cookies: Annotated[tuple[str, ...], PlainValidator(parse_ignored_cookies)] = (
        ANALYTICS_COOKIES
    )
    """Cookies that the cache ignores, and hides from the app; a name may end in `*`."""
    cache_key_cookies: Annotated[tuple[str, ...], PlainValidator(parse_cookie_names)] = ()
    """Cookies that are part of the key, and do not identify a user; a name may end in `*`."""
    cache_ignore_query: Annotated[tuple[str, ...], PlainValidator(parse_parameter_names)] = ()
    """Query parameters that the cache ignores, and hides from the app; a name may end in `*`."""
    cache_query: Annotated[tuple[str, ...], PlainValidator(parse_parameter_names)] = ()
    """The only query parameters that are not ignored in this way; unset: all."""
    cache_strip_fields: Annotated[tuple[str, ...], PlainValidator(parse_stripped_fields)] = ()
    """Response fields that are sent once, and not stored; a name may end in `*`."""
    cache_set_cookie: Annotated[
        str, PlainValidator(matching(r"refuse|strip", "refuse or strip"))
    ] = "refuse"
    """Responses that set cookies: refuse to store them, or strip the cookies and store the rest."""
    cache_vary_normalize: Annotated[Offers, PlainValidator(parse_offers)] = ()
    """Request fields of which the app sees one of these values, the default first in each list."""

    encodings_cache: Switch = True
    """Reuse the encoded form of bodies that the app repeats."""

    timing: Switch = True
    """Measure every route."""
    timing_exclude: Annotated[tuple[RouteRule, ...], PlainValidator(parse_patterns)] = ()
    """Path patterns of requests that are not measured, such as /healthz, GET /internal/**."""
    server_timing: Switch = False
    """Send the durations of a request in Server-Timing."""
    debug: Switch = False
    """Explain each response to a client on the machine itself, in Asgi-Serial-Why."""
    slow_request_ms: Annotated[int | None, PlainValidator(optional(integer(1, 86_400_000)))] = None
    """Log each request that takes at least this many milliseconds; unset: none."""
    max_series: Annotated[int, PlainValidator(integer(1, 1_000_000))] = 1000
    """The largest number of combinations of route, method, status and outcome that are measured."""
    report_path: Annotated[
        str | None,
        PlainValidator(optional(path_such_as("/-/timing"))),
    ] = None
    """The path of the timing report; unset: it is not served."""
    report_token: Annotated[
        SecretStr | None, _secret(_BEARER, "a Bearer token of letters, digits and -._~+/")
    ] = None
    """The Bearer token that the report requires; unset: only this machine may read it."""

    metrics_path: Annotated[
        str | None,
        PlainValidator(optional(path_such_as("/metrics"))),
    ] = None
    """The path of the metrics for Prometheus, which `report_token` protects; unset: none."""
    metrics_buckets: Annotated[tuple[float, ...], PlainValidator(parse_buckets)] = DEFAULT_BUCKETS
    """The upper bounds of the buckets in which the metrics count durations."""

    purge_path: Annotated[
        str | None,
        PlainValidator(optional(path_such_as("/-/purge"))),
    ] = None
    """The path at which POST purges stored responses; requires `purge_token`. Unset: none."""
    purge_token: Annotated[
        SecretStr | None, _secret(_BEARER, "a Bearer token of letters, digits and -._~+/")
    ] = None
    """The Bearer token that purging over HTTP requires."""

    routes: Annotated[tuple[RouteRule, ...], PlainValidator(parse_routes)] = ()
    """Policies by path pattern; in the environment as JSON."""

    @classmethod
    def load(cls, options: Mapping[str, object], environ: Mapping[str, str]) -> Self:
        """Return the settings from arguments, the environment and defaults, in this precedence.

        Variables may be written in any case; an empty one counts as unset.

        Raises: ConfigurationError, with a line for each fault of both sources.
        """
        sources, faults = _read_environment(environ)
        for name, value in options.items():
            if name in cls.model_fields:
                sources[name] = Source(name, value)
            else:
                faults.append(
                    explain_unknown(name, cls.model_fields, kind="a setting", hints=SETTING_HINTS)
                )
        values = {name: given.value for name, given in sources.items()}
        preset = values.get("preset")
        if isinstance(preset, str):
            values = {**PRESETS.get(preset, {}), **values}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            for fault in error.errors():
                name = str(fault["loc"][0])
                faults += _explain(sources[name], fault["ctx"]["error"], secret=_is_secret(name))
        # Settings that contradict each other can be found only once each of them is valid.
        faults = faults or find_conflicts(dict(settings), sources)
        if faults:
            raise ConfigurationError("\n".join(faults))
        origins = dict.fromkeys(values.keys() - sources.keys(), f"preset {preset}")
        origins |= {
            name: "argument" if given.label == name else given.label
            for name, given in sources.items()
        }
        settings.__dict__["origins"] = origins
        settings.__dict__["overridden"] = find_overrides(dict(settings), sources)
        return settings

    @cached_property
    def origins(self) -> Mapping[str, str]:
        """Where each value comes from that is not a default.

        `argument`, the name of a variable, or the name of a preset. It is no part of the value of
        the settings: equal settings may have different origins.
        """
        return {}

    @cached_property
    def overridden(self) -> Sequence[str]:
        """A line for each argument without effect, because a variable turns its part off."""
        return ()


def _read_environment(environ: Mapping[str, str]) -> tuple[dict[str, Source], list[str]]:
    """Return the values of the environment by setting, and a line for each wrong name."""
    variables = {PREFIX + name.upper(): name for name in Settings.model_fields}
    sources: dict[str, Source] = {}
    faults = []
    for label, value in environ.items():
        if not label.upper().startswith(PREFIX) or not value.strip():
            continue
        if label.upper().startswith(LIBRARY_PREFIX):
            continue
        name = variables.get(label.upper())
        if name is None:
            faults.append(
                explain_unknown(
                    label,
                    variables,
                    kind="a setting",
                    prefix_length=len(PREFIX),
                    hints=SETTING_HINTS,
                )
            )
        elif name in sources:
            faults.append(f"{label} is also set as {sources[name].label}; set only one of them.")
        else:
            sources[name] = Source(label, value)
    return sources, faults


def _explain(source: Source, error: ValueError, *, secret: bool) -> list[str]:
    if isinstance(error, ConfigurationError):
        return [source.label + line for line in str(error).splitlines()]
    if secret:
        return [f"{source.label} is not accepted (the value is secret); expected {error}."]
    return [explain_value(source.label, source.value, error)]


def _is_secret(name: str) -> bool:
    return SecretStr in get_args(Settings.model_fields[name].annotation)


def _read_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_read_object)
    except ValueError as error:
        raise ValueError(f"a JSON object from patterns to policies ({error})") from None


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated")
    return members


def _read_rules(value: object) -> tuple[RouteRule, ...]:
    rules = tuple(value) if isinstance(value, Iterable) else (None,)
    if not all(isinstance(rule, RouteRule) for rule in rules):
        raise ValueError("a mapping from patterns to policies such as {'/items/*': {...}}")
    return rules


def _read_policy(options: object) -> RoutePolicy:
    if isinstance(options, RoutePolicy):
        return options
    if isinstance(options, Mapping):
        return read_policy(options)
    raise ConfigurationError(f"is {options!r}; expected a mapping of policy options.")


class SettingOptions(TypedDict, total=False):
    """The settings in the forms that users may write; see `Settings` for their meaning."""

    preset: str | None
    enabled: bool | str
    formats: bool | str
    format_uploads: bool | str | None
    format_strict: bool | str
    format_max_depth: int | str
    format_max_size: int | str
    compression: bool | str
    codings: Iterable[str] | str
    min_size: int | str
    gzip_level: int | str
    brotli_level: int | str | None
    zstd_level: int | str
    compressible_types: Iterable[str] | str
    whole_limit: int | str
    decoding: bool | str
    max_encoded: int | str
    max_decoded: int | str
    max_ratio: int | str
    max_codings: int | str
    max_gathered: int | str
    body_timeout: float | timedelta | str
    cache: bool | str
    cache_url: SecretStr | str | None
    cache_ttl: float | timedelta | str | None
    cache_negative_ttl: float | timedelta | str | None
    cache_heuristic: bool | str
    cache_targets: Iterable[str] | str
    cache_obey_requests: bool | str
    cache_confirm: bool | str
    cache_posted: bool | str
    cache_keep_stale: float | timedelta | str
    cache_grace: float | timedelta | str
    cache_stale_if_error: float | timedelta | str
    cache_max_refreshes: int | str
    cache_max_ranges: int | str
    cache_parts: bool | str
    cache_tag_fields: Iterable[str] | str
    cache_poll: float | timedelta | str
    cache_secret: SecretStr | str | None
    cache_memory: int | str
    cache_max_object: int | str
    cache_max_key_body: int | str
    cache_status: bool | str
    cache_name: str
    cache_status_key: bool | str
    cache_store_timeout: float | timedelta | str
    cache_wait: float | timedelta | str
    cache_lead: float | timedelta | str
    cache_namespace: str
    cache_sort_query: bool | str
    cache_key_fields: Iterable[str] | str
    cache_ignore_fields: Iterable[str] | str
    cache_ignore_cookies: Iterable[str] | str
    cache_key_cookies: Iterable[str] | str
    cache_ignore_query: Iterable[str] | str
    cache_query: Iterable[str] | str
    cache_strip_fields: Iterable[str] | str
    cache_set_cookie: str
    cache_vary_normalize: Mapping[str, Iterable[str]] | str
    encodings_cache: bool | str
    timing: bool | str
    timing_exclude: Iterable[str] | str
    server_timing: bool | str
    debug: bool | str
    slow_request_ms: int | str | None
    max_series: int | str
    report_path: str | None
    report_token: SecretStr | str | None
    metrics_path: str | None
    metrics_buckets: Iterable[float | timedelta | str] | str
    purge_path: str | None
    purge_token: SecretStr | str | None
    # Mapping[str, Mapping[str, Any] | RoutePolicy], which mypy does not infer for two rows of
    # different types.
    routes: Mapping[str, Any] | Iterable[RouteRule] | str
