"""Which requests are for the same resource: RFC 9111, 2 and 4; RFC 9110, 4.2.3 and 9.3.1."""

from tests.conformance.table import CACHE, MAY, MUST, ORIGIN, SHOULD, ask, case, reply

FRESH = "Cache-Control: max-age=60"


def apart(name, first, then, section="9111 4"):
    """Requests for these paths below the case's are not for the same."""
    return case(
        section,
        MUST,
        name,
        ask(path=first, reply=reply(FRESH)),
        ask(path=then, reply=reply(FRESH), source=ORIGIN),
    )


CASES = [
    apart("another query", "?a=1", "?a=2"),
    apart("a query where there was none", "", "?a=1"),
    apart("no query where there was one", "?a=1", ""),
    apart("a query in another order", "?a=1&b=2", "?b=2&a=1"),
    apart("a query that is the path's end", "/a?b", "/ab"),
    apart("a question mark that is escaped", "/a?b", "/a%3Fb"),
    apart("a slash that is escaped", "/a/b", "/a%2Fb"),
    apart("a percent sign that is escaped", "/a%2Fb", "/a%252Fb"),
    apart("two slashes", "/a/b", "/a//b"),
    apart("a slash at the end", "/a", "/a/"),
    apart("a path in another case", "/a", "/A"),
    apart("parameters of a segment", "/a", "/a;b.css"),
    apart("dots in the path", "/a/b", "/a/./b"),
    apart("a plus for a space", "?a+b", "?a%20b"),
    *(
        case(
            "9110 4.3.1",
            MUST,
            f"another host, {host}",
            ask(reply=reply(FRESH)),
            ask(f"Host: {host}", reply=reply(FRESH), source=ORIGIN),
        )
        for host in ("other.example", "example.org:81", "www.example.org", "example.orgx")
    ),
    case(
        "9110 4.2.3",
        MAY,
        "a host in another case",
        ask(reply=reply(FRESH)),
        ask("Host: EXAMPLE.org", source=CACHE),
    ),
    case(
        "9110 9.3.1",
        SHOULD,
        "GET is not answered by the response to a GET with content",
        ask(body=b"x", reply=reply(FRESH)),
        ask(reply=reply(FRESH), source=ORIGIN),
    ),
    case(
        "9110 9.3.1",
        SHOULD,
        "a GET with content is not answered from the cache",
        ask(reply=reply(FRESH)),
        ask(body=b"x", reply=reply(FRESH), source=ORIGIN),
    ),
    *(
        case(
            "9111 7.1",
            SHOULD,
            f"{name} may route elsewhere",
            ask(f"{name}: evil.example", reply=reply(FRESH)),
            ask(reply=reply(FRESH), source=ORIGIN),
        )
        for name in (
            "X-Forwarded-Host",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-HTTP-Method-Override",
        )
    ),
]
