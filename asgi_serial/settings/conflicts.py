"""Find settings that contradict each other, or that have no effect beside each other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from asgi_serial.http.names import may_be_one
from asgi_serial.http.users import COOKIE
from asgi_serial.settings.policy import RouteRule, caching_options, covers, is_on_somewhere
from asgi_serial.settings.values import Source


class _Part(NamedTuple):
    """A part that can be turned off, and the settings that ask for something of it."""

    switch: str
    is_on: Callable[[Mapping[str, Any]], bool]
    asking: tuple[str, ...]
    way_out: str


def _may_be_on(switch: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda values: is_on_somewhere(switch, by_default=values[switch], rules=values["routes"])


_may_cache = _may_be_on("cache")

# Compression is not among them: a handler may turn it on by its decorator.
_PARTS = (
    _Part(
        "cache",
        _may_cache,
        (
            *("cache_ttl", "cache_negative_ttl", "cache_heuristic", "cache_confirm"),
            *("cache_posted", "cache_parts", "cache_grace", "cache_stale_if_error"),
            *("cache_status_key", "cache_ignore_query", "cache_query", "cache_strip_fields"),
            "cache_vary_normalize",
        ),
        "turn {switch} on",
    ),
    _Part("cache_status", lambda v: v["cache_status"], ("cache_status_key",), "turn {switch} on"),
    _Part("formats", _may_be_on("formats"), ("format_uploads",), "turn {switch} on"),
    _Part(
        "cache_max_refreshes",
        lambda values: values["cache_max_refreshes"] > 0,
        ("cache_grace",),
        "raise {switch}",
    ),
    _Part(
        "codings",
        lambda values: not {"gzip", "deflate"}.isdisjoint(values["codings"]),
        ("gzip_level",),
        "add gzip to {switch}",
    ),
    _Part("codings", lambda v: "br" in v["codings"], ("brotli_level",), "add br to {switch}"),
    _Part("codings", lambda v: "zstd" in v["codings"], ("zstd_level",), "add zstd to {switch}"),
)

_TOKENS = {"report_token": ("report_path", "metrics_path"), "purge_token": ("purge_path",)}
"""The paths that each token is for; one of them has to be set."""

_PATHS = ("report_path", "metrics_path", "purge_path")
"""The paths that the middleware answers itself."""

_SIZES = (
    ("cache_max_object", "cache_memory", ("cache_max_object", "cache_memory")),
    ("max_encoded", "max_decoded", ("max_encoded",)),
    ("max_encoded", "max_gathered", ("max_gathered",)),
    ("max_decoded", "max_gathered", ("max_gathered",)),
)
"""Two sizes of which the second has to be at least the first, if one of the third was given.

A low `max_decoded` beside the default `max_encoded` is a limit like any other. A `max_gathered`
that holds no single body cannot be kept.
"""


def find_conflicts(values: Mapping[str, Any], sources: Mapping[str, Source]) -> list[str]:
    """Return a line for each contradiction between settings that are valid by themselves.

    `sources` has those that the user gave. A variable may turn off what an argument asks for: that
    is how a part is turned off for a while.
    """
    names = _Names(sources)
    found = [
        *_find_lonely_tokens(values, sources, names),
        *_find_small_limits(values, sources, names),
        *_find_repeated_names(values, names),
        *_find_unreachable(values["routes"], names),
    ]
    if values["enabled"]:
        found += [
            line for line, is_override in _find_idle(values, sources, names) if not is_override
        ]
    return found


def find_overrides(values: Mapping[str, Any], sources: Mapping[str, Source]) -> list[str]:
    """Return a line for each argument that has no effect, since a variable turns its part off."""
    found = _find_idle(values, sources, _Names(sources))
    return [line for line, is_override in found if is_override]


class _Names:
    """The names of settings as the user gave them, or would."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def __getitem__(self, name: str) -> str:
        return self._sources[name].label if name in self._sources else name

    def beside(self, name: str, other: str) -> str:
        """Return the name of a setting in the spelling of another one, which was given."""
        label = self[other]
        if name in self._sources or label == other:
            return self[name]
        # As long as the names of settings stay in variables as they are.
        return label[: -len(other)] + name.upper()


def _find_lonely_tokens(
    values: Mapping[str, Any], sources: Mapping[str, Source], names: _Names
) -> Iterator[str]:
    if values["purge_path"] is not None and values["purge_token"] is None:
        token = names.beside("purge_token", "purge_path")
        yield f"{names['purge_path']} is set without a token; set {token} as well."
    for token, paths in _TOKENS.items():
        # A path is there, or set to None to leave it out for now.
        if values[token] is not None and sources.keys().isdisjoint(paths):
            named = " or ".join(names.beside(path, token) for path in paths)
            yield (
                f"{names[token]} is set without a path to protect; set {named} as well, or remove "
                f"{names[token]}."
            )


def _find_small_limits(
    values: Mapping[str, Any], sources: Mapping[str, Source], names: _Names
) -> Iterator[str]:
    for lower, upper, given in _SIZES:
        if values[upper] < values[lower] and not sources.keys().isdisjoint(given):
            yield (
                f"{names[upper]} is {values[upper]}; expected at least {names[lower]}, which is "
                f"{values[lower]}. Raise {names[upper]} or lower {names[lower]}."
            )


def _find_repeated_names(values: Mapping[str, Any], names: _Names) -> Iterator[str]:
    both = {*values["cache_key_fields"]} & {*values["cache_ignore_fields"]}
    if both:
        yield (
            f"{names['cache_ignore_fields']} and {names['cache_key_fields']} "
            f"both name {min(both)!r}; name it in only one of them."
        )
    yield from _find_hidden_cookies(values, names)
    yield from _find_chosen_fields(values, names)
    if values["cache_ignore_query"] and values["cache_query"]:
        yield (
            f"{names['cache_ignore_query']} and {names['cache_query']} are both set; set "
            f"{names['cache_ignore_query']} to ignore the parameters that it names, or "
            f"{names['cache_query']} to ignore all others."
        )
    yield from _find_stripped_names(values, names)
    taken: dict[str, str] = {}
    for name in _PATHS:
        path = values[name]
        if path is not None and path in taken:
            yield (
                f"{names[name]} is {path!r}, as is {names[taken[path]]}; expected a path of its "
                "own. Change one of them."
            )
        elif path is not None:
            taken[path] = name


def _find_hidden_cookies(values: Mapping[str, Any], names: _Names) -> Iterator[str]:
    """Yield a line for each cookie that is hidden from the app, though its response depends on it.

    A function that finds the user sees all cookies, and may use what the app does not need.
    """
    used = [(name, names["cache_key_cookies"]) for name in values["cache_key_cookies"]]
    for rule in values["routes"]:
        sources = rule.policy.cache_partition
        where = f"cache_partition of {names['routes']}[{rule.pattern!r}]"
        if isinstance(sources, tuple):
            used += [(one.removeprefix(COOKIE), where) for one in sources if COOKIE in one]
    for name, where in used:
        ignored = [one for one in values["cache_ignore_cookies"] if may_be_one(name, one)]
        if ignored:
            yield (
                f"{names['cache_ignore_cookies']} has {ignored[0]!r}, which hides the cookie "
                f"{name!r} in {where} from the app; name it in only one of them."
            )


def _find_stripped_names(values: Mapping[str, Any], names: _Names) -> Iterator[str]:
    """Yield a line for each field that is not stored, although it is read again with a 304."""
    for setting in ("cache_targets", "cache_tag_fields"):
        for name in values[setting]:
            for stripped in values["cache_strip_fields"]:
                if may_be_one(name, stripped):
                    yield (
                        f"{names['cache_strip_fields']} has {stripped!r}, which strips {name!r} in "
                        f"{names[setting]}; name it in only one of them."
                    )


def _find_chosen_fields(values: Mapping[str, Any], names: _Names) -> Iterator[str]:
    """Yield a line for each field that is said to matter by a few values, and otherwise."""
    others = [(name, names["cache_ignore_fields"]) for name in values["cache_ignore_fields"]]
    for rule in values["routes"]:
        sources = rule.policy.cache_partition
        where = f"cache_partition of {names['routes']}[{rule.pattern!r}]"
        others += [(one, where) for one in sources] if isinstance(sources, tuple) else []
    chosen = {name for name, _ in values["cache_vary_normalize"]}
    for name, where in others:
        if name in chosen:
            yield (
                f"{names['cache_vary_normalize']} and {where} both name {name!r}; name it in only "
                "one of them."
            )


def _find_idle(
    values: Mapping[str, Any], sources: Mapping[str, Source], names: _Names
) -> Iterator[tuple[str, bool]]:
    """Yield a line for each setting whose part is off, and whether a variable overrides it."""
    for part in _PARTS:
        if part.is_on(values):
            continue
        switch = names[part.switch]
        state = f"{switch} is {_shown(values[part.switch])}"
        way_out = part.way_out.format(switch=switch)
        for name in part.asking:
            if values[name] and name in sources:
                line = (
                    f"{names[name]} is {sources[name].value!r}, although {state}; {way_out}, or "
                    f"remove {names[name]}."
                )
                yield line, _overrides(part.switch, name, sources)
    if not _may_cache(values):
        for rule in values["routes"]:
            asked = caching_options(rule.policy)
            if asked:
                line = (
                    f"{names['routes']}[{rule.pattern!r}] sets {asked[0]}, although "
                    f"{names['cache']} is off; turn {names['cache']} on, or add cache=True to this "
                    f"route, or remove {asked[0]}."
                )
                yield line, _overrides("cache", "routes", sources)


def _overrides(switch: str, name: str, sources: Mapping[str, Source]) -> bool:
    """Whether a variable turns off what an argument asks for."""
    is_by_variable = switch in sources and sources[switch].label != switch
    return is_by_variable and sources[name].label == name


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return repr(",".join(value))
    return "off" if value is False else repr(value)


def _find_unreachable(rules: Sequence[RouteRule], names: _Names) -> Iterator[str]:
    """Yield a line for each rule before which another one matches all of its requests."""
    for place, rule in enumerate(rules):
        for earlier in rules[:place]:
            if earlier.policy != rule.policy and covers(earlier, rule):
                yield (
                    f"{names['routes']}[{rule.pattern!r}] is never used, because "
                    f"{earlier.pattern!r} stands before it and matches all of its requests; put "
                    "the narrower pattern first."
                )
                break
