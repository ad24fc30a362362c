"""The metrics of an engine as text, for Prometheus and other collectors that scrape."""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING

from asgi_serial.admin.access import Refusal, read_head, refuse_access
from asgi_serial.admin.responses import VARY, respond
from asgi_serial.admin.state import workers_states
from asgi_serial.codecs.registry import coding_aliases
from asgi_serial.concurrency.threads import run_in_thread
from asgi_serial.http.negotiation import choose_coding, choose_format
from asgi_serial.timing.prometheus_families import build_families
from asgi_serial.timing.prometheus_text import (
    OPENMETRICS_TYPE,
    PLAIN_TYPE,
    format_openmetrics,
    format_plain,
)
from asgi_serial.version import __version__

if TYPE_CHECKING:
    from asgi_serial.codecs.base import Codec
    from asgi_serial.engine.engine import Engine
    from asgi_serial.timing.prometheus_text import Family
    from asgi_serial.types import Field, Message, Scope

# Prometheus 3 says how names with other characters than letters, digits and `_` should be written.
# Ours have none, so that they are the same under each of its schemes.
_ESCAPING = ("allow-utf-8", "underscores", "dots", "values")
_OPENMETRICS = (OPENMETRICS_TYPE, *(f"{OPENMETRICS_TYPE}; escaping={one}" for one in _ESCAPING))


def engine_families(engine: Engine) -> list[Family]:
    """Return everything that an engine has recorded, as families of metrics.

    If several workers serve the app, they are the same from each of them.
    """
    return build_families(
        {} if engine.series is None else engine.series.snapshot(),
        {pid: state.counts for pid, state in sorted(workers_states(engine).items())},
        {"version": __version__, "python_version": platform.python_version()},
        bounds=engine.settings.metrics_buckets,
    )


async def metrics_messages(engine: Engine, scope: Scope) -> list[Message]:
    """Return the response with the metrics, in the format and coding that the client prefers."""
    head = read_head(scope)
    method, fields = head.method, head.fields
    refusal = refuse_access(
        head, engine.settings.report_token, setting="report_token", realm="metrics"
    )
    if refusal is None and method not in ("GET", "HEAD"):
        refusal = Refusal(405, "Use GET or HEAD.", ((b"allow", b"GET, HEAD"),))
    is_head = method == "HEAD"
    if refusal is not None:
        detail = f"{refusal.detail}\n".encode()
        more: tuple[Field, ...] = (VARY, *refusal.fields)
        return respond(refusal.status, b"text/plain", detail, is_head=is_head, fields=more)
    media_type, _ = choose_format(fields.get(b"accept"), PLAIN_TYPE, (_OPENMETRICS,))
    coding = choose_coding(fields.get(b"accept-encoding"), ("gzip",), coding_aliases())
    codec = engine.negotiator.codecs[coding] if coding else None
    # Many series take a while to write, which the requests of others should not wait for.
    write = partial(_write, engine, codec, is_openmetrics=media_type != PLAIN_TYPE)
    body = await run_in_thread(write, engine.workers.encoders)
    content_type = f"{media_type}; charset=utf-8".encode()
    more = (VARY, (b"content-encoding", coding.encode())) if coding else (VARY,)
    return respond(200, content_type, body, is_head=is_head, fields=more)


def _write(engine: Engine, codec: Codec | None, *, is_openmetrics: bool) -> bytes:
    families = engine_families(engine)
    text = format_openmetrics(families) if is_openmetrics else format_plain(families)
    return text if codec is None else codec.compress(text)
