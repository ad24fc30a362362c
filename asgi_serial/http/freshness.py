"""The age and the freshness lifetime of a response."""

from collections.abc import Mapping

from asgi_serial.http.cachecontrol import CacheControl
from asgi_serial.http.fields import parse_delta_seconds, parse_http_date

HEURISTIC_STATUSES = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
"""The heuristically cacheable statuses (RFC 9110, 15.1)."""


def parse_age(value: bytes) -> int:
    """Return the seconds of an Age value; 0 if it is invalid.

    Source: RFC 9111, 5.1: a cache should use the first value of a list and ignore an invalid one.
    """
    return parse_delta_seconds(value.lstrip(b" \t,").partition(b",")[0].rstrip(b" \t")) or 0


def initial_age(
    age_value: bytes | None,
    date_value: bytes | None,
    *,
    request_time: float,
    response_time: float,
) -> float:
    """Return the corrected initial age, in seconds, of a response with these Age and Date values.

    `request_time` (the app was called) and `response_time` (its response started) are in epoch
    seconds. A missing or invalid Date adds nothing to the age.

    Source: RFC 9111, 4.2.3.
    """
    response_delay = max(0.0, response_time - request_time)
    corrected_age = (parse_age(age_value) if age_value is not None else 0) + response_delay
    if date_value is None:
        return corrected_age
    date_seconds = parse_http_date(date_value, response_time)
    if date_seconds is None:
        return corrected_age
    # Date has a resolution of one second; without int() up to a second would be added to the age.
    return max(corrected_age, float(int(response_time) - date_seconds))


def freshness_lifetime(
    cc: CacheControl, fields: Mapping[bytes, bytes], *, now: float, shared: bool = True
) -> float | None:
    """Return the freshness lifetime, in seconds, that the response states.

    None if it states none; 0 if the statement is invalid or given twice. `now` replaces a missing
    Date. A cache that is not `shared` ignores s-maxage, and every cache ignores Expires if a
    targeted field applies.

    Source: RFC 9111, 4.2.1, 5.2.2.10 and 5.3; RFC 9213, 2.2.
    """
    if shared and cc.s_maxage is not None:
        return float(cc.s_maxage)
    if cc.max_age is not None:
        return float(cc.max_age)
    expires = None if cc.targeted else fields.get(b"expires")
    if expires is None:
        return None
    expires_seconds = parse_http_date(expires, now)
    if expires_seconds is None:
        return 0.0
    return max(0.0, expires_seconds - _generated(fields, now))


def heuristic_lifetime(
    fields: Mapping[bytes, bytes],
    status: int,
    cc: CacheControl,
    *,
    now: float,
    fraction: float = 0.1,
    most_seconds: float = 86_400.0,
) -> float | None:
    """Return a heuristic freshness lifetime: a fraction of the time since Last-Modified.

    At most `most_seconds`. None without Last-Modified, or if neither the status nor `public`
    allows heuristics. Only for responses whose `freshness_lifetime` is None.

    Source: RFC 9111, 4.2.2, which gives 10 % as a typical setting of the fraction.
    """
    if status not in HEURISTIC_STATUSES and not cc.public:
        return None
    modified = fields.get(b"last-modified")
    modified_seconds = parse_http_date(modified, now) if modified is not None else None
    if modified_seconds is None:
        return None
    unmodified = _generated(fields, now) - modified_seconds
    return min(unmodified * fraction, most_seconds) if unmodified > 0 else None


MISSING_STATUSES = frozenset({404, 410})
"""The statuses of responses that a new resource makes untrue."""


def missing_lifetime(lifetime: float) -> float:
    """Return the lifetime, in seconds, of a 404 or 410 where other responses have `lifetime`.

    The resource may be made at any moment, by others than the clients of this cache as well.

    >>> missing_lifetime(60.0), missing_lifetime(3600.0)
    (6.0, 10.0)
    """
    return min(lifetime / 10, 10.0)


def _generated(fields: Mapping[bytes, bytes], now: float) -> float:
    value = fields.get(b"date")
    seconds = parse_http_date(value, now) if value is not None else None
    return now if seconds is None else seconds
