"""What a write makes invalid, and whom it does not answer: RFC 9111, 4.4 and 4."""

from tests.conformance.table import CACHE, MAY, MUST, ORIGIN, ask, case, reply

FRESH = "Cache-Control: max-age=60"
KEPT = ask(reply=reply(FRESH))


def dropped(
    strength, name, *lines, path="", method="POST", status=200, dropped=True, section="9111 4.4"
):
    """Whether a write of the case's path drops what is stored under `path`."""
    again = ask(path=path, source=ORIGIN if dropped else CACHE, of=None if dropped else 1)
    write = ask(method=method, body=b"x", reply=reply(*lines, status=status))
    return case(section, strength, name, ask(path=path, reply=reply(FRESH)), write, again)


def kept(strength, name, *lines, **rest):
    return dropped(strength, name, *lines, dropped=False, **rest)


CASES = [
    *(dropped(MUST, f"{method}", method=method) for method in ("POST", "PUT", "DELETE", "PATCH")),
    *(
        dropped(MUST, f"{method}, of which it is not known whether it is safe", method=method)
        for method in ("LINK", "MKCOL", "LOCK")
    ),
    *(dropped(MUST, f"POST with {status}", status=status) for status in (201, 202, 204, 302, 303)),
    *(kept(MAY, f"POST with {status}", status=status) for status in (400, 404, 409, 500, 503)),
    *(kept(MAY, f"{method}, which is safe", method=method) for method in ("OPTIONS", "PROPFIND")),
    dropped(MAY, "Location as a path", "Location: {path}/b", path="/b", status=201),
    dropped(
        MAY, "Location as a URI", "Location: http://example.org{path}/b", path="/b", status=201
    ),
    dropped(MAY, "Location, relative", "Location: ..{path}/b", path="/b", status=201),
    dropped(MAY, "Location with a query", "Location: {path}/b?c=d", path="/b?c=d", status=201),
    dropped(MAY, "Location with a fragment", "Location: {path}/b#c", path="/b", status=303),
    dropped(MAY, "Content-Location as a path", "Content-Location: {path}/b", path="/b"),
    dropped(
        MAY, "Content-Location as a URI", "Content-Location: http://example.org{path}/b", path="/b"
    ),
    dropped(MAY, "Content-Location of PUT", "Content-Location: {path}/b", path="/b", method="PUT"),
    dropped(
        MAY,
        "Location with the port that is implied",
        "Location: http://example.org:80{path}/b",
        path="/b",
        status=201,
    ),
    case(
        "9111 4.4",
        MUST,
        "POST to the host with the port that is implied (9110 4.2.3)",
        KEPT,
        ask("Host: example.org:80", method="POST", body=b"x", reply=reply()),
        ask(source=ORIGIN),
    ),
    case(
        "9111 4.4",
        MUST,
        "POST to the host without the port that is implied",
        ask("Host: example.org:80", reply=reply(FRESH)),
        ask(method="POST", body=b"x", reply=reply()),
        ask("Host: example.org:80", source=ORIGIN),
    ),
    kept(MUST, "Location on another host", "Location: http://other.example{path}/b", path="/b"),
    kept(MUST, "Location on another port", "Location: http://example.org:81{path}/b", path="/b"),
    kept(MUST, "Location by another scheme", "Location: https://example.org{path}/b", path="/b"),
    kept(
        MUST,
        "Location on another host, without a scheme",
        "Location: //other.example{path}/b",
        path="/b",
    ),
    kept(
        MUST,
        "Content-Location on another host",
        "Content-Location: http://other.example{path}/b",
        path="/b",
    ),
    kept(MAY, "Location that is no URI", "Location: http://[", path="/b"),
    kept(MAY, "Location of an error", "Location: {path}/b", path="/b", status=500),
    kept(MAY, "another query", path="?a=b"),
    kept(MAY, "another path", path="/b"),
    case(
        "9111 4.4",
        MAY,
        "Location of GET drops nothing",
        ask(path="/b", reply=reply(FRESH)),
        ask(reply=reply("Location: {path}/b", status=302)),
        ask(path="/b", source=CACHE, of=1),
    ),
    case(
        "9111 4.4",
        MAY,
        "a write to another host drops nothing",
        KEPT,
        ask("Host: other.example", method="POST", body=b"x"),
        ask(source=CACHE, of=1),
    ),
    case(
        "9111 4.4",
        MUST,
        "a write drops all variants",
        ask("X-A: 1", reply=reply(FRESH, "Vary: X-A")),
        ask("X-A: 2", reply=reply(FRESH, "Vary: X-A")),
        ask(method="POST", body=b"x"),
        ask("X-A: 1", source=ORIGIN),
        ask("X-A: 2", source=ORIGIN),
    ),
    case(
        "9111 4.4",
        MUST,
        "a write by a path that is written otherwise drops no less",
        ask(path="?a=b", reply=reply(FRESH)),
        ask(path="?a=b", method="DELETE", reply=reply(status=204)),
        ask(path="?a=b", source=ORIGIN),
    ),
    *(
        case(
            "9111 4",
            MUST,
            f"{method} is not answered by the response to GET",
            KEPT,
            ask(method=method, body=b"x", reply=reply(FRESH), source=ORIGIN),
        )
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "LINK")
    ),
    *(
        case(
            "9111 4",
            MUST,
            f"GET is not answered by the response to {method}",
            ask(method=method, body=b"x", reply=reply(FRESH)),
            ask(reply=reply(FRESH), source=ORIGIN),
        )
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "LINK")
    ),
    case(
        "9111 2",
        MUST,
        "POST is not answered by the response to another POST",
        ask(method="POST", body=b"x", reply=reply(FRESH)),
        ask(method="POST", body=b"x", reply=reply(FRESH), source=ORIGIN),
    ),
]
