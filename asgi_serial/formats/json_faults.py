"""Find the fault for which a JSON document is refused."""

import re
from itertools import islice

import orjson

from asgi_serial.errors import FormatError
from asgi_serial.formats.faults import MAX_TOKENS, Container, fault_at

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{},]|[-+.0-9a-zA-Z]++')
_INTEGER = re.compile(rb"-?[0-9]+")


def json_syntax_fault(data: bytes, error: orjson.JSONDecodeError, max_depth: int) -> FormatError:
    """Return the error for a document that orjson refuses."""
    if "limit" in error.msg:
        fault = find_json_fault(data, max_depth)
        return fault or FormatError("the document is nested too deeply")
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        return FormatError(f"bytes that are not UTF-8 at byte {wrong.start}", position=wrong.start)
    # orjson gives the position in characters.
    position = len(error.doc[: error.pos].encode())
    return FormatError(f"not JSON: {error.msg} at byte {position}", position=position)


def find_json_fault(data: bytes, max_depth: int) -> FormatError | None:
    """Return the first value of a valid document that is too deep, too wide or named twice."""
    containers: list[Container] = []
    for match in islice(_TOKEN.finditer(data), MAX_TOKENS):
        what = _take(match[0], containers, max_depth)
        if what:
            return fault_at(what, match.start(), containers)
    return None


def _take(token: bytes, containers: list[Container], max_depth: int) -> str | None:
    """Process one token; return its fault, if any."""
    if token in (b"[", b"{"):
        if len(containers) == max_depth:
            return f"nesting beyond {max_depth} levels"
        containers.append(Container(token == b"{"))
    elif token in (b"]", b"}"):
        containers.pop()
    elif token == b",":
        containers[-1].leave()
    elif containers and containers[-1].is_name_due:
        name = orjson.loads(token)
        return containers[-1].enter(name, name)
    elif _INTEGER.fullmatch(token) and not -(2**63) <= int(token) < 2**64:
        return "integer beyond 64 bits"
    return None
