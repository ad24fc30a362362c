"""Until when a response is fresh, as a date: RFC 9111, 5.3; RFC 9110, 5.6.7."""

from tests.conformance.table import MAY, MUST, SHOULD, not_reused, reused

CASES = [
    reused("9111 5.3", MAY, "Expires, before it", "Expires: {+60}", after=59),
    not_reused("9111 5.3", MUST, "Expires, at it", "Expires: {+60}", after=60),
    not_reused("9111 5.3", MUST, "Expires in the past", "Expires: {-60}"),
    not_reused("9111 5.3", MUST, "Expires now", "Expires: {+0}"),
    not_reused("9111 5.3", MUST, "Expires: 0", "Expires: 0"),
    not_reused("9111 5.3", MUST, "Expires: -1", "Expires: -1"),
    not_reused("9111 5.3", MUST, "an empty Expires", "Expires:"),
    reused(
        "9111 4.2.1",
        MAY,
        "Expires counts from Date, where the origin's clock is fast",
        "Date: {+3600}",
        "Expires: {+3660}",
        after=59,
    ),
    not_reused(
        "9111 4.2.1",
        MUST,
        "Expires after Date is over, where the origin's clock is fast",
        "Date: {+3600}",
        "Expires: {+3660}",
        after=60,
    ),
    not_reused(
        "9111 4.2.1",
        MUST,
        "Expires before Date, where the origin's clock is fast",
        "Date: {+3600}",
        "Expires: {+60}",
    ),
    not_reused(
        "9111 4.2.3",
        MUST,
        "Expires shortly after an old Date",
        "Date: {-3600}",
        "Expires: {-3540}",
    ),
    reused("9111 5.3", MAY, "Expires without Date", "Expires: {+60}", after=59, dated=False),
    not_reused(
        "9111 5.3", MUST, "Expires without Date, at it", "Expires: {+60}", after=60, dated=False
    ),
    # Its formats.
    reused("9110 5.6.7", MUST, "Expires of RFC 850", "Expires: {+60 rfc850}", after=59),
    not_reused("9110 5.6.7", MUST, "Expires of RFC 850, at it", "Expires: {+60 rfc850}", after=60),
    reused("9110 5.6.7", MUST, "Expires of asctime", "Expires: {+60 asctime}", after=59),
    not_reused("9110 5.6.7", MUST, "Expires of asctime, at it", "Expires: {+60 asctime}", after=60),
    *(
        not_reused("9111 5.3", MUST, f"Expires {name}", f"Expires: {value}")
        for name, value in {
            "as a number": "4000000000",
            "in the format of ISO 8601": "2096-10-02T07:06:40Z",
            "without a year": "Tue, 02 Oct 07:06:40 GMT",
            "with a two-digit year": "Tue, 02 Oct 96 07:06:40 GMT",
            "with dashes": "Tue, 02-Oct-2096 07:06:40 GMT",
            "with a one-digit day": "Tue, 2 Oct 2096 07:06:40 GMT",
            "with a one-digit hour": "Tue, 02 Oct 2096 7:06:40 GMT",
            "without seconds": "Tue, 02 Oct 2096 07:06 GMT",
            "without a comma": "Tue 02 Oct 2096 07:06:40 GMT",
            "without the day of the week": "02 Oct 2096 07:06:40 GMT",
            "with dots in the time": "Tue, 02 Oct 2096 07.06.40 GMT",
            "with two spaces": "Tue, 02  Oct 2096 07:06:40 GMT",
            "without a zone": "Tue, 02 Oct 2096 07:06:40",
            "with a day that is none": "Tue, 32 Oct 2096 07:06:40 GMT",
            "with a time that is none": "Tue, 02 Oct 2096 25:06:40 GMT",
            "with a month that is none": "Tue, 02 Foo 2096 07:06:40 GMT",
            "followed by more": "Tue, 02 Oct 2096 07:06:40 GMT foo",
        }.items()
    ),
    *(
        not_reused("9111 4.2", SHOULD, f"Expires with the zone {zone}", f"Expires: {value}")
        for zone, value in {
            "UTC": "Tue, 02 Oct 2096 07:06:40 UTC",
            "EST": "Tue, 02 Oct 2096 07:06:40 EST",
            "+0000": "Tue, 02 Oct 2096 07:06:40 +0000",
        }.items()
    ),
    reused(
        "9111 4.2", SHOULD, "Expires in small letters", "Expires: tue, 02 oct 2096 07:06:40 gmt"
    ),
    reused("9111 4.2", SHOULD, "Expires in capitals", "Expires: TUE, 02 OCT 2096 07:06:40 GMT"),
]
