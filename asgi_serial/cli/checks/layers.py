"""The order of middleware, and what else compresses, caches or translates."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from asgi_serial.cli.apps import apps_within, layers_of, place_of
from asgi_serial.cli.findings import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asgi_serial.cli.apps import Layer
    from asgi_serial.cli.checks.subject import Subject

# By the package and the name of the class, so that aliases and moves within a package are seen.
_COMPRESSION = {
    *(("starlette", "GZipMiddleware"), ("fastapi", "GZipMiddleware")),
    *(("starlette_compress", "CompressMiddleware"), ("brotli_asgi", "BrotliMiddleware")),
    *(("zstd_asgi", "ZstdMiddleware"), ("asgi_gzip", "GZipMiddleware")),
    *(("compression_middleware", "CompressionMiddleware"), ("django", "GZipMiddleware")),
    *(("litestar", "CompressionMiddleware"), ("blacksheep", "GzipMiddleware")),
    *(("quart_compress", "Compress"), ("flask_compress", "Compress")),
    *(("falcon_compression", "CompressionMiddleware"), ("compressor", "CompressMiddleware")),
}
_CACHES = {
    *(("starlette_caches", "CacheMiddleware"), ("asgi_caches", "CacheMiddleware")),
    *(("fastapi_cache", "CacheMiddleware"), ("fastapi_cache_middleware", "FastAPICacheMiddleware")),
    *(("django", "UpdateCacheMiddleware"), ("django", "FetchFromCacheMiddleware")),
    *(("django", "CacheMiddleware"), ("litestar", "ResponseCacheMiddleware")),
}
_FORMATS = {("msgpack_asgi", "MessagePackMiddleware")}
# They have to run before the cache answers, or are told of each request on purpose.
_MAY_STAND_OUTSIDE = {
    *("TrustedHostMiddleware", "HTTPSRedirectMiddleware", "ProxyHeadersMiddleware"),
    *("SentryAsgiMiddleware", "OpenTelemetryMiddleware", "CORSMiddleware"),
}


def check_layers(subject: Subject) -> Iterator[Finding]:
    """Find middleware that stands in the wrong place, or does the work a second time."""
    yield from _check_order(subject.layers, "")
    for inner in list(apps_within(subject.app))[1:]:
        name = f" in the mounted {type(inner).__name__}"
        for layer in layers_of(inner):
            if layer.is_ours:
                yield Finding(
                    Code.NESTED,
                    "An app with a SerialMiddleware of its own is mounted in this one; only the "
                    "outer one answers.",
                    name.strip(),
                )
            elif found := _kind_of(layer):
                yield _inside(layer, found, name)


def _check_order(layers: list[Layer], place: str) -> Iterator[Finding]:
    ours = [number for number, layer in enumerate(layers) if layer.is_ours]
    if not ours:
        return
    for number in ours[1:]:
        yield Finding(
            Code.NESTED,
            f"The app has {len(ours)} instances of SerialMiddleware; only the outermost answers.",
            _where(layers, number),
        )
    # The app that holds a list of middleware is listed before it, but calls it.
    for number, layer in enumerate(layers):
        kind = _kind_of(layer)
        where = _where(layers, number)
        if number in ours:
            continue
        if number > ours[0]:
            if kind is not None:
                yield _inside(layer, kind, where)
        elif kind is Code.COMPRESSED_INSIDE:
            yield Finding(
                Code.COMPRESSED_OUTSIDE,
                f"{layer.name} compresses outside of SerialMiddleware.",
                where,
            )
        elif kind is Code.BASE_HTTP_INSIDE:
            yield Finding(
                Code.BASE_HTTP_OUTSIDE,
                f"{_shown(layer)}, a BaseHTTPMiddleware, stands outside of SerialMiddleware.",
                where,
            )
        elif kind is not None:
            yield _inside(layer, kind, where)
        elif layer.instance is None and _class_name(layer) not in _MAY_STAND_OUTSIDE:
            yield Finding(
                Code.NOT_OUTERMOST, f"{layer.name} stands outside of SerialMiddleware.", where
            )


def _inside(layer: Layer, kind: Code, where: str) -> Finding:
    sentence = {
        Code.COMPRESSED_INSIDE: f"{layer.name} compresses inside of SerialMiddleware.",
        Code.BASE_HTTP_INSIDE: (
            f"{_shown(layer)}, a BaseHTTPMiddleware, stands inside of SerialMiddleware."
        ),
        Code.CACHED_ELSEWHERE: f"{layer.name} caches responses as well.",
        Code.FORMATS_ELSEWHERE: f"{layer.name} translates responses to MessagePack as well.",
    }[kind]
    return Finding(kind, sentence, where)


def _kind_of(layer: Layer) -> Code | None:
    """Return the finding that a layer would be inside of the middleware; None for the others."""
    for cls in getattr(layer.cls, "__mro__", (layer.cls,)):
        name = (getattr(cls, "__module__", "").partition(".")[0], getattr(cls, "__name__", ""))
        if name in _COMPRESSION:
            return Code.COMPRESSED_INSIDE
        if name in _CACHES:
            return Code.CACHED_ELSEWHERE
        if name in _FORMATS:
            return Code.FORMATS_ELSEWHERE
        if name == ("starlette", "BaseHTTPMiddleware"):
            return Code.BASE_HTTP_INSIDE
    return None


def _class_name(layer: Layer) -> str:
    return getattr(layer.cls, "__name__", "")


def _shown(layer: Layer) -> str:
    """Return the name of a layer; of a function with @app.middleware("http"), that of it."""
    dispatch = layer.options.get("dispatch")
    return layer.name if dispatch is None else f"{dispatch.__module__}.{dispatch.__qualname__}"


def _where(layers: list[Layer], number: int) -> str:
    layer = layers[number]
    function = layer.options.get("dispatch")
    place = place_of(function) if function is not None else ""
    order = f"layer {number + 1} of {len(layers)} from the outside"
    return f"{place}, {order}" if place else order


def check_frameworks(subject: Subject) -> Iterator[Finding]:
    """Find compression and caching that a framework does by its own settings."""
    for app in apps_within(subject.app):
        for layer in layers_of(app):
            yield from _check_litestar(layer.instance)
            yield from _check_quart(layer.instance)
            yield from _check_django(layer.instance)


def _is_of(part: object, package: str, name: str) -> bool:
    return any(
        cls.__module__.partition(".")[0] == package and cls.__name__ == name
        for cls in type(part).__mro__
    )


def _check_litestar(app: Any) -> Iterator[Finding]:
    if not _is_of(app, "litestar", "Litestar"):
        return
    config = getattr(app, "compression_config", None)
    if config is not None:
        yield Finding(
            Code.COMPRESSED_INSIDE,
            f"Litestar compresses with {config.backend} itself, inside of SerialMiddleware.",
            "Litestar(compression_config=...)",
        )
    for route in getattr(app, "routes", ()):
        for handler in getattr(route, "route_handlers", ()):
            if getattr(handler, "cache", False):
                yield Finding(
                    Code.CACHED_ELSEWHERE,
                    f"Litestar caches the responses of {route.path} itself.",
                    f"{place_of(getattr(handler, 'fn', None))} @get(cache=...)".strip(),
                )


def _check_quart(app: Any) -> Iterator[Finding]:
    if not _is_of(app, "quart", "Quart"):
        return
    for name, extension in getattr(app, "extensions", {}).items():
        if name.lower() in ("compress", "quart-compress", "flask-compress"):
            yield Finding(
                Code.COMPRESSED_INSIDE,
                f"The extension {type(extension).__module__} compresses inside of "
                "SerialMiddleware.",
                f"app.extensions[{name!r}]",
            )
    for functions in getattr(app, "after_request_funcs", {}).values():
        for function in functions:
            package = getattr(function, "__module__", "").partition(".")[0]
            if package in ("quart_compress", "flask_compress"):
                yield Finding(
                    Code.COMPRESSED_INSIDE,
                    f"{package} compresses inside of SerialMiddleware.",
                    "app.after_request",
                )


def _check_django(app: Any) -> Iterator[Finding]:
    if not _is_of(app, "django", "ASGIHandler"):
        return
    settings = sys.modules["django.conf"].settings
    for path in getattr(settings, "MIDDLEWARE", ()):
        name = ("django", path.rpartition(".")[2])
        if not path.startswith("django."):
            continue
        where = "settings.MIDDLEWARE"
        if name in _COMPRESSION:
            sentence = f"{path} compresses inside of SerialMiddleware."
            yield Finding(Code.COMPRESSED_INSIDE, sentence, where)
        elif name in _CACHES:
            yield Finding(Code.CACHED_ELSEWHERE, f"{path} caches responses as well.", where)
