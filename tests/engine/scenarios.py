"""Random apps, as scripts of ASGI messages, random settings, and clients that ask several times."""

import gzip
import json
from typing import Any, NamedTuple

import msgpack
from hypothesis import strategies as st

from .driver import Request
from .scripted import Script


class Step(NamedTuple):
    """One request of a scenario."""

    request: Request
    plain: Request  # what it means to a bare app: its body decoded and JSON, without conditions
    holds: int | None  # the number of an earlier answer, whose tag goes into If-None-Match
    passes: float  # seconds, before it
    process: int  # which of the two that share a store is asked


class Scenario(NamedTuple):
    """An app, what it is behind, and who asks it for what."""

    script: Script
    settings: dict[str, Any]
    steps: list[Step]
    at_once: bool
    store: str  # of the two processes: none, one that is shared, one that spoils what it keeps


TYPES = [
    *["application/json"] * 5,
    "application/json; charset=utf-8",
    "application/json; charset=latin-1",
    "APPLICATION/JSON",
    "application/problem+json",
    "text/html",
    "text/event-stream",
    "image/png",
    "application/msgpack",
    None,
]
CONTROLS = [
    *[None] * 3,
    *["max-age=60"] * 4,
    *(
        "public, max-age=60",
        "s-maxage=60",
        "max-age=60, must-revalidate",
        "max-age=60, no-transform",
    ),
    *("no-store", "private", "no-cache, max-age=60", "max-age=0", 'private="x", max-age=60', "=,"),
]
CONTROLS_THAT_STORE = ["max-age=60", "public, max-age=60", "s-maxage=60"]
TAGS = [*[None] * 3, *[b'"v1"'] * 3, b'W/"v1"', b'"v1-gzip"', b'"v1-identity"', b'""', b"no tag"]
VARIES = [*[None] * 5, *["accept-language"] * 3, "*", "Accept, Accept-Encoding", "cookie"]
STATUSES = [*[200] * 12, 201, 204, 206, 301, 304, 404, 404, 500]

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=5)
    ),
    max_leaves=12,
)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """A body: JSON mostly, of a few bytes or of a few thousand; or what is not quite JSON."""
    text = json.dumps(draw(_values), ensure_ascii=draw(st.booleans()))
    times = draw(st.sampled_from([0, 0, 1, 40, 200]))
    if times:
        text = "[" + ", ".join([text] * times) + "]"
    spoil = draw(st.sampled_from([*["{}"] * 9, "{} ", "", "{}]", '{{"a":1,"a":2}}', "[NaN, {}]"]))
    made = spoil.replace("{}", text) if "{{" not in spoil else spoil.format()
    return made.encode("utf-8", "surrogatepass")


@st.composite
def scripts(draw: st.DrawFn, *, stored: bool) -> Script:
    """An app; `stored` says that its responses are whole, and may be stored."""
    content, status = draw(contents()), draw(st.sampled_from([200] if stored else STATUSES))
    fields: list[tuple[bytes, bytes]] = []
    controls = CONTROLS_THAT_STORE if stored else CONTROLS
    content_type, control = draw(st.sampled_from(TYPES)), draw(st.sampled_from(controls))
    tag, vary = draw(st.sampled_from(TAGS)), draw(st.sampled_from(VARIES))
    if status in (204, 304):
        content = b""
    if content_type is not None:
        fields.append((b"content-type", content_type.encode()))
    if content and draw(st.integers(0, 9)) == 0:
        content = gzip.compress(content, mtime=0)
        fields.append((b"content-encoding", b"gzip"))
    length = draw(st.sampled_from(["right"] * 5 + ["none"] * 5 + ["twice", "short", "long", "odd"]))
    told = {"short": max(len(content) - 1, 0), "long": len(content) + 7}.get(length, len(content))
    if length != "none" and status not in (204, 304):
        value = b"+5" if length == "odd" else b"%d" % told
        fields += [(b"content-length", value)] * (2 if length == "twice" else 1)
    for name, value in ((b"cache-control", control), (b"vary", vary)):
        if value is not None:
            fields.append((name, value.encode()))
    if tag is not None:
        fields.append((b"etag", tag))
    others = st.sampled_from(
        [(b"link", b"</a>"), (b"link", b"</b>"), (b"x-a", b"1"), (b"date", b"?")]
    )
    fields += draw(st.lists(others, max_size=3))
    if not stored and draw(st.integers(0, 7)) == 0:
        fields += [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    if status == 206:
        fields.append((b"content-range", b"bytes 0-9/100"))
    cuts = draw(st.lists(st.integers(0, len(content)), max_size=4))
    breaks = not stored and draw(st.integers(0, 5)) == 0
    return Script(
        status,
        content,
        tuple(cuts),
        tuple(draw(st.permutations(fields))) if draw(st.booleans()) else tuple(fields),
        draw(st.sampled_from(["list", "list", "tuple", "iterator"])),
        tag if status == 200 and tag != b"no tag" and draw(st.booleans()) else None,
        draw(st.integers(0, len(cuts) + 1)) if breaks else None,
        draw(st.integers(0, 5)) == 0,
        draw(st.sampled_from(["never", "first", "first", "after the start", "late"])),
        draw(st.integers(0, 7)) == 0 and not stored and status not in (204, 304),
        draw(st.booleans()),
    )


ACCEPTS = [
    *[None] * 3,
    *("*/*", "application/json", "text/html", "application/vnd.msgpack", "application/x-msgpack"),
    "application/msgpack, application/json;q=0.5",
    "application/vnd.msgpack;q=0, */*",
    "application/json;q=0",
]
ACCEPT_ENCODINGS = [
    *[None] * 2,
    "gzip",
    "br",
    "zstd",
    "gzip, br, zstd",
    "*",
    "identity",
    "gzip;q=0, *;q=0.5",
]


@st.composite
def steps(draw: st.DrawFn, place: int, *, formats: bool, stored: bool) -> Step:
    """A request, of several that come one after the other; `stored`: one that reads."""
    reads = ["GET"] * 7
    method = draw(
        st.sampled_from(
            reads
            if stored and place % 3
            else [*reads, "HEAD", "HEAD", "POST", "POST", "PUT", "PUT", "QUERY"]
        )
    )
    fields: list[tuple[str, str]] = []

    def add(name: str, values: list[str | None]) -> None:
        value = draw(st.sampled_from(values))
        if value is not None and (not stored or name.startswith("accept") or place % 3 == 2):
            fields.append((name, value))

    add("accept", ACCEPTS)
    add("accept-encoding", ACCEPT_ENCODINGS)
    add("cookie", [*[None] * 9, "a=b"])
    add("authorization", [*[None] * 9, "Basic YTpi"])
    add("accept-language", [None, None, "de", "en"])
    add(
        "cache-control",
        [*[None] * 9, "no-cache", "no-store", "no-transform", "max-age=5", "max-stale"],
    )
    add("range", [*[None] * 15, "bytes=0-4"])
    add("if-none-match", [*[None] * 12, "*", '"v1"', '"v1-gzip"', 'W/"v1-msgpack-br", "v1-br"'])
    path = draw(st.sampled_from(["/", "/", "/", "/other"]))
    body, plain_body, sent = b"", b"", list(fields)
    plain_fields = [pair for pair in fields if pair[0] != "if-none-match"]
    if method not in ("GET", "HEAD"):
        value = draw(_values.filter(_is_carried))
        plain_body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        form = draw(st.sampled_from(["json", "json", "msgpack"] if formats else ["json"]))
        body = msgpack.packb(value) if form == "msgpack" else plain_body
        media_type = "application/vnd.msgpack" if form == "msgpack" else "application/json"
        sent.append(("content-type", media_type))
        plain_fields.append(("content-type", "application/json"))
        if draw(st.booleans()):
            body = gzip.compress(body)
            sent.append(("content-encoding", "gzip"))
        sent.append(("content-length", str(len(body))))
        plain_fields.append(("content-length", str(len(plain_body))))
    cut = draw(st.integers(0, len(body)))
    leaves = draw(st.integers(0, 9)) == 0
    return Step(
        Request(method, path, tuple(sent), (body[:cut], body[cut:]), leaves=leaves),
        Request(method, path, tuple(plain_fields), (plain_body,), leaves=leaves),
        draw(st.integers(0, place - 1)) if place and draw(st.integers(0, 3)) == 0 else None,
        draw(st.sampled_from([0, 0, 0, 0.5, 30, 61])),
        draw(st.integers(0, 1)),
    )


def _is_carried(value: Any) -> bool:
    """Whether both formats hold a value, and one only way to write it as JSON is taken."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    try:
        packed = msgpack.packb(value)
        text.encode()
    except (OverflowError, UnicodeEncodeError):
        return False
    return "e" not in text and bool(packed)


SETTINGS: list[dict[str, Any]] = [
    *[{}] * 3,
    {"cache_ttl": "60s"},
    {"cache_ttl": "60s", "min_size": 0, "server_timing": True},
    {"compression": False},
    {"formats": False},
    {"cache": False},
    {"cache": False, "compression": False, "formats": False, "decoding": True},
    {"encodings_cache": False, "timing": False},
    {"whole_limit": 100, "min_size": 10},
    {"cache_max_object": 300, "cache_ttl": "60s"},
    {"routes": {"/": {"cache_body": True, "cache_ttl": "60s"}}},
    {"routes": {"/": {"cache_shared": True, "cache_ttl": "60s"}}},
    {"routes": {"/other": {"cache": False, "compression": False}}, "cache_ttl": "60s"},
    {"codings": ["gzip"], "cache_status": False},
    {"cache_memory": 3000, "cache_max_object": 3000},
]


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """An app, settings, and some requests."""
    count, settings = draw(st.integers(1, 7)), draw(st.sampled_from(SETTINGS))
    formats = settings.get("formats", True)
    stored = draw(st.booleans())
    made = [draw(steps(place, formats=formats, stored=stored)) for place in range(count)]
    if count > 2 and draw(st.booleans()):
        made = [made[place % 2] for place in range(count)]  # the same again, so that hits occur
    return Scenario(
        draw(scripts(stored=stored)),
        settings,
        made,
        draw(st.integers(0, 4)) == 0,
        draw(st.sampled_from(["none", "none", "shared", "spoiling"])),
    )
