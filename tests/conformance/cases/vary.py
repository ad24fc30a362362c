"""Which of the stored responses answers: RFC 9111, 4 and 4.1."""

from tests.conformance.table import CACHE, MAY, MUST, ORIGIN, ask, case, not_reused, reply, reused

FRESH = "Cache-Control: max-age=60"


def matches(make, strength, name, vary, first, then, section="9111 4.1"):
    """Whether a response to the lines `first` that varies so answers the lines `then`."""
    lines = (f"Vary: {vary}",) if isinstance(vary, str) else vary
    return make(section, strength, name, FRESH, *lines, first=first, then=then)


A, B, C = "X-A: 1", "X-B: 1", "X-C: 1"

CASES = [
    matches(reused, MAY, "the same value", "X-A", (A,), (A,)),
    matches(not_reused, MUST, "another value", "X-A", (A,), ("X-A: 2",)),
    matches(not_reused, MUST, "a value where there was none", "X-A", (), (A,)),
    matches(not_reused, MUST, "no value where there was one", "X-A", (A,), ()),
    matches(not_reused, MUST, "an empty value where there was no field", "X-A", (), ("X-A:",)),
    matches(not_reused, MUST, "no field where there was an empty value", "X-A", ("X-A:",), ()),
    matches(reused, MAY, "no value at either time", "X-A", (), ()),
    matches(reused, MAY, "a name in another case", "x-a", (A,), ("x-A: 1",)),
    matches(not_reused, MUST, "a name in another case, another value", "x-A", (A,), ("X-A: 2",)),
    matches(not_reused, MUST, "a value in another case", "X-A", ("X-A: a",), ("X-A: A",)),
    matches(not_reused, MUST, "a value that goes on", "X-A", (A,), ("X-A: 12",)),
    matches(reused, MAY, "other fields differ", "X-A", (A, B), (A, "X-B: 2")),
    matches(reused, MAY, "all of several", "X-A, X-B", (A, B), (A, B)),
    matches(reused, MAY, "all of several in another order", "X-A, X-B", (A, B), (B, A)),
    matches(not_reused, MUST, "the first of several differs", "X-A, X-B", (A, B), ("X-A: 2", B)),
    matches(not_reused, MUST, "the last of several differs", "X-A, X-B", (A, B), (A, "X-B: 2")),
    matches(not_reused, MUST, "one of several is missing", "X-A, X-B, X-C", (A, B, C), (A, C)),
    matches(not_reused, MUST, "values change places", "X-A, X-B", (A, "X-B: 2"), ("X-A: 2", B)),
    matches(
        not_reused, MUST, "values run together", "X-A, X-B", (A, "X-B: 23"), ("X-A: 12", "X-B: 3")
    ),
    matches(
        not_reused,
        MUST,
        "a value looks like the next field",
        "X-A, X-B",
        (A, B),
        ("X-A: 1, x-b: 1",),
    ),
    matches(not_reused, MUST, "several lines of Vary", ("Vary: X-A", "Vary: X-B"), (A, B), (A,)),
    matches(
        reused, MAY, "several lines of Vary, all alike", ("Vary: X-A", "Vary: X-B"), (A, B), (A, B)
    ),
    matches(reused, MAY, "one line or two of the field", "X-A", ("X-A: 1, 2",), (A, "X-A: 2")),
    matches(not_reused, MUST, "lines in another order", "X-A", (A, "X-A: 2"), ("X-A: 2", A)),
    matches(
        not_reused, MUST, "only the first line is the same", "X-A", (A, "X-A: 2"), (A, "X-A: 3")
    ),
    matches(reused, MAY, "an empty Vary", "", (A,), ("X-A: 2",)),
    matches(reused, MAY, "empty elements in Vary", ", X-A,,", (A,), (A,)),
    matches(
        not_reused, MUST, "empty elements in Vary, another value", ", X-A,,", (A,), ("X-A: 2",)
    ),
    *(
        matches(not_reused, MUST, f"Vary: {value}", value, (A,), (A,))
        for value in ("*", "X-A, *", "*, X-A", "x-a , * , x-b")
    ),
    matches(not_reused, MUST, "Vary: * in another line", ("Vary: X-A", "Vary: *"), (A,), (A,)),
    matches(
        not_reused,
        MUST,
        "the value of a language",
        "Accept-Language",
        ("Accept-Language: en",),
        ("Accept-Language: de",),
    ),
    matches(
        not_reused,
        MUST,
        "the value of an agent",
        "User-Agent",
        ("User-Agent: a",),
        ("User-Agent: b",),
    ),
    matches(
        reused,
        MAY,
        "white space in a list of languages",
        "Accept-Language",
        ("Accept-Language: en,de;q=0.5",),
        ("Accept-Language: en, de;q=0.5",),
    ),
    matches(
        reused,
        MAY,
        "the case of languages",
        "Accept-Language",
        ("Accept-Language: en-GB",),
        ("Accept-Language: EN-gb",),
    ),
    case(
        "9111 4.1",
        MAY,
        "variants stand side by side",
        ask(A, reply=reply(FRESH, "Vary: X-A")),
        ask("X-A: 2", reply=reply(FRESH, "Vary: X-A")),
        ask("X-A: 3", reply=reply(FRESH, "Vary: X-A")),
        ask(A, source=CACHE, of=1),
        ask("X-A: 2", source=CACHE, of=2),
        ask("X-A: 3", source=CACHE, of=3),
    ),
    case(
        "9111 4.1",
        MAY,
        "each variant has its own lifetime",
        ask(A, reply=reply("Cache-Control: max-age=10", "Vary: X-A")),
        ask("X-A: 2", reply=reply("Cache-Control: max-age=60", "Vary: X-A")),
        ask("X-A: 2", source=CACHE, of=2, after=30),
        ask(A, reply=reply(FRESH, "Vary: X-A"), source=ORIGIN),
    ),
    case(
        "9111 4.1",
        MAY,
        "HEAD is answered by its variant",
        ask(A, reply=reply(FRESH, "Vary: X-A", "X-Is: 1")),
        ask("X-A: 2", reply=reply(FRESH, "Vary: X-A", "X-Is: 2")),
        ask(A, method="HEAD", source=CACHE, of=1, has=("X-Is: 1",)),
    ),
    case(
        "9111 4",
        MUST,
        "of several that match the newest answers",
        ask(A, reply=reply(FRESH, "Vary: X-A")),
        ask("X-A: 2", reply=reply(FRESH), after=1),
        ask(A, source=CACHE, of=2, after=1),
    ),
    case(
        "9111 4.1",
        MUST,
        "what a response varies on may change",
        ask(A, B, reply=reply(FRESH, "Vary: X-A")),
        ask("X-A: 2", B, reply=reply(FRESH, "Vary: X-A, X-B"), after=1),
        ask("X-A: 2", "X-B: 2", reply=reply(FRESH, "Vary: X-A, X-B"), source=ORIGIN, after=1),
    ),
    *(
        matches(not_reused, MUST, f"what is no field name: {vary}", vary, (A,), ("X-A: 2",))
        for vary in ("X-A X-B", '"X-A"', "X-A;q=1", "X-A, (X-B)")
    ),
    case(
        "9111 4.1",
        MUST,
        "Vary stands in answers from the cache",
        ask(A, reply=reply(FRESH, "Vary: X-A, X-B")),
        ask(A, source=CACHE, has=("Vary: X-A, X-B",)),
    ),
]
