"""The Server-Timing field, in which a browser shows how a server spent its time."""

import re
from collections.abc import Mapping

from asgi_serial.types import Message

# RFC 9110, 5.6.2: the characters of a token.
_NOT_IN_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
# RFC 9110, 5.6.4: a quoted string holds these unescaped; here only those in ASCII.
_NOT_IN_QUOTED = re.compile(r"[^ !#-\[\]-~]")
_NO_DESCRIPTIONS: Mapping[str, str] = {}


def format_server_timing(
    durations_ns: Mapping[str, int], descriptions: Mapping[str, str] = _NO_DESCRIPTIONS
) -> bytes:
    """Return the field's value: each metric with its duration in ms, its description, or both.

    Characters that a name must not hold are written as `-`, those of a description are left out.

    Source: W3C Server Timing, 3 (the `Server-Timing` header field).

    >>> format_server_timing({"app": 1_234_567, "encode": 200_000}, {"cache": "hit"})
    b'app;dur=1.235, encode;dur=0.200, cache;desc=hit'
    """
    metrics = []
    for name in dict.fromkeys((*durations_ns, *descriptions)):
        metric = _NOT_IN_TOKEN.sub("-", name) or "-"
        if name in descriptions:
            metric += f";desc={_quote(descriptions[name])}"
        if name in durations_ns:
            metric += f";dur={durations_ns[name] / 1e6:.3f}"
        metrics.append(metric)
    return ", ".join(metrics).encode("ascii")


def _quote(text: str) -> str:
    if text and not _NOT_IN_TOKEN.search(text):
        return text
    return '"' + _NOT_IN_QUOTED.sub("", text) + '"'


def add_server_timing(
    message: Message,
    durations_ns: Mapping[str, int],
    descriptions: Mapping[str, str] = _NO_DESCRIPTIONS,
) -> Message:
    """Return a copy of a response's start with a Server-Timing field added."""
    pair = (b"server-timing", format_server_timing(durations_ns, descriptions))
    return {**message, "headers": [*message.get("headers", ()), pair]}
