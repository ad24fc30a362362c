"""What a client may be told, by what the bare app has said; written apart from the engine."""

import json
import re
from typing import Any

from .client import MSGPACK_TYPES, Answer, understand
from .driver import Recording, Request, find_faults
from .scenarios import Step

# About the bytes and their form, which may differ; and what is ours to add.
ENCODING_FIELDS = {
    *(b"content-length", b"content-encoding", b"content-type", b"etag", b"vary", b"accept-ranges"),
    *(b"cache-status", b"age", b"server-timing", b"x-call", b"x-read"),
}
OURS = {b"vary", b"etag", b"content-length", b"content-encoding", b"content-type", b"cache-status"}
OURS |= {b"age", b"server-timing"}
LEFT_OUT_OF_304 = {b"content-length", b"content-type", b"content-encoding", b"last-modified"}
JSON_TYPES = ("application/json",)


def called(recording: Recording) -> int | None:
    """Which call of the app an answer is of; None where the app has not started."""
    for message in recording.messages:
        if message["type"] == "http.response.start":
            return int(dict(message["headers"]).get(b"x-call", b"0")) or None
    return None


def complaints(step: Step, got: Recording, bare: Recording, *, is_hit: bool) -> list[str]:
    """In what an answer differs from what the bare app has said, to one who understands both."""
    request = step.request
    found = []
    if not bare.messages or not got.messages:
        if bool(bare.messages) != bool(got.messages):
            found.append(f"sent {got.types} instead of {bare.types}")
        if type(got.error) is not type(bare.error):
            found.append(f"ended by {got.error!r} instead of {bare.error!r}")
        return found
    faults = set(find_faults(got, request)) - set(find_faults(bare, step.plain))
    if not _lies(bare):
        found += sorted(faults)
    answer, said = understand(got), understand(bare)
    if (answer.status, said.status) == (304, 200):
        return found + _complaints_of_304(request, answer, said)
    if not is_hit and type(got.error) is not type(bare.error):
        found.append(f"ended by {got.error!r} instead of {bare.error!r}")
    if (answer.status, said.status) in ((206, 200), (416, 200)):
        return found + _complaints_of_part(request, answer, said)
    if answer.status != said.status:
        return [*found, f"status {answer.status} instead of {said.status}"]
    found += _field_complaints(answer, said, is_hit=is_hit)
    if answer.is_whole != said.is_whole and not is_hit:
        found.append(f"whole: {answer.is_whole}, of the app: {said.is_whole}")
    if answer.trailers != said.trailers:
        found.append("other trailers")
    if request.method == "HEAD":
        if answer.body not in (b"", said.body):
            found.append("a body for HEAD")
        return found
    return found + _content_complaints(request, answer, said)


def _lies(bare: Recording) -> bool:
    """Whether the app's own Content-Length is not that of its body, or no number."""
    lengths = bare.lengths
    return len(lengths) > 1 or not all(value.isdigit() for value in lengths) or _miscounts(bare)


def _miscounts(bare: Recording) -> bool:
    size = sum(len(one.get("body", b"")) for one in bare.messages)
    return any(value.isdigit() and int(value) != size for value in bare.lengths)


def _complaints_of_304(request: Request, answer: Answer, said: Answer) -> list[str]:
    found = []
    conditions = [value for name, value in request.fields if name == "if-none-match"]
    held = {tag for value in conditions for tag in re.findall(r'"([^"]*)"', value)}
    # The app's own tag is its own to know, whether or not it looks like one of a variant.
    meant = {_opaque(value) for one in (answer, said) for value in one.all("etag")}
    if "*" not in conditions and not held & meant:
        found.append(f"304 for {conditions!r}, of the tags {meant!r}")
    if answer.body:
        found.append("a 304 with content")
    for name, value in said.fields:
        if name not in ENCODING_FIELDS | LEFT_OUT_OF_304 and (name, value) not in answer.fields:
            found.append(f"{name!r} is missing in a 304")
    return found


def _complaints_of_part(request: Request, answer: Answer, said: Answer) -> list[str]:
    """RFC 9110, 14.4 and 15.3.7: it says which part it is, and is no more than that."""
    if "range" not in dict(request.fields):
        return [f"{answer.status} for the whole"]
    stated = answer.one("content-range") or ""
    if answer.status == 416:
        return [] if stated.startswith("bytes */") and not answer.body else ["a wrong 416"]
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", stated)
    if match is None:
        return [f"Content-Range {stated!r}"]
    first, last, length = map(int, match.groups())
    if last - first + 1 != len(answer.body) or last >= length:
        return [f"{len(answer.body)} bytes as {stated!r}"]
    own = answer.coding == said.coding and answer.media_type == said.media_type
    if own and answer.body != said.body[first : last + 1]:
        return ["other bytes in the part"]
    return []


def _opaque(tag: bytes) -> str:
    return tag.decode("latin-1").removeprefix("W/").strip('"')


def _field_complaints(answer: Answer, said: Answer, *, is_hit: bool) -> list[str]:
    own = [pair for pair in said.fields if pair[0] not in ENCODING_FIELDS]
    got = [pair for pair in answer.fields if pair[0] not in ENCODING_FIELDS]
    found = [] if own == got else [f"fields {got} instead of {own}"]
    added = {name for name, _ in answer.fields} - {name for name, _ in said.fields} - OURS
    found += [f"{name!r} was added" for name in sorted(added - {b"x-call", b"x-read"})]
    if not is_hit and answer.all("x-read") != said.all("x-read"):
        found.append("the app has read another body")
    return found


def _content_complaints(request: Request, answer: Answer, said: Answer) -> list[str]:
    accepted = dict(request.fields)
    found = []
    added_coding = answer.coding if answer.coding != said.coding else ""
    if added_coding and not _takes(accepted.get("accept-encoding", ""), added_coding):
        found.append(f"{added_coding} for Accept-Encoding {accepted.get('accept-encoding')!r}")
    if not added_coding and answer.coding != said.coding:
        found.append(f"coding {answer.coding!r} instead of {said.coding!r}")
    if not (answer.is_whole and said.is_whole):
        if not added_coding and not said.body.startswith(answer.body):
            found.append("other bytes before it broke off")
        return found
    if answer.media_type == said.media_type:
        if answer.content != said.content:
            found.append("other content")
    elif answer.media_type in MSGPACK_TYPES and said.media_type.lower() in JSON_TYPES:
        if answer.media_type not in accepted.get("accept", ""):
            found.append(f"{answer.media_type} for Accept {accepted.get('accept')!r}")
        if repr(answer.document) != repr(json.loads(said.content)):
            found.append(f"the document {answer.document!r} instead of {said.content!r}")
    else:
        found.append(f"media type {answer.media_type!r} instead of {said.media_type!r}")
    return found


def _takes(accept_encoding: str, coding: str) -> bool:
    if f"{coding};q=0," in accept_encoding + ",":
        return False
    return coding in accept_encoding or "*" in accept_encoding


def reuse_complaints(
    now: Step, then: Step, said: Recording, settings: dict[str, Any], seconds: float
) -> list[str]:
    """Why what the app said to the one request may not answer the other, `seconds` later."""
    fields, old = dict(now.request.fields), dict(then.request.fields)
    route = settings.get("routes", {}).get(now.request.path, {})
    found = []
    if now.request.path != then.request.path:
        found.append("another resource")
    reads = ("GET", "HEAD")
    if then.request.method not in reads or now.request.method not in reads:
        keyed = route.get("cache_body") and now.request.method == then.request.method
        if not keyed or now.plain.body != then.plain.body:
            found.append(f"{now.request.method} answered by {then.request.method}")
    elif then.request.method == "HEAD" and b"etag" not in dict(said.start["headers"]):
        found.append("answered by a HEAD")  # with a tag it may have confirmed what was stored
    control = fields.get("cache-control", "")
    if any(word in control for word in ("no-cache", "no-store")):
        found.append(f"in spite of {control!r}")
    if control == "max-age=5" and seconds > 5:
        found.append("older than the client wants")
    if "no-store" in old.get("cache-control", ""):
        found.append("the request forbade storing")
    return found + _response_complaints(fields, old, said, settings | route, seconds)


def _response_complaints(
    fields: dict[str, str],
    old: dict[str, str],
    said: Recording,
    settings: dict[str, Any],
    seconds: float,
) -> list[str]:
    found = []
    start = dict(said.start["headers"])
    control = start.get(b"cache-control", b"").decode()
    if settings.get("cache") is False:
        found.append("the cache is off")
    forbidden = ("no-store", "private", "no-cache", "max-age=0")
    # With field names these are about the fields alone (RFC 9111, 5.2.2.4 and 5.2.2.7).
    whole = re.sub(r'(private|no-cache)="[^"]*"', "", control)
    accepts = "max-stale" in fields.get("cache-control", "")
    if accepts:
        whole = whole.replace("max-age=0", "")
    if any(word in whole for word in forbidden) or b"set-cookie" in start:
        found.append(f"the response forbade it: {control!r}")
    if "max-age=" not in control and "s-maxage=60" not in control and "cache_ttl" not in settings:
        found.append("no freshness")
    if seconds >= 60 and (not accepts or "must-revalidate" in control or "s-maxage" in control):
        found.append("stale")
    shared = "public" in control or settings.get("cache_shared")
    allowed = "s-maxage" in control or "must-revalidate" in control
    for given in (fields, old):
        if "cookie" in given and not shared:
            found.append("a cookie")
        if "authorization" in given and not (shared or allowed):
            found.append("credentials")
    vary = start.get(b"vary", b"").decode().lower()
    varying = [name for name in ("accept-language", "cookie") if name in vary]
    found += [f"another {name}" for name in varying if fields.get(name) != old.get(name)]
    if "*" in vary:
        found.append("Vary: *")
    if _miscounts(said) or not understand(said).is_whole:
        found.append("it was not complete")
    if said.start["status"] in (206, 304):
        found.append("a part, or a 304")
    return found
