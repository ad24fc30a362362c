"""The cookies of a request on which no response depends."""

import re
from collections.abc import Iterable, Sequence
from os.path import commonprefix

from asgi_serial.http.names import any_spelling

ANALYTICS_COOKIES = (
    *("_ga", "_ga_*", "_gid", "_gat", "_gat_*", "_gac_*", "_gcl_*", "__utm*"),  # Google
    *("_fbp", "_fbc"),  # Meta
    *("_pk_*", "_hj*", "_clck", "_clsk", "_uetsid", "_uetvid"),  # Matomo, Hotjar, Microsoft
    *("__hstc", "__hssc", "__hssrc", "hubspotutk"),  # HubSpot
    *("_ttp", "_scid", "_scid_r", "_pin_unauth", "_rdt_uuid"),  # TikTok, Snap, Pinterest, Reddit
    *("amplitude_id*", "AMP_*", "_dd_s"),  # Amplitude, Datadog
    *("__cf_bm", "_cfuvid"),  # Cloudflare
)
"""Cookies by which scripts in pages, and proxies, count visitors; no app answers by them."""

# An integer is sought in a tenth of the time of a string of one byte.
_QUOTE, _COMMA = b'",'

# RFC 6265, 4.2.1: pairs of a token and a value without white space, quotes, commas and backslashes,
# with `; ` between them. Parsers differ in all else: some divide at `; ` alone, some strip white
# space, and `http.cookies` drops all cookies if it cannot read one, or meets an attribute first.
_ATTRIBUTES = (
    rb"\$|(?i:comment|domain|expires|httponly|max-age|partitioned|path|samesite|secure|version)="
)
_PAIR = rb"(?!%b)[!#-'*+.^_`|~0-9A-Za-z-]++=[!#-+\--:<-\[\]-~]*+" % _ATTRIBUTES
_is_regular = re.compile(rb"%b(?:; %b)*+" % (_PAIR, _PAIR)).fullmatch


class CookieRules:
    """Divides the cookies of a request into those that count, that are ignored, and in the key.

    `ignored` and `keyed` are names, or the beginnings of names, which end in `*`. Nothing in a
    request that parsers may read differently is ignored or keyed. The ignored cookies are hidden
    from the app in each request that the cache takes part in, so that no stored response can depend
    on them; those that are in the key may be seen by everybody who sends the same.
    """

    def __init__(self, ignored: Iterable[str], keyed: Sequence[str] = ()) -> None:
        is_ignored, is_keyed = _pair_of(ignored), _pair_of(keyed)
        self.has_keyed = bool(keyed)
        self._replace_ignored = re.compile(rb";[ \t]*+" + is_ignored + rb"(?=;|\Z)").sub
        self._is_keyed = re.compile(is_keyed).fullmatch
        self._find_keyed_names = re.compile(_name_of(keyed)).findall
        all_of_them = rb"(?:(?:%b|%b)(?:; )?+)*+" % (is_ignored, is_keyed)
        self.are_harmless = re.compile(all_of_them).fullmatch
        """Return a match for a Cookie value in which no cookie counts (RFC 6265, 4.2.1)."""

    def without_ignored(self, value: bytes) -> bytes:
        """Return a Cookie value without the ignored cookies; empty if none is left.

        >>> CookieRules(["_ga"]).without_ignored(b"_ga=GA1.1.7; session=1; theme=dark")
        b'session=1; theme=dark'
        """
        if _QUOTE in value or _COMMA in value:
            return value  # parsers disagree on what a quoted `;` means
        # With a semicolon before each pair, one pass finds them all.
        kept = self._replace_ignored(b"", b";" + value)
        return value if len(kept) > len(value) else kept[1:].strip(b" \t")

    def keyed_in(self, value: bytes) -> bytes:
        """Return the cookies of a Cookie value that are in the key, as they were sent.

        If the app may find one where we do not, all that it sees of the value is in the key.
        Otherwise its response would be stored for those who have sent no such cookie.

        >>> CookieRules([], ["theme"]).keyed_in(b"session=1; theme=dark")
        b'theme=dark'
        >>> CookieRules([], ["theme"]).keyed_in(b'session="1"; theme=dark')
        b'session="1"; theme=dark'
        """
        names = self._find_keyed_names(value)
        if not names:
            return b""
        if _is_regular(value):
            keyed = [pair for pair in value.split(b"; ") if self._is_keyed(pair)]
            if len(keyed) == len(names):
                return b"; ".join(keyed)
        return self.without_ignored(value)

    def keyed_in_lines(self, values: Sequence[bytes]) -> bytes:
        """Return the cookies in the key of all Cookie lines, each in its place.

        If the app joins them, a `"` may open in one line and close in another.

        >>> CookieRules([], ["theme"]).keyed_in_lines([b"session=1", b"theme=dark"])
        b'\\ntheme=dark'
        """
        keyed = [self.keyed_in(value) for value in values]
        if not any(keyed):
            return b""
        is_odd = len(values) > 1 and not all(map(_is_regular, values))
        return b"\n".join(values if is_odd else keyed)


def _pair_of(names: Iterable[str]) -> bytes:
    """Return a pattern for a pair with one of these names; one that matches nothing for none."""
    beginnings = [name[:-1] if name.endswith("*") else f"{name}=" for name in names]
    # `*+` matches in one pass: it never tries a shorter match again.
    return _any_beginning(beginnings) + rb'[^;",]*+'


def _any_beginning(beginnings: Iterable[str]) -> bytes:
    """Return a pattern for one of these beginnings, in which what they share stands once.

    Each alternative of a pattern is tried anew, so that a name costs as much as all that begin as
    it does.
    """
    groups: dict[str, list[str]] = {}
    for beginning in beginnings:
        groups.setdefault(beginning[:1], []).append(beginning)
    alternatives = []
    for group in groups.values():
        shared = commonprefix(group)  # noqa: RUF071 - of names, which are no paths
        rests = [beginning[len(shared) :] for beginning in group]
        rest = b"" if "" in rests else _any_beginning(rests)
        alternatives.append(re.escape(shared.encode()) + rest)
    return b"(?:%b)" % b"|".join(alternatives) if alternatives else rb"(?!)"


def _name_of(names: Sequence[str]) -> bytes:
    """Return a pattern for a place where any parser may find a cookie with one of these names.

    RFC 6265, 4.1.1: a name is a token, and `=` follows it at once. But parsers strip white space
    and control characters around a name, some divide pairs by white space, and some find an empty
    value in a name without `=`. BlackSheep decodes `th%65me`, and Sanic answers with `__Host-theme`
    or `__Secure-theme` if asked for `theme`.
    """
    begins = b"|".join(
        any_spelling(name[:-1])
        if name.endswith("*")
        else any_spelling(name) + rb"[\x00-\x20\x7f-\xff]*+(?=[=;]|\Z)"
        for name in names
    )
    begins = rb"(?<![!#-'*+.^_`|~0-9A-Za-z-])(?:__Host-|__Secure-)?(?:%b)" % begins
    return begins if names else rb"(?!)"
