"""Read the library's environment variables."""

from collections.abc import Collection, Mapping

from asgi_serial.errors import ConfigurationError
from asgi_serial.settings.model import LIBRARY_PREFIX as PREFIX
from asgi_serial.settings.values import explain_unknown

# These names have no prefix, and other software may use similar ones. So unknown names are not
# errors here.
OLDER_NAMES = {
    "SERIALIZATION_FORMAT": "default_format",
    "SERIALIZATION_FALLBACK_FORMAT": "fallback_format",
    "ENABLE_COMPRESSION": "enable_compression",
    "COMPRESSION_LEVEL": "compression_level",
    "COMPRESSION_THRESHOLD": "compression_threshold",
    "ENABLE_SERIALIZATION_CACHING": "enable_caching",
    "SERIALIZATION_CACHE_TTL": "cache_ttl",
    "SERIALIZATION_CACHE_MAX_SIZE": "cache_max_size",
    "ENABLE_VALIDATION": "enable_validation",
    "CACHE_VALIDATION": "cache_validation",
    "STRICT_VALIDATION": "strict_validation",
    "ENABLE_SERIALIZATION_PROFILING": "enable_profiling",
    "SERIALIZATION_PROFILE_THRESHOLD": "profile_threshold",
    "SERIALIZATION_MAX_RETRIES": "max_retries",
    "SERIALIZATION_RETRY_DELAY": "retry_delay",
    "SERIALIZATION_PICKLE_KEY": "pickle_key",
}
"""The fields that the older names set."""

# A mapping of functions cannot be written as text.
_NOT_IN_ENVIRONMENT = frozenset({"pydantic_config"})


def read_environment(
    environ: Mapping[str, str], fields: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Return the variable and its text for each field that is set.

    A prefixed name takes precedence over the older name.

    Raises: ConfigurationError for unknown prefixed names, and for a name in two spellings.
    """
    variables = {PREFIX + name.upper(): name for name in fields if name not in _NOT_IN_ENVIRONMENT}
    newer: dict[str, tuple[str, str]] = {}
    older: dict[str, tuple[str, str]] = {}
    faults = []
    for label, text in environ.items():
        spelled = label.upper()
        if not text.strip():
            continue
        if spelled.startswith(PREFIX) and spelled not in variables:
            faults.append(
                explain_unknown(label, variables, kind="a setting", prefix_length=len(PREFIX))
            )
            continue
        found, names = (newer, variables) if spelled in variables else (older, OLDER_NAMES)
        name = names.get(spelled)
        if name is None:
            continue
        if name in found:
            faults.append(f"{label} is also set as {found[name][0]}; set only one of them.")
        found[name] = (label, text)
    if faults:
        raise ConfigurationError("\n".join(faults))
    return older | newer


def find_pickle_key(environ: Mapping[str, str]) -> str | None:
    """Return the environment's key for pickles; None if it has none."""
    texts = {label.upper(): text for label, text in environ.items()}
    return texts.get(f"{PREFIX}PICKLE_KEY") or texts.get("SERIALIZATION_PICKLE_KEY")
