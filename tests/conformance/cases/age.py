"""How old a response is, and what is said of it: RFC 9111, 4.2.3 and 5.1."""

from tests.conformance.table import (
    CACHE,
    MAY,
    MUST,
    ORIGIN,
    SHOULD,
    ask,
    case,
    not_reused,
    reply,
    reused,
)

FRESH = "Cache-Control: max-age=60"


def aged(strength, name, seconds, *lines, after=0, dated=True, section="9111 4.2.3"):
    """A response with these lines is so many seconds old when it is reused."""
    again = ask(source=CACHE, after=after, has=(f"Age: {seconds}",))
    return case(section, strength, name, ask(reply=reply(*lines, dated=dated)), again)


CASES = [
    aged(MUST, "Age counts from the response's coming", 30, FRESH, after=30, section="9111 5.1"),
    aged(MUST, "Age is 0 at once", 0, FRESH, section="9111 5.1"),
    aged(MUST, "an Age that comes is counted", 40, FRESH, "Age: 10", after=30),
    not_reused("9111 4.2.3", MUST, "an Age that comes shortens", FRESH, "Age: 31", after=29),
    reused("9111 4.2.3", MAY, "an Age that comes leaves the rest", FRESH, "Age: 31", after=28),
    not_reused("9111 4.2.3", MUST, "an Age as long as max-age", FRESH, "Age: 60"),
    not_reused(
        "9111 4.2.3", MUST, "an Age beyond s-maxage", "Cache-Control: s-maxage=60", "Age: 99"
    ),
    not_reused("9111 4.2.3", MUST, "an Age beyond Expires", "Expires: {+60}", "Age: 3600"),
    aged(MUST, "an old Date is counted", 40, FRESH, "Date: {-10}", after=30),
    not_reused("9111 4.2.3", MUST, "an old Date shortens", FRESH, "Date: {-31}", after=29),
    not_reused("9111 4.2.3", MUST, "a Date as old as max-age", FRESH, "Date: {-60}"),
    aged(MUST, "of Date and Age the older counts: Date", 40, FRESH, "Date: {-40}", "Age: 10"),
    aged(MUST, "of Date and Age the older counts: Age", 40, FRESH, "Date: {-10}", "Age: 40"),
    aged(MUST, "a Date to come makes no younger", 5, FRESH, "Date: {+3600}", after=5),
    aged(MUST, "an old Date of RFC 850", 40, FRESH, "Date: {-10 rfc850}", after=30),
    aged(MUST, "an old Date of asctime", 40, FRESH, "Date: {-10 asctime}", after=30),
    aged(SHOULD, "a Date that is none says nothing", 30, FRESH, "Date: yesterday", after=30),
    aged(MUST, "no Date", 30, FRESH, after=30, dated=False),
    not_reused("9111 4.2.3", MUST, "no Date, at the end", FRESH, after=60, dated=False),
    case(
        "9110 6.6.1",
        MUST,
        "a response without Date gets that of its coming",
        ask(reply=reply(FRESH, dated=False)),
        ask(source=CACHE, after=30, has=("Date: {-30}",)),
        gateway=True,
    ),
    case(
        "9110 6.6.1",
        MUST,
        "Date stays that of the origin",
        ask(reply=reply(FRESH, "Date: {-7}")),
        ask(source=CACHE, after=10, has=("Date: {-17}", "Age: 17")),
    ),
    *(
        reused("9111 5.1", SHOULD, f"an Age that is {name} is ignored", FRESH, f"Age: {value}")
        for name, value in {
            "a word": "abc",
            "negative": "-3600",
            "a decimal": "3600.5",
            "with a unit": "3600s",
            "empty": "",
        }.items()
    ),
    not_reused("9111 5.1", SHOULD, "of a list of Ages the first counts: old", FRESH, "Age: 99, 0"),
    reused("9111 5.1", SHOULD, "of a list of Ages the first counts: young", FRESH, "Age: 0, 99"),
    not_reused(
        "9111 5.1", SHOULD, "of two lines of Age the first counts: old", FRESH, "Age: 99", "Age: 0"
    ),
    reused(
        "9111 5.1",
        SHOULD,
        "of two lines of Age the first counts: young",
        FRESH,
        "Age: 0",
        "Age: 99",
    ),
    not_reused("9111 1.2.2", MUST, "an Age of more than 31 bits", FRESH, "Age: 2147483649"),
    not_reused(
        "9111 1.2.2", MUST, "an Age of more than 64 bits", FRESH, "Age: 99999999999999999999"
    ),
    case(
        "9111 5.1",
        MUST,
        "a first answer has no other Age than the origin's",
        ask(reply=reply(FRESH, "Age: 7"), has=("Age: 7",)),
    ),
    case(
        "9111 5.1",
        MUST,
        "an answer of HEAD from the cache has Age",
        ask(reply=reply(FRESH)),
        ask(method="HEAD", source=CACHE, after=12, has=("Age: 12",)),
    ),
    case(
        "9111 5.1",
        MUST,
        "an answer of 304 from the cache has Age",
        ask(reply=reply(FRESH, 'ETag: "a"')),
        ask('If-None-Match: "a"', source=CACHE, status=304, after=12, has=("Age: 12",)),
    ),
    case(
        "9111 4.2.3",
        MUST,
        "what is stored anew begins anew",
        ask(reply=reply(FRESH)),
        ask(reply=reply(FRESH), source=ORIGIN, after=100),
        ask(source=CACHE, after=59, has=("Age: 59",)),
    ),
]
