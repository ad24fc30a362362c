"""The findings of `doctor`: each has a stable code, a sentence, the place, and what to do."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """How bad a finding is; notes alone leave the exit code at 0."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Code(Enum):
    """The stable name of a finding, with its level and what to do about it."""

    level: Level
    remedy: str

    def __new__(cls, code: str, level: Level, remedy: str) -> Code:
        """Make a member whose value is its name."""
        member = object.__new__(cls)
        member._value_ = code
        member.level, member.remedy = level, remedy
        return member

    SETTINGS_WRONG = (
        "settings-wrong",
        Level.ERROR,
        "correct the settings; docs/reference/configuration.md says how each is written",
    )
    NO_MIDDLEWARE = (
        "no-middleware",
        Level.ERROR,
        "add it: app.add_middleware(SerialMiddleware), or app = SerialMiddleware(app)",
    )
    TURNED_OFF = (
        "turned-off",
        Level.WARNING,
        "turn on what is wanted, or remove the middleware",
    )
    STARTUP_FAILED = (
        "startup-failed",
        Level.ERROR,
        "correct what the message names; a server would not start either",
    )
    COMPRESSED_OUTSIDE = (
        "compressed-outside",
        Level.ERROR,
        "remove it: it compresses again what the cache has chosen, without its ETag and Vary",
    )
    COMPRESSED_INSIDE = (
        "compressed-inside",
        Level.WARNING,
        "remove it: what it has encoded can be neither translated nor compressed better, and each "
        "miss pays for it",
    )
    CACHED_ELSEWHERE = (
        "cached-elsewhere",
        Level.WARNING,
        "remove one of the two caches: writes and purges reach only one of them",
    )
    FORMATS_ELSEWHERE = (
        "formats-elsewhere",
        Level.WARNING,
        "remove it, and let the middleware negotiate formats",
    )
    BASE_HTTP_OUTSIDE = (
        "base-http-outside",
        Level.WARNING,
        "add SerialMiddleware last, so that it is the outermost, or write the other one as plain "
        "ASGI: each hit runs through it as a stream in another task",
    )
    BASE_HTTP_INSIDE = (
        "base-http-inside",
        Level.WARNING,
        "write it as plain ASGI: it runs the app in another task and passes its body on in pieces, "
        "so that files and models cannot be handed over, and a client that leaves is noticed late",
    )
    NOT_OUTERMOST = (
        "not-outermost",
        Level.NOTE,
        "add SerialMiddleware last, unless this one has to run for each hit, too: what it adds is "
        "not stored, and the time it takes is not measured",
    )
    NESTED = (
        "nested",
        Level.WARNING,
        "keep the outermost instance, and give it the settings of the others",
    )
    POLICY_ABOVE_ROUTE = (
        "policy-above-route",
        Level.ERROR,
        "move @serial below the decorator that routes, directly above the function",
    )
    POLICY_NOT_ROUTED = (
        "policy-not-routed",
        Level.WARNING,
        "use functools.wraps in the decorators above @serial, or set the policy in the setting "
        "routes",
    )
    PATH_SHADOWS_ROUTE = (
        "path-shadows-route",
        Level.WARNING,
        "change the path in the settings: requests for it never reach the route",
    )
    PATH_WITHIN_ROUTE = (
        "path-within-route",
        Level.NOTE,
        "nothing, unless the route is meant to answer this very path, too",
    )
    PATH_NOT_SERVED = (
        "path-not-served",
        Level.WARNING,
        "wrap the app, as in app = SerialMiddleware(app), in place of listing the middleware",
    )
    PATTERN_WITHOUT_ROUTE = (
        "pattern-without-route",
        Level.NOTE,
        "check the spelling of the pattern in the setting routes",
    )
    SETTING_OVERRIDDEN = (
        "setting-overridden",
        Level.NOTE,
        "nothing, if a variable is meant to turn this off",
    )
    USERS_NOT_SHARED = (
        "users-not-shared",
        Level.WARNING,
        "set cache_secret to the same value in all processes, so that they find the responses of a "
        "user that another one has stored",
    )
    STORE_REFUSED = (
        "store-refused",
        Level.ERROR,
        "pass what the message asks for as cache_url or store",
    )
    STORE_UNREACHABLE = (
        "store-unreachable",
        Level.ERROR,
        "start the store, or correct cache_url; until then each process has a cache of its own",
    )
    STORE_SPOILS_VALUES = (
        "store-spoils-values",
        Level.ERROR,
        "find out who changes or drops the values; responses from it are not used",
    )
    STORE_SLOW = (
        "store-slow",
        Level.WARNING,
        "bring the store nearer, or raise cache_store_timeout: calls that take longer are misses",
    )
    STORE_NOT_SHARED = (
        "store-not-shared",
        Level.NOTE,
        "use redis:// or memcached://, if several processes should share what is stored",
    )
    CODEC_BROKEN = (
        "codec-broken",
        Level.ERROR,
        "reinstall the package of the codec, or leave the coding out of codings",
    )
    SPEED_NOT_INSTALLED = (
        "speed-not-installed",
        Level.NOTE,
        'pip install "asgi-serial[speed]" makes gzip and MessagePack cheaper',
    )
    ROUTES_UNKNOWN = (
        "routes-unknown",
        Level.NOTE,
        "name paths to ask by --path, as often as you like",
    )
    ROUTE_FAILS = (
        "route-fails",
        Level.WARNING,
        "call it as its clients do: if it fails for them as well, correct it",
    )
    CHECK_FAILED = (
        "check-failed",
        Level.WARNING,
        "look at the app at this point yourself; the other checks have been made",
    )


class Finding(NamedTuple):
    """Something that `doctor` has found."""

    code: Code
    sentence: str
    where: str = ""
    """A file and line, a route, a layer or a setting; empty, if it is about the app as a whole."""

    def to_dict(self) -> dict[str, str]:
        """Return the finding for programs."""
        return {
            "code": self.code.value,
            "level": self.code.level.value,
            "message": self.sentence,
            "what_to_do": self.code.remedy,
            "where": self.where,
        }
