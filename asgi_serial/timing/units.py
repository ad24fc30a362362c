"""Numbers with their units, for people."""


def format_bytes(size: float) -> str:
    """Return a size with three digits, in the unit that fits it.

    >>> [format_bytes(size) for size in (0, 999, 1500, 99_950, 2_500_000)]
    ['0 B', '999 B', '1.50 kB', '100 kB', '2.50 MB']
    """
    if abs(size) < 1000:
        return f"{size:.0f} B"
    scaled, unit = size / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if abs(scaled) < 999.5:
            break
        scaled, unit = scaled / 1000, larger
    return f"{_three_digits(scaled)} {unit}"


def format_duration(milliseconds: float) -> str:
    """Return a duration with three digits, in the unit that fits it.

    >>> [format_duration(ms) for ms in (0, 0.0123, 0.9996, 13.42, 999.96, 453_000, 7_300_000)]
    ['0 ms', '12.3 µs', '1.00 ms', '13.4 ms', '1.00 s', '7.55 min', '2.03 h']
    """
    if milliseconds <= 0:
        return "0 ms"
    if milliseconds < 0.9995:
        return f"{_three_digits(milliseconds * 1000)} µs"
    if milliseconds < 999.5:
        return f"{_three_digits(milliseconds)} ms"
    seconds = milliseconds / 1000
    if seconds < 99.95:
        return f"{_three_digits(seconds)} s"
    if seconds < 5997:
        return f"{_three_digits(seconds / 60)} min"
    return f"{_three_digits(seconds / 3600)} h"


def format_age(seconds: float) -> str:
    """Return how long ago something was, in whole units.

    >>> [format_age(seconds) for seconds in (0.4, 59, 61, 7300, 200_000)]
    ['now', '59 s ago', '1 min ago', '2 h ago', '2 days ago']
    """
    if seconds < 1:
        return "now"
    for unit, size, most in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds // 86_400:.0f} days ago"


def format_count(count: float) -> str:
    """Return a number in groups of three digits, or short if it is a million or more.

    >>> [format_count(count) for count in (0, 12_345, 2_500_000)]
    ['0', '12,345', '2.50 M']
    """
    if count < 1_000_000:
        return f"{count:,.0f}"
    return f"{_three_digits(count / 1e6)} M" if count < 999.5e6 else f"{count / 1e9:,.2f} G"


def format_things(count: int, one: str, many: str = "") -> str:
    """Return a number of things by their name; `many` is their plural, unless that adds an s.

    >>> format_things(1, "error"), format_things(12_345, "body", "bodies")
    ('1 error', '12,345 bodies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def format_percent(part: float, whole: float) -> str:
    """Return a share, with a digit after the point where it would round to all or nothing.

    >>> [format_percent(part, 1000) for part in (0, 4, 123, 996, 1000)]
    ['0 %', '0.4 %', '12 %', '99.6 %', '100 %']
    """
    percent = 100 * part / whole if whole else 0.0
    is_near_an_end = 0 < percent < 1 or 99 < percent < 100
    return f"{percent:.1f} %" if is_near_an_end else f"{percent:.0f} %"


def exact_bytes(size: int) -> str:
    """Return a size without rounding, in the largest unit that fits.

    >>> [exact_bytes(size) for size in (0, 500, 64_000_000, 1_048_576)]
    ['0 B', '500 B', '64 MB', '1,048,576 B']
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size and size % factor == 0:
            return f"{size // factor:,} {unit}"
    return f"{size:,} B"


def exact_duration(seconds: float) -> str:
    """Return a duration without rounding, in the largest unit that fits.

    >>> [exact_duration(seconds) for seconds in (0.0, 0.25, 1.5, 60.0, 3600.0, 0.0001)]
    ['0 s', '250 ms', '1.5 s', '1 min', '1 h', '0.1 ms']
    """
    for unit, factor in (("h", 3600), ("min", 60)):
        if seconds and seconds % factor == 0:
            return f"{seconds / factor:g} {unit}"
    return f"{seconds * 1000:g} ms" if 0 < seconds < 1 else f"{seconds:g} s"


def _three_digits(value: float) -> str:
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}"
