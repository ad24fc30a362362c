"""Names that other libraries have for a setting or an option, and what they are called here.

A hint names settings in braces, so that it can be given in the spelling of arguments or variables.
"""

from collections.abc import Mapping


def _spread(groups: Mapping[str, str]) -> dict[str, str]:
    return {name: hint for names, hint in groups.items() for name in names.split()}


_LIFETIMES = (
    "ttl expire expires expiration expire_after expires_in max_age lifetime seconds cache_seconds "
    "default_ttl default_expiration default_timeout cache_timeout cache_default_timeout"
)
_OPTION_OF_ROUTES = (
    "this is an option of single routes: set it by @serial, or for all of them by "
    "{routes}, such as {{'/**': {{...}}}}."
)

# From fastapi-cache, aiocache, Flask-Caching, Django, hishel, cachetools and starlette-caches; from
# Starlette's GZipMiddleware, brotli-asgi, starlette-compress, Litestar, Flask-Compress and nginx.
SETTING_HINTS: Mapping[str, str] = _spread(
    {
        _LIFETIMES: "did you mean {cache_ttl}?",
        "negative_ttl not_found_ttl": "did you mean {cache_negative_ttl}?",
        "redis_url redis_uri redis_dsn redis_host redis cache_redis_url cache_redis_host "
        "memcached memcached_url memcached_servers cache_memcached_servers cache_type location "
        "endpoint host url uri dsn backend cache_backend storage": (
            "did you mean {cache_url}, such as redis://host:6379/0? "
            "An object is passed as the argument `store`."
        ),
        "compresslevel compress_level compression_level level gzip_compress_level "
        "gzip_compresslevel deflate_level": (
            "did you mean {gzip_level}? There are also {brotli_level} and {zstd_level}."
        ),
        "quality brotli_quality brotli_compress_level br_level br_quality compress_br_level": (
            "did you mean {brotli_level}?"
        ),
        "zstd_compression_level zstandard_level zstd_compress_level compress_zstd_level": (
            "did you mean {zstd_level}?"
        ),
        "minimum_size minimum_length minimum_bytes min_length min_bytes compress_min_size "
        "gzip_min_length threshold": "did you mean {min_size}?",
        "algorithm algorithms encodings content_encodings content_codings compress_algorithm "
        "gzip brotli zstd deflate gzip_fallback brotli_gzip_fallback": (
            "did you mean {codings}, a list such as zstd,br,gzip?"
        ),
        "mimetypes mime_types content_types media_types compress_mimetypes gzip_types": (
            "did you mean {compressible_types}?"
        ),
        "prefix key_prefix cache_prefix cache_key_prefix namespace": (
            "did you mean {cache_namespace}?"
        ),
        "maxsize max_size max_memory maxmemory memory cache_size cache_max_size capacity "
        "cache_threshold": "did you mean {cache_memory}?",
        "max_object_size max_response_size max_entry_size": "did you mean {cache_max_object}?",
        "max_body_size max_request_size max_upload_size client_max_body_size": (
            "did you mean {max_encoded}, or {max_decoded} for the size after decoding?"
        ),
        "key_builder key_fields vary vary_by vary_on vary_headers cache_vary": (
            "did you mean {cache_key_fields}?"
        ),
        "ignored_parameters ignore_params ignored_query_params strip_query exclude_query": (
            "did you mean {cache_ignore_query}, or {cache_query} for the only ones that count?"
        ),
        "strip_headers remove_headers exclude_headers ignored_response_headers": (
            "did you mean {cache_strip_fields}?"
        ),
        "strip_cookies ignore_set_cookie cache_cookies": "did you mean {cache_set_cookie}?",
        "vary_normalize normalize_vary normalize_headers languages supported_languages "
        "accept_language normalize_accept_language": (
            "did you mean {cache_vary_normalize}, such as {{'accept-language': ['en', 'de']}}?"
        ),
        "stale_while_revalidate swr grace": "did you mean {cache_grace}?",
        "stale_if_error": "did you mean {cache_stale_if_error}?",
        "exclude exclude_paths excluded_paths exclude_routes excluded_handlers skip_paths "
        "ignore_paths include_paths paths rules policies": (
            "did you mean {routes}, such as {{'/admin/**': {{'cache': False}}}}?"
        ),
        "tags tag_header cache_tags": "did you mean {cache_tag_fields}?",
        "timeout socket_timeout": "did you mean {cache_store_timeout} or {body_timeout}?",
        "secret secret_key": "did you mean {cache_secret}?",
        "token api_key": "did you mean {report_token} or {purge_token}?",
        "x_cache cache_header status_header": "did you mean {cache_status}?",
        "cache_shared cache_body cache_partition skip": _OPTION_OF_ROUTES,
    }
)

_SETTING_OF_ALL = "this is a setting for all routes: give it to SerialMiddleware."

POLICY_HINTS: Mapping[str, str] = _spread(
    {
        f"{_LIFETIMES} timeout": "did you mean cache_ttl?",
        "private user users per_user partition partition_by vary_on_cookie": (
            "did you mean cache_partition?"
        ),
        "public shared": "did you mean cache_shared?",
        "body key_body": "did you mean cache_body?",
        "key_builder key vary vary_by vary_on vary_headers": (
            "did you mean cache_partition? Fields that all routes vary on are the setting "
            "cache_key_fields, and a response can name its own in Vary."
        ),
        "no_cache no_store nocache never_cache": "did you mean cache=False?",
        "unless skip_if skip_cache skip_cache_func condition bypass": "did you mean skip?",
        "compress gzip brotli": "did you mean compression?",
        "uploads": "did you mean format_uploads?",
        "tags cache_tags": "a response names its tags itself, in Cache-Tag.",
        # A test compares them with the settings.
        "codings min_size gzip_level brotli_level zstd_level compressible_types whole_limit "
        "max_encoded max_decoded max_ratio max_codings max_gathered body_timeout format_strict "
        "format_max_depth format_max_size enabled preset encodings_cache server_timing "
        "cache_url cache_negative_ttl cache_heuristic cache_targets cache_obey_requests "
        "cache_confirm cache_posted cache_keep_stale cache_grace cache_stale_if_error "
        "cache_max_refreshes cache_max_ranges cache_parts cache_tag_fields cache_secret "
        "cache_memory cache_max_object cache_max_key_body cache_status cache_name "
        "cache_status_key cache_store_timeout cache_wait cache_lead cache_namespace "
        "cache_sort_query cache_key_fields cache_ignore_fields cache_ignore_query cache_query "
        "cache_strip_fields cache_set_cookie cache_vary_normalize": (_SETTING_OF_ALL),
    }
)


def hint_at(name: str, hints: Mapping[str, str], known: Mapping[str, str]) -> str | None:
    """Return the hint for an unknown name, with the settings in it as `known` spells them.

    >>> hint_at("ttl", SETTING_HINTS, {"cache_ttl": "ASGI_SERIAL_CACHE_TTL"})
    'did you mean ASGI_SERIAL_CACHE_TTL?'
    """
    hint = hints.get(name.lower().replace("-", "_"))
    return None if hint is None else hint.format_map(known)
